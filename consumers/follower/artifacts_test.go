package follower_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fleetlog/consumers/follower"
	"fleetlog/eventlog"
)

// TestMissingArtifact: the tick that names it is held, and folded when it
// arrives. No channel is dropped meanwhile.
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
	if !strings.Contains(r.notReady().Error(), "--accept-gap") {
		t.Errorf("not ready because of %v, want the way out named", r.notReady())
	}
	if held, _ := r.Current(); digestOf(held) != saidBy(first) || look(t, path) != saidBy(first) {
		t.Errorf("serves %s while it waits, want %s", digestOf(held), saidBy(first))
	}
	restore()
	r.reaches(second)
	r.reaches(s.release())
	r.stop()
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

// TestRebuild ends by itself, with the set of the log.
func TestRebuild(t *testing.T) {
	s, path := newScene(t), t.TempDir()
	s.release()
	last := s.release()
	ctx, cancel := context.WithCancel(t.Context())
	rebuild := func() (*follower.Reducer, error) {
		c := s.config(path)
		c.Log = quiet()
		r, err := follower.NewReducer(c)
		must(t, err)
		return r, errors.Join(r.Rebuild(ctx), c.State.Close())
	}
	for range 2 { // of nothing, and of the same
		r, err := rebuild()
		must(t, err)
		if held, p := r.Current(); digestOf(held) != saidBy(last) || p.Sequence != last.Head.Seq || look(t, path) != saidBy(last) {
			t.Errorf("rebuilt %s at %+v, want %s", digestOf(held), p, saidBy(last))
		}
	}
	restore := s.loseArtifacts()
	var missing *eventlog.ArtifactError
	if _, err := rebuild(); !errors.As(err, &missing) {
		t.Errorf("without artifacts: %v, want ArtifactError", err)
	}
	if look(t, path) != saidBy(last) {
		t.Error("a rebuild that failed has changed the set")
	}
	restore()
	_, err := rebuild()
	must(t, err)
	s.forget()
	if _, err := rebuild(); !errors.Is(err, eventlog.ErrMissing) {
		t.Errorf("without a log: %v, want ErrMissing", err)
	}
	s.provision(nil)
	if _, err := rebuild(); err == nil || !strings.Contains(err.Error(), "--accept-lineage") {
		t.Errorf("of another log: %v, want a hint", err)
	}
	if c := checkpointIn(t, path); c.Lineage == s.log.Lineage() || look(t, path) != saidBy(last) {
		t.Errorf("of another log, unasked: %+v", c)
	}
	cancel()
	if _, err := rebuild(); !errors.Is(err, context.Canceled) {
		t.Errorf("told to stop: %v, want an error: nothing was rebuilt", err)
	}
}
