// Package durable is the only place that creates, syncs, renames or locks
// files. Each function is one intent; when it returns nil, what it did survives
// a power cut, and when the machine stops inside it, the file is as before or
// as after.
package durable

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"
)

// CreateExclusive creates the file with the data, whole or not at all. It fails
// with [fs.ErrExist] when something has that name.
func CreateExclusive(path string, data []byte, perm fs.FileMode) error {
	temporary, err := writeTemporary(path, data, perm)
	if err != nil {
		return err
	}
	defer os.Remove(temporary) //nolint:errcheck // it is a second name by now, or of no use
	if err := os.Link(temporary, path); err != nil {
		return fmt.Errorf("create file: %w", err)
	}
	return SyncDir(filepath.Dir(path))
}

// DifferentError says that a file which must hold certain bytes holds others.
type DifferentError struct{ Path string }

// Error names the file.
func (e *DifferentError) Error() string { return e.Path + " exists with other content" }

// Confirm creates the file with the data, or accepts that it holds them
// already. Error: [*DifferentError].
func Confirm(path string, data []byte, perm fs.FileMode) error {
	err := CreateExclusive(path, data, perm)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	have, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("confirm file: %w", err)
	}
	if !bytes.Equal(have, data) {
		return &DifferentError{path}
	}
	return nil
}

// Replace gives the file new content, creating it where it is missing.
func Replace(path string, data []byte, perm fs.FileMode) error {
	temporary, err := writeTemporary(path, data, perm)
	if err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		return errors.Join(fmt.Errorf("replace file: %w", err), os.Remove(temporary))
	}
	return SyncDir(filepath.Dir(path))
}

// writeTemporary writes and syncs a file beside path.
func writeTemporary(path string, data []byte, perm fs.FileMode) (name string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return "", fmt.Errorf("write file: %w", err)
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(perm))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(fmt.Errorf("write file: %w", err), os.Remove(f.Name()))
	}
	return f.Name(), nil
}

// ReplaceSymlink makes link point to target in one step.
func ReplaceSymlink(target, link string) error {
	temporary := link + ".new"
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("replace symlink: %w", err)
	}
	if err := os.Symlink(target, temporary); err != nil {
		return fmt.Errorf("replace symlink: %w", err)
	}
	if err := os.Rename(temporary, link); err != nil {
		return fmt.Errorf("replace symlink: %w", err)
	}
	return SyncDir(filepath.Dir(link))
}

// MakeDir makes the directory and its parents where they are missing.
func MakeDir(path string, perm fs.FileMode) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil
	}
	parent := filepath.Dir(path)
	if parent != path {
		if err := MakeDir(parent, perm); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, perm); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make directory: %w", err)
	}
	return SyncDir(parent)
}

// Rename gives a file or directory another name, which must be free or, for a
// file, may be replaced.
func Rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return fmt.Errorf("rename: %w", err)
	}
	return errors.Join(SyncDir(filepath.Dir(to)), SyncDir(filepath.Dir(from)))
}

// RemoveAll removes a file, symlink or tree; that it is not there is no error.
func RemoveAll(path string) error {
	if err := os.RemoveAll(path); err != nil {
		return fmt.Errorf("remove: %w", err)
	}
	return SyncDir(filepath.Dir(path))
}

// SyncDir makes the names in a directory survive a power cut.
func SyncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}

// ErrLocked says that another process holds the lock.
var ErrLocked = errors.New("locked by another process")

// Lock is a held lock file. The system releases it when the process ends,
// however it ends.
type Lock struct{ file *flock.Flock }

// LockFile takes the lock or fails at once with [ErrLocked].
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

// Unlock releases the lock. The file stays.
func (l *Lock) Unlock() error { return l.file.Unlock() }
