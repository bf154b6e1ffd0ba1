package follower_test

import (
	"strings"
	"testing"
	"time"

	"fleetlog/consumers/follower"
	"fleetlog/internal/fleetsim"
	"fleetlog/manifest"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"
)

func quiet() logrus.FieldLogger {
	logger := logrus.New()
	logger.SetOutput(discard{})
	return logger
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// rollouts is how many channels the reducer's set has.
func (r *running) rollouts() int {
	held, _ := r.Current()
	if held.Set == nil {
		return -1
	}
	return len(held.Set.Rollouts())
}

// TestInvalidTrust: the last valid trust file stays in force, and the reducer
// says what is wrong, before and after ticks, until the file is valid again. No
// tick is needed for that.
func TestInvalidTrust(t *testing.T) {
	for name, bad := range map[string][]byte{"no JSON": []byte("{"), "no file": nil, "no version": []byte(`{"ciReleaseKey":{}}`)} {
		t.Run(name, func(t *testing.T) {
			s, path := newScene(t), t.TempDir()
			first := s.release()
			r := s.start(path)
			r.reaches(first)
			good, err := s.readTrust()
			must(t, err)
			s.setTrust(bad)
			refused := func() bool { return r.notReady() != nil && strings.Contains(r.notReady().Error(), "trust file") }
			r.until("not ready, with the reason", refused)
			tick := s.tick() // the poller states TrustInvalid
			r.until("folded all the same", func() bool {
				_, p := r.Current()
				return p.Sequence == tick.Head.Seq
			})
			if held, _ := r.Current(); !refused() || digestOf(held) != saidBy(first) {
				t.Errorf("behind a tick: not ready because of %v, set %s", r.notReady(), digestOf(held))
			}
			s.setTrust(good)
			r.until("ready again", r.isReady)
			r.reaches(s.release())
			r.stop()
		})
	}
}

// TestChangedTrust takes what it no longer covers out at once, without a tick,
// in memory and on disk; it comes back with the next statement that it covers.
func TestChangedTrust(t *testing.T) {
	s, path := newScene(t), t.TempDir()
	s.sign(resign(t, 1))
	first := s.tick()
	r := s.start(path)
	r.reaches(first)
	both, err := s.readTrust()
	must(t, err)

	s.setTrust(signer.Trust())
	r.until("one channel gone", func() bool { return r.rollouts() == 2 })
	held, p := r.Current()
	if diff := cmp.Diff([]string{fleetsim.ChannelName(1)}, held.Without); diff != "" || p.Tick != 1 {
		t.Errorf("without (-want +got):\n%s", diff)
	}
	r.until("gone from the disk", func() bool { return look(t, path) == digestOf(held) })
	s.setTrust(both)
	r.until("file taken", func() bool { return len(r.entries("trust file has changed")) == 2 })
	if r.rollouts() != 2 {
		t.Error("what trust took came back before the next statement")
	}
	s.setTrust(another.Trust())
	r.until("set gone", func() bool { return r.rollouts() == -1 })
	r.until("gone from the disk", func() bool { return look(t, path) == "none" })
	floor := checkpointIn(t, path).Floor
	if floor == nil || floor.SignedAt != first.Completed.Floor.SignedAt {
		t.Errorf("floor %v went with the set", floor)
	}
	s.setTrust(both)
	r.reaches(s.release())
	r.stop()
}

// TestTrustChangedWhileAway is judged at the start, before anything is served,
// also where no broker answers.
func TestTrustChangedWhileAway(t *testing.T) {
	s, path := newScene(t), t.TempDir()
	s.sign(resign(t, 1))
	r := s.start(path)
	r.reaches(s.tick())
	r.stop()
	s.setTrust(signer.Trust())
	r = s.start(path, away)
	r.until("one channel gone", func() bool { return r.rollouts() == 2 })
	r.stop()
	held, _ := r.Current()
	if look(t, path) != digestOf(held) {
		t.Error("current still holds what trust does not cover")
	}
	s.setTrust(another.Trust())
	r = s.start(path, away)
	r.until("set gone", func() bool { return checkpointIn(t, path).Set == nil })
	r.stop()
	if look(t, path) != "none" {
		t.Error("current still holds what trust does not cover")
	}
}

// TestSameTrustJudgesNothing: under the same trust file a restart changes no
// set, however late it is (I4): a successor key that was in force at the time of
// the statement has its place taken meanwhile.
func TestSameTrustJudgesNothing(t *testing.T) {
	s, path := newScene(t), t.TempDir()
	retire := epoch.Add(time.Hour).Format(time.RFC3339)
	s.setTrust([]byte(strings.Replace(strings.Replace(string(bothKeys(t)), `"previous"`, `"successor"`, 1),
		`"ciReleaseKey":{`, `"ciReleaseKey":{"retireAt":"`+retire+`",`, 1)))
	s.sign(resign(t, 1))
	tick := s.tick()
	r := s.start(path)
	r.reaches(tick)
	r.stop()
	s.later(2 * time.Hour)
	r = s.start(path)
	r.reaches(tick)
	if r.rollouts() != 3 {
		t.Errorf("%d channels after a restart, want 3", r.rollouts())
	}
	r.stop()
}

// TestChangedWindow: what was too old for it when it was stated is out.
func TestChangedWindow(t *testing.T) {
	for name, change := range map[string]func(*follower.Config){
		"for everything": func(c *follower.Config) { c.Window = 60 },
		"from channels":  func(c *follower.Config) { c.Channels = &manifest.ChannelWindows{Floor: 1, Cap: 60} },
	} {
		t.Run(name, func(t *testing.T) {
			s, path := newScene(t), t.TempDir()
			s.sign(nil)
			s.later(10 * time.Minute)
			r := s.start(path)
			r.reaches(s.tick())
			r.stop()
			r = s.start(path, away, change)
			r.until("set gone", func() bool { return checkpointIn(t, path).Set == nil })
			r.stop()
			if c := checkpointIn(t, path); c.Floor == nil || look(t, path) != "none" {
				t.Errorf("checkpoint %+v", c)
			}
		})
	}
}

// TestChangedWindowOfOneChannel takes that channel alone, at once.
func TestChangedWindowOfOneChannel(t *testing.T) {
	s, path := newScene(t), t.TempDir()
	s.later(time.Hour)
	s.sign(func(release fleetsim.Release) {
		early := manifest.InstantOf(s.now().Add(-10 * time.Minute)).String()
		body := strings.Replace(string(release[rolloutFile(1)].Data), manifest.InstantOf(s.now()).String(), early, 1)
		received, err := signer.Sign([]byte(body))
		must(t, err)
		release[rolloutFile(1)].Data, release[rolloutFile(1)+".sig"].Data = received.Body, received.Signature
	})
	r := s.start(path)
	r.reaches(s.tick())
	if r.rollouts() != 3 {
		t.Fatalf("%d channels to begin with", r.rollouts())
	}
	r.stop()
	r = s.start(path, away, func(c *follower.Config) { c.Window = 60 })
	r.until("one channel gone", func() bool { return len(checkpointIn(t, path).Set.Artifacts.Rollouts) == 2 })
	held, _ := r.Current()
	r.stop()
	if look(t, path) != digestOf(held) || r.rollouts() != 2 {
		t.Errorf("serves %d channels, current holds %s", r.rollouts(), look(t, path))
	}
}
