package cmd_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"fleetlog/internal/corpus"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
)

// verifyCase is one line of the corpus' table of verdicts, as far as it matters
// here.
type verifyCase struct {
	ID         string `json:"id"`
	Kind       string `json:"kind"`
	Artifact   string `json:"artifact"`
	Signature  string `json:"signature"`
	Trust      string `json:"trust"`
	Now        string `json:"now"`
	WindowSecs uint64 `json:"windowSecs"`
	RolloutID  string `json:"rolloutId"`
	Want       struct {
		Accept bool    `json:"accept"`
		Reason *string `json:"reason"`
	} `json:"want"`
}

// samplesOf is how many cases of every reason are run, and of those to accept.
const samplesOf = 5

// TestVerifyGivesTheCorpusVerdicts runs a part of the table of verdicts through
// the real program: its reason and its exit status.
func TestVerifyGivesTheCorpusVerdicts(t *testing.T) {
	files, err := corpus.FS()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, c := range sampleCases(t, files) {
		t.Run(c.ID, func(t *testing.T) {
			args := []string{
				"verify", c.Kind, "-o", "json", "--now", c.Now, "--freshness-window-secs", strconv.FormatUint(c.WindowSecs, 10),
				"--artifact", extract(t, files, dir, c.Artifact), "--signature", extract(t, files, dir, c.Signature),
				"--trust-file", extract(t, files, dir, c.Trust),
			}
			if c.Kind == "rollout" {
				args = append(args, "--rollout-id", c.RolloutID)
			}
			checkVerdict(t, c, exec.Command(binary("fleetlog"), args...))
		})
	}
}

func checkVerdict(t *testing.T, c verifyCase, cmd *exec.Cmd) {
	t.Helper()
	out, err := cmd.Output()
	code := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Verified bool    `json:"verified"`
		Reason   *string `json:"reason"`
		Detail   *string `json:"detail"`
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("exit status %d, printed %q: %v", code, out, err)
	}
	want := 0
	if !c.Want.Accept {
		want = 1
	}
	if code != want || got.Verified != c.Want.Accept || (got.Detail == nil) != c.Want.Accept {
		t.Errorf("exit status %d, want %d; printed %s", code, want, out)
	}
	if diff := cmp.Diff(c.Want.Reason, got.Reason); diff != "" {
		t.Errorf("reason (-want +got):\n%s", diff)
	}
}

// sampleCases takes cases from all over the table, of every reason.
func sampleCases(t *testing.T, files fs.FS) (sample []verifyCase) {
	t.Helper()
	table, err := fs.ReadFile(files, "verify/cases.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	byReason := make(map[string][]verifyCase)
	for line := range bytes.Lines(table) {
		var c verifyCase
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		reason := ""
		if c.Want.Reason != nil {
			reason = *c.Want.Reason
		}
		byReason[reason] = append(byReason[reason], c)
	}
	if len(byReason) != 12 {
		t.Fatalf("table has %d reasons, want 11 and acceptance", len(byReason))
	}
	for _, cases := range byReason {
		for i := range samplesOf {
			sample = append(sample, cases[i*len(cases)/samplesOf])
		}
	}
	slices.SortFunc(sample, func(a, b verifyCase) int { return bytes.Compare([]byte(a.ID), []byte(b.ID)) })
	return sample
}

// extract writes a file of the corpus into dir, once.
func extract(t *testing.T, files fs.FS, dir, name string) string {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	if _, err := os.Stat(path); err == nil {
		return path
	}
	data, err := fs.ReadFile(files, name)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o700)
	}
	if err == nil {
		err = os.WriteFile(path, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}
