package follower_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"fleetlog/consumers/fold"
	"fleetlog/consumers/follower"
	"fleetlog/consumers/state"
	"fleetlog/eventlog"
	"fleetlog/events"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
)

// running is a reducer at work.
type running struct {
	*follower.Reducer
	scene  *scene
	t      testing.TB
	said   *logtest.Hook
	cancel context.CancelFunc
	done   chan error

	mu    sync.Mutex
	ready error
}

func (s *scene) config(path string) follower.Config {
	directory, err := state.Open(path)
	must(s.t, err)
	return follower.Config{
		Open: func(ctx context.Context, writers []events.PublicKey) (*eventlog.Log, error) {
			return eventlog.Open(ctx, s.nc, s.place(writers))
		},
		State: directory, Trust: s.readTrust, TrustEvery: 5 * time.Millisecond, Window: window,
		Clock: s.now, Ready: func(error) {},
	}
}

// start runs a reducer on the state directory until it is stopped or the test
// ends.
func (s *scene) start(path string, change ...func(*follower.Config)) *running {
	s.t.Helper()
	logger, hook := logtest.NewNullLogger()
	r := &running{scene: s, t: s.t, said: hook, done: make(chan error, 1), ready: errors.New("not told yet")}
	c := s.config(path)
	c.Log = logger
	c.Ready = func(err error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.ready = err
	}
	for _, f := range change {
		f(&c)
	}
	var err error
	r.Reducer, err = follower.NewReducer(c)
	must(s.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	go func() {
		err := r.Run(ctx)
		r.done <- errors.Join(err, c.State.Close())
	}()
	s.t.Cleanup(func() { _ = r.end() })
	return r
}

// end stops the reducer and returns what Run returned.
func (r *running) end() error {
	r.cancel()
	err := <-r.done
	r.done <- err
	return err
}

// stop ends the reducer, which must have had no trouble.
func (r *running) stop() {
	r.t.Helper()
	must(r.t, r.end())
}

// until waits for a condition.
func (r *running) until(what string, holds func() bool) {
	r.t.Helper()
	deadline := time.After(30 * time.Second)
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	for !holds() {
		select {
		case <-look.C:
		case err := <-r.done:
			r.done <- err
			r.t.Fatalf("%s: the reducer has ended: %v", what, err)
		case <-deadline:
			_, p := r.Current()
			r.t.Fatalf("never happened: %s; position %+v, not ready because of %v, said %v", what, p, r.notReady(), r.lines())
		}
	}
}

func (r *running) notReady() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ready
}

func (r *running) isReady() bool { return r.notReady() == nil }

// reaches waits until the reducer is ready at the tick, and demands its set.
func (r *running) reaches(tick *events.Tick) {
	r.t.Helper()
	r.until(fmt.Sprintf("ready at tick %d", tick.Head.Number), func() bool {
		_, p := r.Current()
		return r.isReady() && p.Sequence == tick.Head.Seq
	})
	held, p := r.Current()
	if got, want := digestOf(held), saidBy(tick); got != want || p.Diverged {
		r.t.Fatalf("tick %d: set %s, diverged %v, want %s", tick.Head.Number, got, p.Diverged, want)
	}
}

func digestOf(s fold.State) string {
	if s.Set == nil {
		return "none"
	}
	return s.Set.Digest().String()
}

func saidBy(tick *events.Tick) string {
	if tick.Completed.Set == nil {
		return "none"
	}
	return tick.Completed.Set.Digest.String()
}

// lines are what the reducer has logged.
func (r *running) lines() (all []string) {
	for _, e := range r.said.AllEntries() {
		all = append(all, fmt.Sprintf("%s: %s %v", e.Level, e.Message, map[string]any(e.Data)))
	}
	return all
}

// entries are the log's lines with that message.
func (r *running) entries(message string) (all []logrus.Entry) {
	for _, e := range r.said.AllEntries() {
		if e.Message == message {
			all = append(all, *e)
		}
	}
	return all
}

// checkpointIn reads the checkpoint of a directory.
func checkpointIn(t testing.TB, path string) *state.Checkpoint {
	t.Helper()
	c, _, err := state.View(path).Read()
	must(t, err)
	if c == nil {
		t.Fatal("no checkpoint")
	}
	return c
}

// quarantined are the checkpoints that were set aside.
func quarantined(t testing.TB, path string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(path, "quarantine/*"))
	must(t, err)
	return names
}

// met demands how often that kind, and no other, was met.
func (r *running) met(kind follower.Integrity, times uint64) {
	r.t.Helper()
	if diff := cmp.Diff(map[follower.Integrity]uint64{kind: times}, r.Broken()); diff != "" {
		r.t.Errorf("met (-want +got):\n%s", diff)
	}
}
