package fold_test

import (
	"bufio"
	"bytes"
	"io/fs"
	"strings"
	"testing"

	"fleetlog/events"
	"fleetlog/internal/corpus"
	"fleetlog/manifest"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
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

func unmarshal(t testing.TB, data []byte, to any) {
	t.Helper()
	if err := json.Unmarshal(data, to); err != nil {
		t.Fatal(err)
	}
}

func lines(data []byte) (all [][]byte) {
	scanner := bufio.NewScanner(bytes.NewReader(data))
	scanner.Buffer(nil, 4<<20)
	for scanner.Scan() {
		all = append(all, bytes.Clone(scanner.Bytes()))
	}
	return all
}

// corpusMessages reads one of the corpus's logs.
func corpusMessages(t testing.TB, files fs.FS, name string) (messages []events.Message) {
	t.Helper()
	for _, line := range lines(readFile(t, files, "log/"+name+".jsonl")) {
		var stored struct {
			Seq     uint64            `json:"seq"`
			Subject string            `json:"subject"`
			Headers map[string]string `json:"headers"`
			Body    string            `json:"body"`
		}
		unmarshal(t, line, &stored)
		m := events.Message{Subject: stored.Subject, Header: make(map[string][]string), Body: []byte(stored.Body)}
		for key, value := range stored.Headers {
			m.Header[key] = []string{value}
		}
		messages = append(messages, m)
	}
	return messages
}

// exampleLog has its artifacts in two releases of the corpus.
func exampleLog(t testing.TB) *written {
	t.Helper()
	files := corpusFS(t)
	stored := make(map[manifest.Digest][]byte)
	for _, release := range []string{"resigned-1-composite", "resigned-2-composite"} {
		err := fs.WalkDir(files, "releases/"+release+"/releases", func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.HasSuffix(name, ".sig") {
				return err
			}
			data := readFile(t, files, name)
			stored[manifest.Sum(data)] = data
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	l := &written{parts: make(map[uint64][]byte)}
	var artifacts []struct {
		Seq    uint64          `json:"seq"`
		SHA256 manifest.Digest `json:"sha256"`
	}
	unmarshal(t, readFile(t, files, "log/artifacts.json"), &artifacts)
	for _, a := range artifacts {
		l.parts[a.Seq] = stored[a.SHA256]
	}
	l.trusts = []inForce{{0, parseTrust(t, readFile(t, files, "releases/resigned-1-composite/trust.json"))}}
	l.opening, l.ticks = read(t, corpusMessages(t, files, "example"))
	return l
}

// richLog changes its trust file three times.
func richLog(t testing.TB) *written {
	t.Helper()
	files := corpusFS(t)
	l := &written{parts: make(map[uint64][]byte)}
	for _, line := range lines(readFile(t, files, "log/rich-artifacts.jsonl")) {
		var part struct {
			Seq  uint64 `json:"seq"`
			Data []byte `json:"data"`
		}
		unmarshal(t, line, &part)
		l.parts[part.Seq] = part.Data
	}
	for name, from := range map[string]string{"1": "00:00:00", "2": "00:08:15", "3": "00:09:45", "4": "00:46:00"} {
		trust := parseTrust(t, readFile(t, files, "log/rich-trust-"+name+".json"))
		l.trusts = append(l.trusts, inForce{events.TimeOf(instant("2026-01-01T" + from + "Z")), trust})
	}
	sortTrusts(l.trusts)
	l.opening, l.ticks = read(t, corpusMessages(t, files, "rich"))
	return l
}

// TestCorpusLogs folds two logs that another program wrote, and holds after
// every tick exactly what it says.
func TestCorpusLogs(t *testing.T) {
	for name, want := range map[string]struct {
		log   *written
		ticks int
	}{"example": {exampleLog(t), 9}, "rich": {richLog(t), 22}} {
		t.Run(name, func(t *testing.T) {
			l := want.log
			s := l.begin()
			for i, tick := range l.ticks {
				before := s
				next, verdict := l.step(t, s, i)
				s = next
				if diff := cmp.Diff(said(tick), snap(s)); diff != "" {
					t.Errorf("tick %d (-writer +own):\n%s\nfleet: %v, channels: %v", tick.Head.Number, diff, verdict.Fleet, verdict.Channels)
				}
				if verdict.Diverged {
					t.Errorf("tick %d: diverged", tick.Head.Number)
				}
				if len(tick.Findings) == 0 && next.Source != before.Source {
					t.Errorf("tick %d: an unchanged tick moved the source of the set", tick.Head.Number)
				}
			}
			if len(l.ticks) != want.ticks {
				t.Errorf("%d ticks folded, want %d", len(l.ticks), want.ticks)
			}
			t.Logf("%d ticks folded", len(l.ticks))
		})
	}
}
