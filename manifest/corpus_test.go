package manifest

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"io/fs"
	"path"
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
	policy := Policy{trust, c.Now, c.WindowSecs}
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
func checkDetail(t *testing.T, id, detail string) {
	t.Helper()
	if detail == "" || len(detail) > 256 {
		t.Errorf("%s: detail has %d bytes", id, len(detail))
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

func TestCorpusProjection(t *testing.T) {
	type channelCase struct {
		Result    string  `json:"result"`
		RolloutID string  `json:"rolloutId"`
		Bytes     int     `json:"bytes"`
		Manifest  *string `json:"manifest"`
	}
	type projectionCase struct {
		ID        string                 `json:"id"`
		Fleet     string                 `json:"fleet"`
		FleetHash Digest                 `json:"fleetHash"`
		Channels  map[string]channelCase `json:"channels"`
	}
	files := corpusFS(t)
	results := make(map[string]int)
	cases := lines[projectionCase](t, readFile(t, files, "projection/cases.jsonl"))
	for _, c := range cases {
		canonical, err := Canonicalize(readFile(t, files, c.Fleet))
		if err != nil {
			t.Fatal(err)
		}
		if Sum(canonical) != c.FleetHash {
			t.Errorf("%s: fleet hash %s, want %s", c.ID, Sum(canonical), c.FleetHash)
		}
		fleet, rejection := decode(canonical, readFleet)
		if rejection != nil {
			t.Fatalf("%s: %v", c.ID, rejection)
		}
		for _, p := range project(fleet, c.FleetHash, ContentHash) {
			want, ok := c.Channels[p.Channel]
			if !ok {
				continue
			}
			got := channelCase{Result: "none"}
			switch {
			case p.Err != nil:
				got.Result = "error"
			case !p.Idle:
				got = channelCase{Result: "manifest", RolloutID: p.ID.String(), Bytes: len(p.Manifest())}
				if m := readFile(t, files, *want.Manifest); !bytes.Equal(m, p.Manifest()) {
					t.Errorf("%s: channel %q: manifest\n%s\nwant\n%s", c.ID, p.Channel, p.Manifest(), m)
				}
				want.Manifest = nil
			}
			if got.Result != want.Result || got.RolloutID != want.RolloutID || got.Bytes != want.Bytes {
				t.Errorf("%s: channel %q: got %+v, want %+v", c.ID, p.Channel, got, want)
				continue
			}
			results[got.Result]++
			delete(c.Channels, p.Channel)
		}
		for name, want := range c.Channels {
			t.Errorf("%s: channel %q is not projected, want %+v", c.ID, name, want)
		}
	}
	t.Logf("%d fleets projected as the producer does: %v", len(cases), results)
	if results["error"] != 2 || results["manifest"] != 45 || results["none"] != 44 {
		t.Errorf("channel results %v, the corpus has error 2, manifest 45, none 44", results)
	}
}

func TestCorpusReleases(t *testing.T) {
	files := corpusFS(t)
	entries, err := fs.ReadDir(files, "releases")
	if err != nil {
		t.Fatal(err)
	}
	manifests := 0
	for _, e := range entries {
		dir := path.Join("releases", e.Name())
		t.Run(e.Name(), func(t *testing.T) { manifests += checkRelease(t, files, dir) })
	}
	t.Logf("%d releases, %d manifests verified and projected", len(entries), manifests)
}

func checkRelease(t *testing.T, files fs.FS, dir string) (manifests int) {
	var release struct {
		Scheme Scheme    `json:"scheme"`
		Now    time.Time `json:"now"`
	}
	var projection struct {
		FleetHash Digest `json:"fleetResolvedHash"`
		Rollouts  map[string]*struct {
			RolloutID string `json:"rolloutId"`
			SHA256    Digest `json:"sha256"`
			Bytes     int    `json:"bytes"`
			Hosts     int    `json:"hosts"`
		} `json:"channels"`
	}
	for name, into := range map[string]any{"release.json": &release, "projection.json": &projection} {
		if err := json.Unmarshal(readFile(t, files, path.Join(dir, name)), into); err != nil {
			t.Fatal(err)
		}
	}
	trust, err := ParseTrust(readFile(t, files, path.Join(dir, "trust.json")))
	if err != nil {
		t.Fatal(err)
	}
	pair := func(name string) Received {
		file := path.Join(dir, "releases", name)
		return Received{readFile(t, files, file), readFile(t, files, file+".sig")}
	}
	policy := Policy{trust, release.Now, 3600}
	fleet, err := VerifyFleet(pair("fleet.resolved.json"), policy)
	if err != nil {
		t.Fatal(err)
	}
	if fleet.Hash() != projection.FleetHash {
		t.Errorf("fleet hash %s, want %s", fleet.Hash(), projection.FleetHash)
	}
	if got := SchemeOf(fleet.Value()); got != release.Scheme {
		t.Errorf("scheme %s, want %s", got, release.Scheme)
	}
	received := make(map[string]Received)
	for _, p := range Project(fleet, release.Scheme) {
		want := projection.Rollouts[p.Channel]
		if p.Idle != (want == nil) || p.Err != nil {
			t.Errorf("channel %s: idle %v, error %v, want %+v", p.Channel, p.Idle, p.Err, want)
		}
		if want == nil {
			continue
		}
		made := p.Manifest()
		if p.ID.String() != want.RolloutID || Sum(made) != want.SHA256 || len(made) != want.Bytes || len(p.HostSet) != want.Hosts {
			t.Errorf("channel %s: id %s, %d bytes, %d hosts, want %+v", p.Channel, p.ID, len(made), len(p.HostSet), want)
		}
		received[p.Channel] = pair("rollouts/" + p.ID.String() + ".json")
	}
	set, refused, err := Assemble(fleet.Received(), received, "", policy)
	if err != nil || len(refused) > 0 || len(set.Rollouts()) != len(received) {
		t.Fatalf("assemble: %v, refused %v", err, refused)
	}
	again, err := NewSet(set.Fleet(), set.Rollouts(), "")
	if err != nil || again.Digest() != set.Digest() {
		t.Errorf("set made of its own parts: %v", err)
	}
	return len(received)
}
