package durable

import (
	"errors"
	"fmt"

	"github.com/gofrs/flock"
)

// ErrLocked says that another process, or another part of this one, holds the
// lock.
var ErrLocked = errors.New("locked by another process")

// Lock is a held lock file. The system releases it when the process ends,
// however it ends.
type Lock struct{ file *flock.Flock }

// LockFile takes the lock or fails at once with [ErrLocked]. The file is created
// where it is missing, and stays; its parent must exist.
func LockFile(path string) (*Lock, error) {
	l := flock.New(path, flock.SetPermissions(0o600))
	held, err := l.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if !held {
		return nil, fmt.Errorf("%s: %w", path, ErrLocked)
	}
	return &Lock{l}, nil
}

// Unlock releases the lock.
func (l *Lock) Unlock() error { return l.file.Unlock() }
