package check_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"

	"fleetlog/consumers/check"
	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/manifest"
)

// Messages makes the record a source: what was lost is passed over.
func (r *recorded) Messages(_ context.Context, first uint64) iter.Seq2[eventlog.Stored, error] {
	return func(yield func(eventlog.Stored, error) bool) {
		for i, m := range r.events {
			seq := uint64(i) + 1
			if seq < first || slices.Contains(r.lost[eventsStream], seq) {
				continue
			}
			if !yield(eventlog.Stored{Seq: seq, Message: m}, nil) {
				return
			}
		}
	}
}

// Artifact puts the parts together.
func (r *recorded) Artifact(_ context.Context, a events.Artifact) (manifest.Received, error) {
	var body []byte
	for _, seq := range a.Parts {
		if seq > uint64(len(r.artifacts)) || slices.Contains(r.lost[artifactsStream], seq) {
			return manifest.Received{}, &eventlog.ArtifactError{Artifact: a, Err: eventlog.ErrNoMessage}
		}
		body = append(body, r.artifacts[seq-1].Body...)
	}
	if len(body) != a.Size || manifest.Sum(body) != a.SHA256 {
		return manifest.Received{}, &eventlog.ArtifactError{Artifact: a, Err: errors.New("other bytes")}
	}
	return manifest.Received{Body: body, Signature: a.Signature}, nil
}

// ArtifactGaps are the artifacts that were lost.
func (r *recorded) ArtifactGaps(context.Context) ([]*eventlog.GapError, error) {
	var gaps []*eventlog.GapError
	for _, seq := range r.lost[artifactsStream] {
		gaps = append(gaps, &eventlog.GapError{Stream: artifactsStream, First: seq, Last: seq})
	}
	return gaps, nil
}

// LastSequence is the end, which may be lost.
func (r *recorded) LastSequence(context.Context) (uint64, error) { return uint64(len(r.events)), nil }

// known is the head of the record's log at a tick.
func (r *recorded) known(tick int) check.KnownHead {
	h := r.s.ticks[tick].Head
	return check.KnownHead{From: "a friend", Lineage: h.Lineage, Number: h.Number, Digest: h.Digest}
}

// options are those of a check that knows everything.
func (r *recorded) options() check.Options {
	trust, err := manifest.ParseTrust(bothKeys(r.s.t))
	must(r.s.t, err)
	return check.Options{
		Trust: check.Trust{{Trust: trust}}, Policy: manifest.Policy{Window: window},
		Heads: []check.KnownHead{r.known(tickCarried), r.known(tickLast)},
	}
}

// check judges the record.
func (r *recorded) check(o check.Options) *check.Report {
	t := r.s.t
	t.Helper()
	fleet := r.s.log.Fleet()
	refused := &check.Report{Found: 1, Findings: []check.Finding{{Code: check.CodeOpening, Seq: 1}}}
	if len(r.events) == 0 || slices.Contains(r.lost[eventsStream], 1) {
		return refused
	}
	opening, writers, err := events.ReadOpening(fleet, r.events[0], r.s.log.Writers())
	if errors.Is(err, events.ErrNotOpened) {
		return refused
	}
	must(t, err)
	report, err := check.Read(t.Context(), r, check.Part{Fleet: fleet, Writers: writers, Opening: opening, Before: opening}, o)
	must(t, err)
	return report
}

// remove takes messages away as if they had never been: what follows moves up.
func (r *recorded) remove(first, last uint64) {
	r.events = slices.Delete(slices.Clone(r.events), int(first)-1, int(last))
}

// insert puts messages in front of a sequence: what follows moves down.
func (r *recorded) insert(seq uint64, messages ...events.Message) {
	r.events = slices.Insert(slices.Clone(r.events), int(seq)-1, messages...)
}

func (r *recorded) swap(a, b uint64) {
	r.events[a-1], r.events[b-1] = r.events[b-1], r.events[a-1]
}

// cut ends the log behind a sequence.
func (r *recorded) cut(seq uint64) { r.events = r.events[:seq] }

// key is another writer's.
func strangerKey() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{5}, 32)) }

// signedBy makes the record one that another key signs.
func (r *recorded) signedBy(key ed25519.PrivateKey) *recorded {
	c := *r
	scene := *r.s
	scene.key = key
	c.s = &scene
	return &c
}

func (r *recorded) header(seq uint64, name, value string) {
	if value == "" {
		delete(r.events[seq-1].Header, name)
		return
	}
	r.events[seq-1].Header[name] = []string{value}
}

// foreign is another log of the same fleet, written by the same writer.
func foreign(t *testing.T) *recorded {
	t.Helper()
	s := newScene(t)
	s.live(someHosts)
	return s.record()
}

func stripped(text string) string { return strings.ReplaceAll(text, " ", "-") }
