package manifest

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"

	"fleetlog/internal/corpus"

	"github.com/go-json-experiment/json"
)

func corpusFS(t testing.TB) fs.FS {
	t.Helper()
	files, err := corpus.FS()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func readFile(t testing.TB, files fs.FS, name string) []byte {
	t.Helper()
	data, err := fs.ReadFile(files, name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// lines decodes one JSON object a line.
func lines[T any](t testing.TB, data []byte) []T {
	t.Helper()
	var all []T
	scanner := bufio.NewScanner(bytes.NewReader(data))
	scanner.Buffer(nil, 64<<20)
	for scanner.Scan() {
		var one T
		if err := json.Unmarshal(scanner.Bytes(), &one); err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	if err := scanner.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

type verdict struct {
	Accept bool `json:"accept"`
	Reason Kind `json:"reason"`
}

type verifyCase struct {
	ID, Group, Kind            string
	Artifact, Signature, Trust string
	Now                        time.Time
	WindowSecs                 Window  `json:"windowSecs"`
	RolloutID                  *string `json:"rolloutId"`
	Want                       verdict `json:"want"`
	Why                        *string `json:"why"`
}

func (c *verifyCase) UnmarshalJSON(data []byte) error {
	type plain verifyCase
	return json.Unmarshal(data, (*plain)(c), json.MatchCaseInsensitiveNames(true))
}

// judge is what the offline verifier does with a case.
func (c verifyCase) judge(t testing.TB, files fs.FS) error {
	trust, err := ParseTrust(readFile(t, files, c.Trust))
	if err != nil {
		return err
	}
	r := Received{readFile(t, files, c.Artifact), readFile(t, files, c.Signature)}
	policy := Policy{trust, c.Now, c.WindowSecs, nil}
	if c.Kind == "fleet" {
		_, err := VerifyFleet(r, policy)
		return err
	}
	id, err := ParseRolloutID(*c.RolloutID)
	if err != nil {
		// What is no id of either scheme matches no manifest.
		id = RolloutID{ContentHash, *c.RolloutID}
	}
	_, err = VerifyRollout(r, id, policy)
	return err
}

func TestCorpusVerify(t *testing.T) {
	files := corpusFS(t)
	counts := make(map[string]int)
	for _, c := range lines[verifyCase](t, readFile(t, files, "verify/cases.jsonl")) {
		err := c.judge(t, files)
		var rejection *Rejection
		if err != nil && !errors.As(err, &rejection) {
			t.Errorf("%s: error %v is not a rejection", c.ID, err)
			continue
		}
		got := verdict{Accept: err == nil}
		if rejection != nil {
			got.Reason = rejection.Kind
			checkDetail(t, c.ID, rejection.Detail)
		}
		if got != c.Want {
			t.Errorf("%s: got %+v (%v), want %+v", c.ID, got, err, c.Want)
			continue
		}
		counts[c.Group]++
		counts["total"]++
	}
	t.Logf("verdicts as wanted: %v", counts)
	if counts["total"] != 1563 {
		t.Errorf("%d cases as wanted, the corpus has 1563", counts["total"])
	}
}

// checkDetail demands one short line, as events carry it.
func checkDetail(t testing.TB, id, detail string) {
	t.Helper()
	outside := func(r rune) bool { return r < 0x20 || r > 0x7e }
	if detail == "" || len(detail) > 256 || strings.ContainsFunc(detail, outside) {
		t.Errorf("%s: detail is not 1 to 256 bytes of printable ASCII: %q", id, detail)
	}
}

func TestCorpusCanonicalForm(t *testing.T) {
	type want struct {
		OK     bool    `json:"ok"`
		SHA256 string  `json:"output_sha256"`
		Output *string `json:"output_base64"`
	}
	type canonicalCase struct {
		ID    string `json:"id"`
		Input string `json:"input"`
		Want  want   `json:"want"`
	}
	files := corpusFS(t)
	passed := 0
	for _, c := range lines[canonicalCase](t, readFile(t, files, "jcs/cases.jsonl")) {
		input, err := base64.StdEncoding.DecodeString(c.Input)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Canonicalize(input)
		if (err == nil) != c.Want.OK || err == nil && Sum(got).String() != c.Want.SHA256 {
			t.Errorf("%s: got %.80q, %v; want %+v", c.ID, got, err, c.Want)
			continue
		}
		if err == nil {
			again, err := Canonicalize(got)
			if err != nil || !bytes.Equal(again, got) {
				t.Errorf("%s: canonical form is not its own: %v", c.ID, err)
				continue
			}
		}
		passed++
	}
	t.Logf("canonical forms as wanted: %d", passed)
	if passed != 398 {
		t.Errorf("%d cases as wanted, the corpus has 398", passed)
	}
}
