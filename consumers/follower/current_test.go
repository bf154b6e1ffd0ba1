package follower_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"fleetlog/manifest"
)

// TestCurrentIsAlwaysWhole looks at `current` all the time while sets change and
// reducers restart (I7). A look follows the symlink once, as whoever uses a
// release does.
func TestCurrentIsAlwaysWhole(t *testing.T) {
	s, path := newScene(t), t.TempDir()
	trust, err := manifest.ParseTrust(bothKeys(t))
	must(t, err)
	r := s.start(path)
	r.reaches(s.release())

	stop := make(chan struct{})
	var looking sync.WaitGroup
	var looks int
	var seen map[string]bool
	looking.Go(func() { looks, seen = lookUntil(t, stop, path, trust) })
	for n := range 30 {
		s.sign(resign(t, n%3))
		r.reaches(s.tick())
		if n%10 == 9 {
			r.stop()
			s.release()
			r = s.start(path)
		}
	}
	r.stop()
	close(stop)
	looking.Wait()
	t.Logf("%d looks, %d sets", looks, len(seen))
	if len(seen) < 3 {
		t.Errorf("saw %d sets only", len(seen))
	}
}

// lookUntil looks again and again, and says how often, and at which sets.
func lookUntil(t *testing.T, stop <-chan struct{}, path string, trust *manifest.Trust) (looks int, seen map[string]bool) {
	seen = make(map[string]bool)
	for {
		select {
		case <-stop:
			return looks, seen
		default:
		}
		target, err := filepath.EvalSymlinks(filepath.Join(path, "current"))
		if err != nil {
			t.Errorf("current: %v", err)
			return looks, seen
		}
		digest, err := wholeSet(target, trust)
		if errors.Is(err, fs.ErrNotExist) && generationNow(path) >= generationOf(target)+2 {
			continue // the look took so long that two newer ones have come
		}
		if err != nil {
			t.Errorf("current holds no whole set: %v", err)
			return looks, seen
		}
		seen[digest] = true
		looks++
	}
}

// generationOf is the number of the generation at the path, 0 when it is none.
func generationOf(path string) uint64 {
	n, err := strconv.ParseUint(filepath.Base(path), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// generationNow is the number of the one that `current` names.
func generationNow(path string) uint64 {
	target, err := os.Readlink(filepath.Join(path, "current"))
	if err != nil {
		return 0
	}
	return generationOf(target)
}

// TestCurrentAheadOfCheckpoint: a stop came between the two. While the reducer
// folds its way there again, `current` does not go back.
func TestCurrentAheadOfCheckpoint(t *testing.T) {
	s, path := newScene(t), filepath.Join(t.TempDir(), "state")
	first := s.release()
	r := s.start(path)
	r.reaches(first)
	r.stop()
	before := t.TempDir()
	must(t, os.CopyFS(before, os.DirFS(path)))
	s.release()
	_, arrived := s.contents(artifactsStream)
	last := s.release()
	r = s.start(path)
	r.reaches(last)
	r.stop()

	generation := filepath.Join("generations", checkpointIn(t, before).Set.Generation)
	must(t, os.RemoveAll(filepath.Join(path, generation)))
	for _, name := range []string{generation, "checkpoint.json"} {
		must(t, os.Rename(filepath.Join(before, name), filepath.Join(path, name)))
	}
	config, all := s.contents(artifactsStream)
	s.put(config, arrived) // the reducer stays one tick behind
	r = s.start(path)
	r.held(last.Head.Number)
	if held := look(t, path); held != saidBy(last) {
		t.Errorf("current holds %s, want %s", held, saidBy(last))
	}
	for _, m := range all[len(arrived):] {
		s.publish(m)
	}
	r.reaches(last)
	r.stop()
}
