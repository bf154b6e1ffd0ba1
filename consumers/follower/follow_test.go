package follower_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"fleetlog/consumers/follower"
	"fleetlog/eventlog"
	"fleetlog/events"
)

func TestCatchesUpAndFollows(t *testing.T) {
	s, path := newScene(t), t.TempDir()
	for range 4 {
		s.release()
	}
	s.spoil("fleet.resolved.json")
	s.tick()
	r := s.start(path)
	r.reaches(s.tick())
	for range 3 {
		r.reaches(s.release())
	}
	r.reaches(s.tick())
	s.spoil(rolloutFile(1) + ".sig")
	r.reaches(s.tick())
	r.stop()
	held, p := r.Current()
	c := checkpointIn(t, path)
	if c.Sequence != p.Sequence || c.Set.Digest != held.Set.Digest() || c.Lineage != s.log.Lineage() || c.TrustDigest.IsZero() {
		t.Errorf("checkpoint %+v, position %+v", c, p)
	}
	if whole := look(t, path); whole != digestOf(held) {
		t.Errorf("current holds %s, want %s", whole, digestOf(held))
	}
}

// TestRestart goes on from the checkpoint: to the same set, without looking at
// what is before it.
func TestRestart(t *testing.T) {
	s, path := newScene(t), t.TempDir()
	s.release()
	_, err := s.js.Publish(t.Context(), "nixfleet.prod.event.TickCompleted", []byte("noise"))
	must(t, err)
	second := s.release()
	r := s.start(path)
	r.reaches(second)
	r.stop()
	if r.noise() != 1 {
		t.Fatalf("first run: %v", r.lines())
	}
	// Without anything new.
	r = s.start(path)
	r.reaches(second)
	r.stop()
	// With ticks that came while it was away, and others while it runs.
	s.release()
	last := s.tick()
	r = s.start(path)
	r.reaches(last)
	r.reaches(s.release())
	r.stop()
	if r.noise() != 0 {
		t.Errorf("the log was read again from its beginning: %v", r.lines())
	}
	if kept := quarantined(t, path); len(kept) != 0 {
		t.Errorf("%v set aside", kept)
	}
}

// TestServesWithoutBroker: what the directory holds is served from the start,
// and the reducer says that it is not ready.
func TestServesWithoutBroker(t *testing.T) {
	s, path := newScene(t), t.TempDir()
	tick := s.release()
	r := s.start(path)
	r.reaches(tick)
	r.stop()
	r = s.start(path, func(c *follower.Config) {
		c.Open = func(context.Context, []events.PublicKey) (*eventlog.Log, error) { return nil, eventlog.ErrUnavailable }
	})
	r.until("not ready, with the reason", func() bool { return errors.Is(r.notReady(), eventlog.ErrUnavailable) })
	held, p := r.Current()
	if digestOf(held) != saidBy(tick) || p.Sequence != tick.Head.Seq || p.Time != tick.Head.Time {
		t.Errorf("serves %s at %+v, want %s", digestOf(held), p, saidBy(tick))
	}
	r.stop()
}

// TestOldSetsAreNotServed: while a reducer catches up it serves what it had.
func TestOldSetsAreNotServed(t *testing.T) {
	s, path := newScene(t), t.TempDir()
	first := s.release()
	r := s.start(path)
	r.reaches(first)
	r.stop()
	for range 5 {
		s.release()
	}
	s.loseArtifacts() // the first new tick is held
	r = s.start(path)
	r.held(2)
	if held, p := r.Current(); digestOf(held) != saidBy(first) || p.Tick != 1 || r.isReady() {
		t.Errorf("serves %s of tick %d", digestOf(held), p.Tick)
	}
	r.stop()
}

// held waits until the tick is held for long enough to be told.
func (r *running) held(number uint64) {
	r.t.Helper()
	r.until("tick held", func() bool {
		r.scene.later(time.Minute)
		err := r.notReady()
		return err != nil && strings.Contains(err.Error(), fmt.Sprintf("tick %d waits", number))
	})
}

// TestUnknownType: an accepted writer has written what this program does not
// know.
func TestUnknownType(t *testing.T) {
	s, path := newScene(t), t.TempDir()
	tick := s.release()
	s.publishSigned("TickCompleted", `{"type":"TickSealed.v1","fleet":"prod"}`)
	r := s.start(path)
	err := waitEnd(t, r)
	var unknown *events.UnknownTypeError
	if !errors.As(err, &unknown) || unknown.Type != "TickSealed.v1" {
		t.Fatalf("run: %v, want UnknownTypeError", err)
	}
	if c := checkpointIn(t, path); c.Sequence > tick.Head.Seq {
		t.Errorf("checkpoint at %d, behind the event at %d", c.Sequence, unknown.Seq)
	}
}

// waitEnd waits until Run has returned by itself.
func waitEnd(t *testing.T, r *running) error {
	t.Helper()
	select {
	case err := <-r.done:
		r.done <- err
		return err
	case <-time.After(30 * time.Second):
		t.Fatalf("the reducer goes on: %v", r.lines())
		return nil
	}
}

// TestNoise is counted and named, and changes nothing.
func TestNoise(t *testing.T) {
	s, path := newScene(t), t.TempDir()
	tick := s.release()
	r := s.start(path)
	r.reaches(tick)
	held, _ := r.Current()
	for _, leaf := range []string{"TickCompleted", "FleetFetched", "LogOpened", "RolloutVerified.channel-000"} {
		_, err := s.js.Publish(t.Context(), "nixfleet.prod.event."+leaf, []byte("{}"))
		must(t, err)
	}
	m, err := s.log.Message(t.Context(), tick.Head.Seq)
	must(t, err)
	s.publish(m) // a valid tick a second time
	r.until("five messages of noise", func() bool { return r.noise() == 5 })
	r.met(follower.Noise, 5)
	if now, p := r.Current(); now.Set != held.Set || p.Sequence != tick.Head.Seq || !r.isReady() {
		t.Errorf("noise has changed something: %+v, %v", p, r.notReady())
	}
	r.reaches(s.release())
	r.stop()
}

// noise is how many messages of noise the reducer has told of.
func (r *running) noise() (total uint64) {
	for _, e := range r.said.AllEntries() {
		if strings.HasPrefix(e.Message, "noise in the log") {
			total = e.Data["total"].(uint64)
		}
	}
	return total
}
