package producers_test

import (
	"context"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
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

// turningSource serves the next of some releases from each time on that it is asked
// for the fleet: for the first time once so many manifests have come.
type turningSource struct {
	producers.Source
	releases []producers.Source
	turn     atomic.Int32
	come     sync.WaitGroup
}

func (s *turningSource) Fleet(ctx context.Context, known manifest.Received) (manifest.Received, error) {
	s.come.Wait()
	return s.releases[s.turn.Add(1)].Fleet(ctx, known)
}

func (s *turningSource) Rollout(ctx context.Context, id manifest.RolloutID, known manifest.Received) (manifest.Received, error) {
	turn := s.turn.Load()
	if turn == 0 {
		defer s.come.Done()
	}
	return s.releases[turn].Rollout(ctx, id, known)
}

// TestAskedAheadOfASecondTry: what was asked for ahead is not taken for what a fleet
// that is fetched once more wants: it may be of an older signing.
func TestAskedAheadOfASecondTry(t *testing.T) {
	of := func(commit string, later time.Duration) fleetsim.Release {
		f := fleet()
		f.Commit, f.SignedAt = commit, f.SignedAt.Add(later)
		return sign(t, f)
	}
	commit := fleet().Commit
	older, torn, newest := of(commit, 0), of("feed", time.Second), of(commit, 3*time.Second)
	for name, file := range of("feed", 2*time.Second) {
		if strings.HasPrefix(name, "rollouts/") {
			torn[name] = file // of another fleet: all is fetched once more
		}
	}
	s := newStation(older)
	wantSaid(t, s.tick(t, time.Minute), allVerified...)
	source := &turningSource{Source: s.poll.Source}
	for _, release := range []fleetsim.Release{older, torn, newest} {
		source.releases = append(source.releases, producers.NewDirectory(release))
	}
	s.poll.Source, s.poll.Concurrency = source, len(s.memory.Set.Rollouts())
	source.come.Add(s.poll.Concurrency)
	wantSaid(t, s.tick(t, time.Minute), allVerified...)
}
