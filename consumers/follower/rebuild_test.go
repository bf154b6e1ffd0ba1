package follower_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"fleetlog/consumers/follower"
	"fleetlog/eventlog"
)

// rebuild folds the log into the directory from the beginning.
func (s *scene) rebuild(ctx context.Context, path string) (*follower.Reducer, error) {
	s.t.Helper()
	c := s.config(path)
	c.Log = quiet()
	r, err := follower.NewReducer(c)
	must(s.t, err)
	return r, errors.Join(r.Rebuild(ctx), c.State.Close())
}

// TestRebuild ends by itself, with the set of the log.
func TestRebuild(t *testing.T) {
	s, path := newScene(t), t.TempDir()
	s.release()
	last := s.release()
	for range 2 { // of nothing, and of the same
		r, err := s.rebuild(t.Context(), path)
		must(t, err)
		if held, p := r.Current(); digestOf(held) != saidBy(last) || p.Sequence != last.Head.Seq || look(t, path) != saidBy(last) {
			t.Errorf("rebuilt %s at %+v, want %s", digestOf(held), p, saidBy(last))
		}
	}
}

// TestRebuildFails where the log does not hold everything, or is another one,
// and leaves the set as it was.
func TestRebuildFails(t *testing.T) {
	s, path := newScene(t), t.TempDir()
	last := s.release()
	_, err := s.rebuild(t.Context(), path)
	must(t, err)
	restore := s.loseArtifacts()
	var missing *eventlog.ArtifactError
	if _, err := s.rebuild(t.Context(), path); !errors.As(err, &missing) {
		t.Errorf("without artifacts: %v, want ArtifactError", err)
	}
	restore()
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if _, err := s.rebuild(stopped, path); !errors.Is(err, context.Canceled) {
		t.Errorf("told to stop: %v, want an error: nothing was rebuilt", err)
	}
	_, err = s.rebuild(t.Context(), path)
	must(t, err)
	s.forget()
	if _, err := s.rebuild(t.Context(), path); !errors.Is(err, eventlog.ErrMissing) {
		t.Errorf("without a log: %v, want ErrMissing", err)
	}
	s.provision(nil)
	if _, err := s.rebuild(t.Context(), path); err == nil || !strings.Contains(err.Error(), "--accept-lineage") {
		t.Errorf("of another log: %v, want a hint", err)
	}
	if c := checkpointIn(t, path); c.Lineage == s.log.Lineage() || look(t, path) != saidBy(last) {
		t.Errorf("after all that %+v, want lineage and set of before", c)
	}
}
