package follower_test

import (
	"maps"
	"testing"
	"testing/fstest"

	"fleetlog/consumers/follower"
	"fleetlog/internal/fleetsim"
)

// ownTrust gives a reducer another trust file than the poller's.
func ownTrust(data []byte) func(*follower.Config) {
	return func(c *follower.Config) { c.Trust = func() ([]byte, error) { return data, nil } }
}

// TestDivergence: the own verdict stands, and the difference is told once, with
// both sides' reasons.
func TestDivergence(t *testing.T) {
	s, path := newScene(t), t.TempDir()
	r := s.start(path, ownTrust(signer.Trust()))
	r.reaches(s.release())
	s.sign(func(release fleetsim.Release) {
		resign(t, 1)(release)
		release[rolloutFile(2)+".sig"].Data = make([]byte, 64)
	})
	tick := s.tick()
	r.until("diverged", func() bool {
		_, p := r.Current()
		return p.Diverged && p.Sequence == tick.Head.Seq
	})
	if r.rollouts() != 1 || !r.isReady() {
		t.Errorf("%d channels, not ready because of %v: the own verdict must stand", r.rollouts(), r.notReady())
	}
	alarms := r.entries(alarm)
	if len(alarms) != 1 {
		t.Fatalf("%d alarms: %v", len(alarms), r.lines())
	}
	for _, name := range []string{"own channel-001", "writer channel-002", "own", "writer", "tick", "seq"} {
		if alarms[0].Data[name] == nil {
			t.Errorf("%s is not told: %v", name, alarms[0].Data)
		}
	}
	last := s.tick()
	r.until("tick folded", func() bool {
		_, p := r.Current()
		return p.Sequence == last.Head.Seq
	})
	if n := len(r.entries(alarm)); n != 1 {
		t.Errorf("%d alarms about the same two sets", n)
	}
	r.reaches(s.release())
	s.sign(resign(t, 0))
	again := s.served
	s.tick()
	r.until("alarm about other sets", func() bool { return len(r.entries(alarm)) == 2 })
	s.serve(withoutSignature(again, rolloutFile(0))) // now the writer refuses it too
	r.reaches(s.tick())
	s.serve(again)
	s.tick()
	r.until("alarm about the same sets anew", func() bool { return len(r.entries(alarm)) == 3 })
	r.met(follower.Divergence, 3)
	r.stop()
}

// withoutSignature is the release with a signature that is none.
func withoutSignature(release fleetsim.Release, name string) fleetsim.Release {
	broken := maps.Clone(release)
	broken[name+".sig"] = &fstest.MapFile{Data: make([]byte, 64)}
	return broken
}

// TestDivergenceWhileCatchingUp is counted; the newest tick's is told.
func TestDivergenceWhileCatchingUp(t *testing.T) {
	s := newScene(t)
	for range 3 {
		s.sign(resign(t, 1))
		s.tick()
	}
	same := s.release()
	r := s.start(t.TempDir(), ownTrust(signer.Trust()))
	r.reaches(same)
	told := r.entries(counted)
	if len(told) != 1 || told[0].Data["ticks"] != uint64(3) || len(r.entries(alarm)) != 0 {
		t.Errorf("want three ticks counted and no alarm: %v", r.lines())
	}
	r.stop()
	s.sign(resign(t, 1))
	s.tick()
	last := s.tick()
	r = s.start(t.TempDir(), ownTrust(signer.Trust()))
	r.until("diverged at the end", func() bool {
		_, p := r.Current()
		return r.isReady() && p.Sequence == last.Head.Seq && p.Diverged
	})
	if alarms := r.entries(alarm); len(alarms) != 1 || alarms[0].Data["own channel-001"] == nil {
		t.Errorf("want an alarm about the newest tick: %v", r.lines())
	}
	r.stop()
}

// TestDivergenceBehindDamage: what was folded anew is compared again from where
// the log has come as far as the set of before.
func TestDivergenceBehindDamage(t *testing.T) {
	s, path := newScene(t), t.TempDir()
	s.release()
	r := s.start(path, ownTrust(signer.Trust()))
	r.reaches(s.release())
	r.stop()
	damages["half a checkpoint"](t, path)
	for range 2 {
		s.sign(resign(t, 1))
		s.tick()
	}
	last := s.release()
	r = s.start(path, ownTrust(signer.Trust()))
	r.reaches(last)
	r.stop()
	if told := r.entries(counted); len(told) != 1 || told[0].Data["ticks"] != uint64(2) {
		t.Errorf("want two ticks counted: %v", r.lines())
	}
}
