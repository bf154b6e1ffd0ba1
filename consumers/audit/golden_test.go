package audit_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fleetlog/consumers/audit"
	"fleetlog/consumers/bundle"
	"fleetlog/consumers/check"
	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/corpus"
	"fleetlog/manifest"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files of testdata anew")

// sample is the rich log of the corpus: an epoch that continues another, keys
// that change, ticks that were missed.
type sample struct {
	messages []eventlog.Stored
	parts    map[uint64][]byte
	trusts   []bundle.TrustFile
}

func readSample(t testing.TB) *sample {
	t.Helper()
	files, err := corpus.FS()
	must(t, err)
	s := &sample{parts: make(map[uint64][]byte)}
	each(t, files, "log/rich.jsonl", func(data []byte) error {
		var m struct {
			Seq     uint64            `json:"seq"`
			Subject string            `json:"subject"`
			Headers map[string]string `json:"headers"`
			Body    string            `json:"body"`
		}
		err := json.Unmarshal(data, &m)
		header := make(map[string][]string, len(m.Headers))
		for name, value := range m.Headers {
			header[name] = []string{value}
		}
		s.messages = append(s.messages, eventlog.Stored{Seq: m.Seq, Message: events.Message{Subject: m.Subject, Header: header, Body: []byte(m.Body)}})
		return err
	})
	each(t, files, "log/rich-artifacts.jsonl", func(data []byte) error {
		var m struct {
			Seq  uint64 `json:"seq"`
			Data []byte `json:"data"`
		}
		err := json.Unmarshal(data, &m)
		s.parts[m.Seq] = m.Data
		return err
	})
	opened := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for n, from := range []time.Duration{0, 8*time.Minute + 15*time.Second, 9*time.Minute + 45*time.Second, 46 * time.Minute} {
		data, err := fs.ReadFile(files, "log/rich-trust-"+string(rune('1'+n))+".json")
		must(t, err)
		f := bundle.TrustFile{Data: data}
		if from > 0 {
			f.From = opened.Add(from)
		}
		s.trusts = append(s.trusts, f)
	}
	return s
}

func each(t testing.TB, files fs.FS, name string, read func([]byte) error) {
	t.Helper()
	data, err := fs.ReadFile(files, name)
	must(t, err)
	for line := range strings.Lines(string(data)) {
		must(t, read([]byte(line)))
	}
}

// Messages makes the sample a source.
func (s *sample) Messages(_ context.Context, first uint64) iter.Seq2[eventlog.Stored, error] {
	return func(yield func(eventlog.Stored, error) bool) {
		for _, m := range s.messages {
			if m.Seq >= first && !yield(m, nil) {
				return
			}
		}
	}
}

// Artifact puts the parts together.
func (s *sample) Artifact(_ context.Context, a events.Artifact) (manifest.Received, error) {
	var body []byte
	for _, seq := range a.Parts {
		body = append(body, s.parts[seq]...)
	}
	if manifest.Sum(body) != a.SHA256 {
		return manifest.Received{}, &eventlog.ArtifactError{Artifact: a, Err: errors.New("other bytes")}
	}
	return manifest.Received{Body: body, Signature: a.Signature}, nil
}

// ArtifactGaps says that there are none.
func (s *sample) ArtifactGaps(context.Context) ([]*eventlog.GapError, error) { return nil, nil }

// LastSequence is the sample's end.
func (s *sample) LastSequence(context.Context) (uint64, error) { return uint64(len(s.messages)), nil }

// bundled is a bundle of the sample.
func (s *sample) bundled(t testing.TB) *bundle.Bundle {
	t.Helper()
	fleet, err := events.ParseFleetName("prod")
	must(t, err)
	opening, writers, err := events.ReadOpening(fleet, s.messages[0].Message, nil)
	must(t, err)
	var w bytes.Buffer
	must(t, bundle.Write(t.Context(), &w, s, bundle.Contents{
		Part:  check.Part{Fleet: fleet, Writers: writers, Opening: opening, Before: opening, End: uint64(len(s.messages))},
		Trust: s.trusts, Streams: []string{},
	}))
	b, err := bundle.Open(t.Context(), bytes.NewReader(w.Bytes()), int64(w.Len()))
	must(t, err)
	return b
}

// trust is what the periods of a bundle say.
func trustOf(t testing.TB, files []bundle.TrustFile) (all check.Trust) {
	t.Helper()
	for _, f := range files {
		trust, err := manifest.ParseTrust(f.Data)
		must(t, err)
		all = append(all, check.Period{From: f.From, Trust: trust})
	}
	return all
}

// audited audits the sample under its trust, or under the first file alone.
func audited(t testing.TB, s *sample, alone bool) *audit.Report {
	t.Helper()
	b := s.bundled(t)
	files, err := b.Trust()
	must(t, err)
	if alone {
		files = []bundle.TrustFile{{Data: files[2].Data}}
	}
	o := audit.Options{Options: check.Options{
		Trust: trustOf(t, files), Policy: manifest.Policy{Window: 3600}, EverySignature: true,
		Heads: []check.KnownHead{{From: "vault.head", Lineage: "0f0f0f0f-1111-4222-8333-444444444444", Number: 99}},
	}, TrustOfBundle: !alone}
	if !alone {
		o.Heads = nil
	}
	report, err := audit.Bundle(t.Context(), b, nil, o)
	must(t, err)
	return report
}

// golden compares with a file of testdata, or writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		must(t, os.MkdirAll("testdata", 0o755))
		must(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// TestGolden is the answer about a log of the corpus, under the trust that held
// and under other, as a table and as JSON.
func TestGolden(t *testing.T) {
	s := readSample(t)
	for name, alone := range map[string]bool{"clean": false, "findings": true} {
		report := audited(t, s, alone)
		if clean := report.Verdict == audit.Clean; clean == alone {
			t.Errorf("%s: the verdict is %s", name, report.Verdict)
		}
		var table bytes.Buffer
		must(t, report.Table(&table))
		golden(t, name+".txt", table.String())
		data, err := json.Marshal(report, json.Deterministic(true), jsontext.Multiline(true))
		must(t, err)
		golden(t, name+".json", string(data)+"\n")
		var read audit.Report // no cell of the table shows what a program cannot read
		must(t, json.Unmarshal(data, &read))
		var again bytes.Buffer
		must(t, read.Table(&again))
		if diff := cmp.Diff(table.String(), again.String()); diff != "" {
			t.Errorf("%s (-table +of the JSON):\n%s", name, diff)
		}
	}
}

// TestRefused is an answer, too; what could not be read is none.
func TestRefused(t *testing.T) {
	fleet, err := events.ParseFleetName("prod")
	must(t, err)
	for _, c := range []struct {
		err  error
		code check.Code
	}{
		{events.ErrNotOpened, check.CodeOpening},
		{&eventlog.DriftError{Stream: "s"}, check.CodeStreams},
		{&eventlog.GapError{Stream: "s", First: 1, Last: 2}, check.CodeGap},
		{eventlog.ErrNoMessage, check.CodeGap},
		{&bundle.FormError{File: "HEAD", Err: errors.New("x")}, check.CodeBundle},
	} {
		report, err := audit.Refused("log", fleet, c.err)
		if err != nil || report.ExitCode != 1 || report.Found != 1 || report.Findings[0].Code != c.code {
			t.Errorf("%v: %+v, %v", c.err, report, err)
			continue
		}
		for _, p := range report.Checks {
			if p.OK || p.Ran != (p.Found > 0) {
				t.Errorf("%v: %+v", c.err, p)
			}
		}
	}
	for _, err := range []error{eventlog.ErrUnavailable, eventlog.ErrMissing, context.Canceled} {
		if _, got := audit.Refused("log", fleet, err); !errors.Is(got, err) {
			t.Errorf("%v is an answer", err)
		}
	}
}
