package follower_test

import (
	"bytes"
	"crypto/ed25519"
	"strings"
	"testing"
	"time"

	"fleetlog/consumers/follower"
	"fleetlog/events"
	"fleetlog/manifest"
)

func accepting(lineage string) func(*follower.Config) {
	return func(c *follower.Config) { c.AcceptLineage = lineage }
}

// halted waits until the reducer has stopped applying, and demands that it goes
// on serving the set.
func (r *running) halted(set, hint string) {
	r.t.Helper()
	r.until("halted", func() bool {
		err := r.notReady()
		return err != nil && strings.Contains(err.Error(), hint)
	})
	if held, _ := r.Current(); digestOf(held) != set {
		r.t.Errorf("serves %s, want %s", digestOf(held), set)
	}
}

// TestOtherLineage: a log that is another one is not followed before a person
// says so, and the floor holds even then.
func TestOtherLineage(t *testing.T) {
	s, path := newScene(t), t.TempDir()
	older := s.now()
	old := s.release()
	r := s.start(path)
	r.reaches(old)
	r.stop()
	floor := checkpointIn(t, path).Floor

	s.forget()
	s.clock.Store(older.UnixMilli())
	s.closures = 70
	s.provision(nil)
	rollback := s.release() // signed before what was accepted, in a log that does not know that
	s.later(time.Second)
	r = s.start(path)
	r.halted(saidBy(old), "--accept-lineage "+s.log.Lineage())
	r.met(follower.OtherLog, 1)
	s.release()
	r.stop()
	if c := checkpointIn(t, path); c.Lineage == s.log.Lineage() || look(t, path) != saidBy(old) {
		t.Errorf("halted, and yet at %+v", c)
	}
	// Accepting a third log is not accepting this one.
	r = s.start(path, accepting("9b1c2d3e-4f50-4a61-8b72-93a4b5c6d7e8"))
	r.halted(saidBy(old), "--accept-lineage "+s.log.Lineage())
	r.stop()

	r = s.start(path, accepting(s.log.Lineage()))
	last := s.release()
	r.reaches(last)
	r.stop()
	c := checkpointIn(t, path)
	if c.Lineage != s.log.Lineage() || c.Floor.SignedAt.Compare(floor.SignedAt) < 0 || saidBy(rollback) == saidBy(old) {
		t.Errorf("checkpoint %+v", c)
	}
	if len(quarantined(t, path)) != 1 {
		t.Errorf("%v set aside, want the old lineage's checkpoint", quarantined(t, path))
	}
}

// TestFloorHoldsInANewLineage: what is older than the last accepted fleet stays
// out, however the log came about.
func TestFloorHoldsInANewLineage(t *testing.T) {
	s, path := newScene(t), t.TempDir()
	s.sign(nil)
	early := s.served
	s.later(time.Minute)
	newer := s.release()
	r := s.start(path)
	r.reaches(newer)
	r.stop()

	s.forget()
	s.provision(nil)
	s.serve(early)
	tick := s.tick()
	r = s.start(path, accepting(s.log.Lineage()))
	r.until("ready with the set of before", func() bool {
		_, p := r.Current()
		return r.isReady() && p.Sequence == tick.Head.Seq
	})
	held, p := r.Current()
	if digestOf(held) != saidBy(newer) || !p.Diverged || look(t, path) != saidBy(newer) {
		t.Errorf("serves %s, diverged %v, want %s", digestOf(held), p.Diverged, saidBy(newer))
	}
	r.reaches(s.release())
	r.stop()
}

// TestOtherWriter: with the writers of the first use remembered, a new log of
// another writer is not followed either, nor is it the end of the process.
func TestOtherWriter(t *testing.T) {
	s, path := newScene(t), t.TempDir()
	old := s.release()
	r := s.start(path)
	r.reaches(old)
	r.stop()

	s.forget()
	s.key = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, 32))
	s.provision(nil)
	last := s.release()
	r = s.start(path)
	r.halted(saidBy(old), events.ErrNotOpened.Error())
	r.stop()
	r = s.start(path, accepting("9b1c2d3e-4f50-4a61-8b72-93a4b5c6d7e8"))
	r.halted(saidBy(old), events.ErrNotOpened.Error())
	r.stop()
	r = s.start(path, accepting(s.log.Lineage()))
	r.reaches(last)
	r.stop()
	if c := checkpointIn(t, path); len(c.Writers) != 1 || c.Writers[0] != last.Completed.Writer {
		t.Errorf("remembers %v, want %v", c.Writers, last.Completed.Writer)
	}
	r = s.start(path) // now it is the log
	r.reaches(s.release())
	r.stop()
}

// TestContinuedFloor: a log that continues another begins with its floor.
func TestContinuedFloor(t *testing.T) {
	s, path := newScene(t), t.TempDir()
	s.forget()
	floor := &events.Floor{SignedAt: manifest.InstantOf(epoch.Add(time.Minute)), FleetHash: manifest.Sum([]byte("x"))}
	s.provision(&events.Continues{Lineage: "9b1c2d3e-4f50-4a61-8b72-93a4b5c6d7e8", Number: 9, Floor: floor})
	r := s.start(path)
	r.until("ready", r.isReady)
	if got := checkpointIn(t, path).Floor; got == nil || got.SignedAt != floor.SignedAt || got.FleetHash != floor.FleetHash {
		t.Errorf("floor %v, want %v", got, floor)
	}
	s.later(2 * time.Minute)
	r.reaches(s.release())
	r.stop()
}

// TestTruncatedLog: of the same log, but put back as it was earlier. The floor
// and the set stand until the log has come as far again.
func TestTruncatedLog(t *testing.T) {
	s, path := newScene(t), t.TempDir()
	first := s.release()
	s.release()
	last := s.release()
	r := s.start(path)
	r.reaches(last)
	r.stop()

	s.truncate(first.Head.Seq)
	r = s.start(path)
	r.until("ready at the log's end", func() bool {
		_, p := r.Current()
		return r.isReady() && p.Sequence == first.Head.Seq
	})
	held, p := r.Current()
	if digestOf(held) != saidBy(last) || !p.Diverged || look(t, path) != saidBy(last) {
		t.Errorf("serves %s, diverged %v, want %s", digestOf(held), p.Diverged, saidBy(last))
	}
	if n := len(r.entries(alarm)); n != 1 {
		t.Errorf("%d alarms, want one: %v", n, r.lines())
	}
	if n := len(r.entries(counted)); n != 0 {
		t.Errorf("that the set is newer than the log is no divergence while catching up: %v", r.lines())
	}
	r.reaches(s.release())
	r.stop()
	if n := len(quarantined(t, path)); n != 1 {
		t.Errorf("%d checkpoints set aside, want 1", n)
	}
}

const (
	alarm   = "own set is not the one that the writer holds"
	counted = "while catching up, own set differed from the writer's"
)

// TestReplacedEvents: the log has been put back and goes on otherwise than
// before.
func TestReplacedEvents(t *testing.T) {
	s, path := newScene(t), t.TempDir()
	first := s.release()
	last := s.release()
	r := s.start(path)
	r.reaches(last)
	r.stop()
	s.truncate(first.Head.Seq)
	var other *events.Tick
	for range 4 {
		other = s.release()
	}
	r = s.start(path)
	r.reaches(other)
	r.met(follower.Rewritten, 1)
	r.stop()
	if c := checkpointIn(t, path); c.Sequence != other.Head.Seq || len(quarantined(t, path)) != 1 {
		t.Errorf("checkpoint %+v, %v set aside", c, quarantined(t, path))
	}
}

// TestDamagedState is set aside and folded anew; what is older than the set in
// `current` stays out.
func TestDamagedState(t *testing.T) {
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			s, path := newScene(t), t.TempDir()
			s.release()
			last := s.release()
			r := s.start(path)
			r.reaches(last)
			r.stop()
			floor := checkpointIn(t, path).Floor
			damage(t, path)
			r = s.start(path)
			r.reaches(last)
			r.met(follower.DamagedState, 1)
			r.stop()
			c := checkpointIn(t, path)
			if c.Set.Digest.String() != saidBy(last) || c.Floor.SignedAt != floor.SignedAt || look(t, path) != saidBy(last) {
				t.Errorf("checkpoint %+v", c)
			}
			if n := len(quarantined(t, path)); n != 1 {
				t.Errorf("%d checkpoints set aside, want 1", n)
			}
		})
	}
}

// TestDamagedStateKeepsFloor: with a log that has lost the newest fleets.
func TestDamagedStateKeepsFloor(t *testing.T) {
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			s, path := newScene(t), t.TempDir()
			first := s.release()
			last := s.release()
			r := s.start(path)
			r.reaches(last)
			r.stop()
			damage(t, path)
			s.truncate(first.Head.Seq)
			r = s.start(path)
			r.until("ready at the log's end", func() bool {
				_, p := r.Current()
				return r.isReady() && p.Sequence == first.Head.Seq
			})
			if held, _ := r.Current(); digestOf(held) == saidBy(first) {
				t.Error("a fleet below the floor was taken")
			}
			if name == "half a checkpoint" && look(t, path) != saidBy(last) {
				t.Error("what current holds did not stand")
			}
			r.reaches(s.release())
			r.stop()
		})
	}
}

// TestTrustTakesCurrent, also where it could not be loaded and stands for that
// reason alone.
func TestTrustTakesCurrent(t *testing.T) {
	s, path := newScene(t), t.TempDir()
	first := s.release()
	last := s.release()
	r := s.start(path)
	r.reaches(last)
	r.stop()
	damages["half a checkpoint"](t, path)
	s.truncate(first.Head.Seq)
	r = s.start(path)
	r.until("ready", r.isReady)
	if look(t, path) != saidBy(last) {
		t.Fatal("what current holds did not stand")
	}
	s.setTrust(another.Trust())
	r.until("gone", func() bool { return look(t, path) == "none" })
	r.stop()
}
