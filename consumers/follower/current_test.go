package follower_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"fleetlog/manifest"

	"errors"
)

// TestCurrentIsAlwaysWhole looks at `current` all the time while sets change,
// reducers restart, and trust takes and gives (I7). A look follows the symlink
// once, as whoever uses a release does.
func TestCurrentIsAlwaysWhole(t *testing.T) {
	s, path := newScene(t), t.TempDir()
	trust, err := manifest.ParseTrust(bothKeys(t))
	must(t, err)
	r := s.start(path)
	r.reaches(s.release())

	stop := make(chan struct{})
	var looking sync.WaitGroup
	var looks int
	seen := make(map[string]bool)
	looking.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			target, err := filepath.EvalSymlinks(filepath.Join(path, "current"))
			if err != nil {
				t.Errorf("current: %v", err)
				return
			}
			digest, err := wholeSet(target, trust)
			if errors.Is(err, fs.ErrNotExist) {
				if _, statErr := os.Stat(target); errors.Is(statErr, fs.ErrNotExist) {
					continue // looked for so long that two newer ones have come
				}
			}
			if err != nil {
				t.Errorf("current holds no whole set: %v", err)
				return
			}
			seen[digest] = true
			looks++
		}
	})
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
