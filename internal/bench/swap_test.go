package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"fleetlog/consumers/follower"
	"fleetlog/consumers/state"
	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/fleetsim"
	"fleetlog/manifest"
	"fleetlog/producers"

	"github.com/sirupsen/logrus"
)

// BenchmarkSwap gives one of a hundred channels another manifest, and measures
// from the tick's commit until a reducer's `current` is the new set, beside
// writing and syncing the three files in which it differs.
func BenchmarkSwap(b *testing.B) {
	s := newScene(b)
	w := s.changing(1000, 100)
	r := s.reduce(w)
	var figures rounds
	for i := 0; b.Loop(); i++ {
		w.change(i)
		before := r.target()
		seq := w.append()
		began := time.Now()
		for r.target() == before {
			time.Sleep(20 * time.Microsecond) // both processors are needed elsewhere
		}
		took := time.Since(began)
		r.await(seq)
		figures.add(float64(took.Nanoseconds()), r.writeSame(i))
	}
	figures.report(b, "ns", false)
}

// changing is a writer of a release that changes.
type changing struct {
	*scene
	writer   *eventlog.Writer
	release  fleetsim.Release
	memory   producers.Memory
	poll     producers.Poll
	channels int
}

func (s *scene) changing(hosts, channels int) *changing {
	s.Helper()
	release, err := fleetsim.Fleet{Hosts: hosts, Channels: channels, Commit: fmt.Sprintf("%040x", 1), SignedAt: s.now}.Sign(s.signer)
	s.must(err)
	writer, err := s.log.NewWriter(s.Context(), func(uint64, uint64) {})
	s.must(err)
	w := &changing{scene: s, writer: writer, release: release, channels: channels, poll: producers.Poll{
		Source: producers.NewDirectory(release), Concurrency: 1, Window: manifest.Unlimited,
		Trust: func() ([]byte, error) { return s.signer.Trust(), nil },
	}}
	w.append()
	return w
}

// change signs one channel's manifest anew, with another time in it.
func (w *changing) change(n int) {
	channel := n % w.channels
	name := "rollouts/" + fleetsim.ChannelName(channel) + "@" + fmt.Sprintf("%040x", 1) + ".json"
	before, after := w.signedAt(n/w.channels), w.signedAt(n/w.channels+1)
	body := bytes.Replace(w.release[name].Data, before, after, 1)
	if bytes.Equal(body, w.release[name].Data) {
		w.Fatalf("%s was not signed at %s", name, before)
	}
	signed, err := w.signer.Sign(body)
	w.must(err)
	w.release[name].Data, w.release[name+".sig"].Data = signed.Body, signed.Signature
}

func (w *changing) signedAt(generation int) []byte {
	at := w.now.Add(time.Duration(generation) * time.Second).UTC()
	return fmt.Appendf(nil, `"signedAt":%q`, at.Format(time.RFC3339Nano))
}

// append records a tick, and returns where it ends.
func (w *changing) append() (seq uint64) {
	result := w.poll.Tick(w.Context(), w.now.Add(time.Hour), w.memory)
	w.memory = result.Memory
	before := make(map[manifest.Digest][]uint64)
	for _, f := range w.writer.Base().Last {
		if a := events.ArtifactOf(f); a != nil {
			before[a.SHA256] = a.Parts
		}
	}
	for _, f := range result.Findings {
		if a := events.ArtifactOf(f); a != nil {
			if a.Parts = before[a.SHA256]; a.Parts == nil {
				var err error
				a.Parts, err = w.log.PutArtifact(w.Context(), w.log.Fleet().FleetArtifactSubject(), result.Artifacts[a.SHA256], eventlog.Kept{})
				w.must(err)
			}
		}
	}
	draft := w.draft(result)
	draft.Time = events.TimeOf(w.now.Add(time.Hour))
	tick, err := w.writer.Append(w.Context(), func(base events.Base, firstSeq uint64) ([]events.Message, error) {
		return events.Compose(base, draft, events.Terms{Writer: w.scene.writer, RestateEvery: 24 * time.Hour}, firstSeq)
	})
	w.must(err)
	return tick.Head.Seq
}

// reducing is a reducer at work.
type reducing struct {
	*follower.Reducer
	*scene
	dir     string
	changed []byte // as large as a manifest
}

func (s *scene) reduce(w *changing) *reducing {
	s.Helper()
	dir := s.TempDir()
	directory, err := state.Open(dir)
	s.must(err)
	log := logrus.New()
	log.SetOutput(io.Discard)
	reducer, err := follower.NewReducer(follower.Config{
		Open: func(ctx context.Context, writers []events.PublicKey) (*eventlog.Log, error) {
			return eventlog.Open(ctx, s.nc, eventlog.Place{Fleet: s.log.Fleet(), Writers: writers})
		},
		State: directory, Trust: func() ([]byte, error) { return s.signer.Trust(), nil }, Window: manifest.Unlimited,
		Clock: time.Now, Log: log, Ready: func(error) {},
	})
	s.must(err)
	ctx, cancel := context.WithCancel(s.Context())
	done := make(chan error, 1)
	go func() { done <- reducer.Run(ctx) }()
	s.Cleanup(func() {
		cancel()
		s.must(<-done)
		s.must(directory.Close())
	})
	r := &reducing{reducer, s, dir, w.release["rollouts/"+fleetsim.ChannelName(0)+"@"+fmt.Sprintf("%040x", 1)+".json"].Data}
	r.await(w.writer.Base().Head.Seq)
	return r
}

// target is what `current` names.
func (r *reducing) target() string {
	target, err := os.Readlink(filepath.Join(r.dir, "current"))
	r.must(err)
	return target
}

// await returns once what is served, and so on disk, is of that sequence.
func (r *reducing) await(seq uint64) {
	for {
		if _, at := r.Current(); at.Sequence >= seq {
			return
		}
		runtime.Gosched()
	}
}

// writeSame writes and syncs a manifest, a signature and a checkpoint of the size
// that the reducer's have, and tells how long that takes.
func (r *reducing) writeSame(n int) (took float64) {
	checkpoint, err := os.ReadFile(filepath.Join(r.dir, "checkpoint.json"))
	r.must(err)
	dir := filepath.Join(r.dir, "same")
	r.must(os.MkdirAll(dir, 0o700))
	began := time.Now()
	for i, data := range [][]byte{r.changed, make([]byte, manifest.SignatureSize), checkpoint} {
		f, err := os.Create(filepath.Join(dir, fmt.Sprintf("%d-%d", n, i)))
		r.must(err)
		_, err = f.Write(data)
		r.must(err)
		r.must(f.Sync())
		r.must(f.Close())
	}
	return float64(time.Since(began).Nanoseconds())
}
