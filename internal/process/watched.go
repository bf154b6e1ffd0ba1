package process

import (
	"io/fs"
	"os"
	"slices"
	"sync"
)

// watched is what was made of files that are looked at before every use.
type watched[T any] struct {
	paths  []string
	load   func() (T, error)
	broken func(error)

	mu      sync.Mutex
	seen    []fs.FileInfo // what the files were when they were last read
	current T
}

// watch loads the files. broken is told when changed files cannot be used.
func watch[T any](paths []string, load func() (T, error), broken func(error)) (*watched[T], error) {
	w := &watched[T]{paths: paths, load: load, broken: broken, seen: stat(paths)}
	var err error
	w.current, err = load()
	return w, err
}

// inForce returns what the files make now, and what that has replaced just now,
// if it has. Changed files are taken into force together; broken ones leave the
// old ones in force and are reported once.
func (w *watched[T]) inForce() (current, replaced T) {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := stat(w.paths)
	if slices.EqualFunc(seen, w.seen, unchanged) {
		return w.current, replaced
	}
	w.seen = seen
	next, err := w.load()
	if err != nil {
		w.broken(err)
		return w.current, replaced
	}
	replaced, w.current = w.current, next
	return w.current, replaced
}

// stat looks at the files; nil stands for one that cannot be seen.
func stat(paths []string) []fs.FileInfo {
	var infos []fs.FileInfo
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			info = nil
		}
		infos = append(infos, info)
	}
	return infos
}

// unchanged compares more than times: where files are replaced by changing a
// symlink, as on NixOS, all may have the same one.
func unchanged(a, b fs.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}
