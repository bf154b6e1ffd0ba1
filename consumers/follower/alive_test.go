package follower_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"fleetlog/consumers/follower"
	"fleetlog/eventlog"
	"fleetlog/events"
)

// pulse keeps what a reducer says of its progress.
type pulse struct {
	mu   sync.Mutex
	said []follower.Progress
}

func (p *pulse) beat(said follower.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.said = append(p.said, said)
}

func (p *pulse) all() []follower.Progress {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]follower.Progress(nil), p.said...)
}

// feel lets the pulse hear a reducer that is quick to check and to wait.
func (p *pulse) feel(c *follower.Config) {
	c.Alive, c.CheckEvery, c.TrustEvery = p.beat, 20*time.Millisecond, 20*time.Millisecond
}

// TestProgressIsTold while a reducer catches up, with what is left, and then for
// every check of the streams although nothing comes.
func TestProgressIsTold(t *testing.T) {
	s, p := newScene(t), new(pulse)
	first := s.release()
	s.release()
	last := s.release()
	r := s.start(t.TempDir(), p.feel)
	r.reaches(last)
	told := slices.DeleteFunc(p.all(), func(said follower.Progress) bool { return said.Stored == 0 })
	if want := (follower.Progress{Sequence: first.Head.Seq, Stored: last.Head.Seq}); told[0] != want {
		t.Errorf("first told %+v, want %+v", told[0], want)
	}
	end := follower.Progress{Sequence: last.Head.Seq, Stored: last.Head.Seq, CaughtUp: true}
	r.until("told again and again", func() bool {
		said := p.all()
		return len(said) >= 6 && said[len(said)-1] == end && said[len(said)-2] == end && said[len(said)-3] == end
	})
	r.stop()
}

// TestWaitingIsNoProgress, but a sign of life: nothing is known of the log.
func TestWaitingIsNoProgress(t *testing.T) {
	s, p := newScene(t), new(pulse)
	s.release()
	r := s.start(t.TempDir(), p.feel, func(c *follower.Config) {
		c.Open = func(context.Context, []events.PublicKey) (*eventlog.Log, error) { return nil, eventlog.ErrUnavailable }
	})
	r.until("told again and again", func() bool { return len(p.all()) >= 5 })
	r.stop()
	for _, said := range p.all() {
		if said != (follower.Progress{}) {
			t.Errorf("told %+v without a broker", said)
		}
	}
}
