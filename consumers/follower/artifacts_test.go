package follower_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"fleetlog/consumers/check"
	"fleetlog/consumers/follower"
	"fleetlog/events"
)

// TestMissingArtifact: the tick that names it is held, and folded when it
// arrives, as from a mirror that lags. No channel is dropped meanwhile.
func TestMissingArtifact(t *testing.T) {
	s, path := newScene(t), t.TempDir()
	first := s.release()
	r := s.start(path)
	r.reaches(first)
	r.stop()
	second := s.release()
	restore := s.loseArtifacts()
	r = s.start(path)
	r.held(second.Head.Number)
	r.met(follower.LostArtifact, 1)
	fleet := events.ArtifactOf(second.Findings[0])
	says := fmt.Sprintf("tick 2 waits: artifact %s: read sequence %d of nixfleet-prod-artifacts: no such message; if that is lost, start once with --accept-gap %d",
		fleet.SHA256, fleet.Parts[0], second.Head.Seq)
	if r.notReady().Error() != says {
		t.Errorf("not ready because of %v, want %s", r.notReady(), says)
	}
	if told := r.entries("not ready"); len(told) == 0 || fmt.Sprint(told[len(told)-1].Data["error"]) != says {
		t.Errorf("says %v", r.lines())
	}
	if held, _ := r.Current(); digestOf(held) != saidBy(first) || look(t, path) != saidBy(first) {
		t.Errorf("serves %s while it waits, want %s", digestOf(held), saidBy(first))
	}
	restore()
	r.reaches(second)
	r.reaches(s.release())
	r.stop()
	report, err := check.Check(t.Context(), s.log, check.Options{StateDir: path})
	if err != nil || report.Found != 0 || report.Position == nil {
		t.Errorf("the checker finds %+v, %v", report, err)
	}
}

// TestStopWhileWaiting: a reducer that waits for an artifact stops when it is
// told to, and what it folded before is not lost.
func TestStopWhileWaiting(t *testing.T) {
	s, path := newScene(t), t.TempDir()
	first := s.release()
	s.tick()
	unchanged := s.tick()
	_, arrived := s.contents(artifactsStream)
	waiting := s.release()
	config, all := s.contents(artifactsStream)
	s.put(config, arrived)
	var asked atomic.Int64
	r := s.start(path, func(c *follower.Config) {
		c.Clock = func() time.Time { asked.Add(1); return s.now() }
	})
	// The clock stands still, so that no second brings a checkpoint, and is
	// looked at whenever the artifact is asked for again.
	r.until("artifact asked for again and again", func() bool { return asked.Load() > 10 })
	r.stop()
	if c := checkpointIn(t, path); c.Sequence != unchanged.Head.Seq || c.Set.Digest.String() != saidBy(first) {
		t.Errorf("checkpoint at %d, want %d", c.Sequence, unchanged.Head.Seq)
	}
	for _, m := range all[len(arrived):] {
		s.publish(m)
	}
	r = s.start(path)
	r.reaches(waiting)
	r.stop()
}

// TestTrustWhileWaiting: a key that is withdrawn while the reducer waits is out
// at once.
func TestTrustWhileWaiting(t *testing.T) {
	s, path := newScene(t), t.TempDir()
	s.sign(resign(t, 1))
	first := s.tick()
	r := s.start(path)
	r.reaches(first)
	r.stop()
	s.release()
	s.loseArtifacts()
	r = s.start(path)
	r.held(2)
	s.setTrust(signer.Trust())
	r.until("channel dropped", func() bool {
		held, _ := r.Current()
		return held.Set != nil && len(held.Set.Rollouts()) == 2 && len(held.Without) == 1
	})
	r.until("on disk too", func() bool {
		c := checkpointIn(t, path)
		return c.Set != nil && len(c.Set.Artifacts.Rollouts) == 2 && c.Tick == 1
	})
	r.stop()
}

// TestLostArtifacts: what is lost for good is passed over when the operator
// says so. The set stays, which is not the writer's, until everything is stated
// again.
func TestLostArtifacts(t *testing.T) {
	s, path := newScene(t), t.TempDir()
	first := s.release()
	r := s.start(path)
	r.reaches(first)
	r.stop()
	lost := s.release()
	s.loseArtifacts()
	r = s.start(path, acceptingGap(lost.Head.Seq))
	r.until("passed over", func() bool {
		_, p := r.Current()
		return r.isReady() && p.Sequence == lost.Head.Seq
	})
	if held, p := r.Current(); digestOf(held) != saidBy(first) || !p.Diverged {
		t.Errorf("serves %s, diverged %v, want %s", digestOf(held), p.Diverged, saidBy(first))
	}
	r.reaches(s.release())
	r.stop()
}
