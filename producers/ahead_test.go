package producers_test

import (
	"context"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"time"

	"fleetlog/internal/fleetsim"
	"fleetlog/manifest"
	"fleetlog/producers"
)

// watchedSource notes what is asked of it, and answers for the fleet only once so
// many things have been asked for.
type watchedSource struct {
	producers.Source
	until int

	mu      sync.Mutex
	asked   []string
	reached chan struct{} // closed when they have
}

func (w *watchedSource) note(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.asked = append(w.asked, what); len(w.asked) == w.until {
		close(w.reached)
	}
}

func (w *watchedSource) count(what string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.asked {
		if a == what {
			n++
		}
	}
	return n
}

func (w *watchedSource) Fleet(ctx context.Context, known manifest.Received) (manifest.Received, error) {
	w.note("fleet")
	<-w.reached
	return w.Source.Fleet(ctx, known)
}

func (w *watchedSource) Rollout(ctx context.Context, id manifest.RolloutID, known manifest.Received) (manifest.Received, error) {
	w.note(id.String())
	return w.Source.Rollout(ctx, id, known)
}

// TestAskedAhead: from the second tick on manifests are asked for while the fleet
// is under way, each once. What the fleet then has no use for is not looked at.
func TestAskedAhead(t *testing.T) {
	older, newer := fleet(), fleet()
	newer.Commit, newer.SignedAt = "feed", newer.SignedAt.Add(time.Second)
	releases := []fs.FS{sign(t, older), sign(t, newer)}
	s := newStation(releases[0])
	wantSaid(t, s.tick(t, time.Minute), allVerified...)
	source, rollouts := s.poll.Source, len(s.memory.Set.Rollouts())
	s.poll.Concurrency = rollouts
	for i, want := range []int{1, 2} { // requests for manifests in parts of those there are
		watched := &watchedSource{Source: source, until: 1 + rollouts, reached: make(chan struct{})}
		s.poll.Source, s.release = watched, releases[i]
		wantSaid(t, s.tick(t, time.Minute), allVerified...)
		for _, what := range watched.asked {
			if n := watched.count(what); n != 1 {
				t.Errorf("%s was asked for %d times", what, n)
			}
		}
		if n := len(watched.asked); n != 1+want*rollouts {
			t.Errorf("asked for %v", watched.asked)
		}
	}
}

// TestNothingIsAskedAheadOfASourceThatIsDown: while the fleet does not come, it is
// all that is asked for.
func TestNothingIsAskedAheadOfASourceThatIsDown(t *testing.T) {
	s := newStation(sign(t, fleet()))
	wantSaid(t, s.tick(t, time.Minute), allVerified...)
	source := s.poll.Source
	s.release = fleetsim.Release{}
	for i := range 3 {
		watched := &watchedSource{Source: source, until: 1, reached: make(chan struct{})}
		s.poll.Source = watched
		if got := said(s.tick(t, time.Minute)); len(got) != 1 || !strings.HasPrefix(got[0], "fleet fetch ") {
			t.Errorf("tick %d says %q", i, got)
		}
		if i > 0 && len(watched.asked) != 1 {
			t.Errorf("tick %d asks for %v", i, watched.asked)
		}
	}
}
