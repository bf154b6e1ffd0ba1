// Package durable is the only place that creates, syncs, renames or locks
// files. Each function is one intent. When it returns nil, what it did survives
// a power cut; when the machine stops inside it, the names it was given are as
// before or as after, and at most a hidden temporary file is left beside them.
//
// After an error they are as before or as after, too, and trying again does all
// of it anew: what a disk has once refused to sync is never taken for synced.
package durable

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// CreateExclusive creates the file with the data, whole or not at all. It fails
// with [fs.ErrExist] when something has that name. The parent must exist.
func CreateExclusive(path string, data []byte, perm fs.FileMode) error {
	temporary, err := writeTemporary(path, data, perm)
	if err != nil {
		return wrap("create file", err)
	}
	if err := link(temporary, path); err != nil {
		return wrap("create file", errors.Join(about(path, err), remove(temporary)))
	}
	if err := errors.Join(remove(temporary), syncDir(filepath.Dir(path))); err != nil {
		return wrap("create file", errors.Join(err, remove(path)))
	}
	return nil
}

// DifferentError says that a file which must hold certain bytes holds others.
type DifferentError struct{ Path string }

// Error names the file.
func (e *DifferentError) Error() string { return e.Path + " exists with other content" }

// Confirm creates the file with the data, or accepts that it holds them
// already; either way they are durable afterwards. perm is that of a new file,
// an existing one keeps its own. Error: [*DifferentError].
func Confirm(path string, data []byte, perm fs.FileMode) error {
	err := CreateExclusive(path, data, perm)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	same, err := confirmContent(path, data)
	if err != nil {
		return wrap("confirm file", err)
	}
	if !same {
		return &DifferentError{path}
	}
	return syncDir(filepath.Dir(path))
}

// confirmContent compares, and syncs what is the same: whoever wrote it may have
// been stopped before its own sync.
func confirmContent(path string, data []byte) (same bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	have, err := io.ReadAll(io.LimitReader(f, int64(len(data))+1))
	same = err == nil && bytes.Equal(have, data)
	if same {
		err = syncFile(f)
	}
	return same, errors.Join(err, f.Close())
}

// Replace gives the file new content, creating it where it is missing. A reader
// sees the old content or the new, never a part. The parent must exist.
func Replace(path string, data []byte, perm fs.FileMode) error {
	temporary, err := writeTemporary(path, data, perm)
	if err != nil {
		return wrap("replace file", err)
	}
	if err := rename(temporary, path); err != nil {
		return wrap("replace file", errors.Join(about(path, err), remove(temporary)))
	}
	return syncDir(filepath.Dir(path))
}

// writeTemporary writes and syncs a file beside path.
func writeTemporary(path string, data []byte, perm fs.FileMode) (name string, err error) {
	f, err := createTemporary(filepath.Dir(path), temporaryPrefix(path)+"*")
	if err != nil {
		return "", about(path, err)
	}
	err = errors.Join(write(f, data), f.Chmod(perm))
	if err == nil {
		err = syncFile(f)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(about(path, err), remove(f.Name()))
	}
	return f.Name(), nil
}

// about makes an error about a temporary file one about the path that it stands
// for, so that the same failure has the same words each time.
func about(path string, err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return &fs.PathError{Op: e.Op, Path: path, Err: e.Err}
	}
	if e, ok := errors.AsType[*os.LinkError](err); ok {
		return &fs.PathError{Op: e.Op, Path: path, Err: e.Err}
	}
	return err
}

// RemoveTemporary removes the files that earlier calls for the path have left
// beside it because they were interrupted. Nobody may be writing the path.
func RemoveTemporary(path string) error {
	dir, prefix := filepath.Dir(path), temporaryPrefix(path)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return wrap("remove temporary files", err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), prefix) {
			continue
		}
		if err := remove(filepath.Join(dir, e.Name())); err != nil {
			return wrap("remove temporary files", err)
		}
	}
	return nil // what a power cut brings back is removed the next time
}

func temporaryPrefix(path string) string { return "." + filepath.Base(path) + "." }

// ReplaceSymlink makes link point to target in one step, creating it where it is
// missing. A reader sees the old target or the new. Callers that replace the
// same link hold one lock.
func ReplaceSymlink(target, link string) error {
	temporary := filepath.Join(filepath.Dir(link), "."+filepath.Base(link)+".new")
	err := symlink(target, temporary)
	if errors.Is(err, fs.ErrExist) { // left by a crash
		err = remove(temporary)
		if err == nil {
			err = symlink(target, temporary)
		}
	}
	if err != nil {
		return wrap("replace symlink", about(link, err))
	}
	if err := rename(temporary, link); err != nil {
		return wrap("replace symlink", errors.Join(about(link, err), remove(temporary)))
	}
	return syncDir(filepath.Dir(link))
}

// MakeDir makes the directory and its parents where they are missing; perm is
// theirs. A directory that exists is left as it is.
func MakeDir(path string, perm fs.FileMode) error {
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		err = &fs.PathError{Op: "mkdir", Path: path, Err: errors.New("exists and is not a directory")}
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return wrap("make directory", err)
	}
	parent := filepath.Dir(path)
	if err := MakeDir(parent, perm); err != nil {
		return err
	}
	if err := makeDirectory(path, perm); err != nil {
		if info, statErr := os.Stat(path); statErr != nil || !info.IsDir() { // it may have been made meanwhile
			return wrap("make directory", err)
		}
		return syncDir(parent)
	}
	if err := syncDir(parent); err != nil {
		return errors.Join(err, remove(path))
	}
	return nil
}

// Rename gives a file or directory another name, which must be free or, for a
// file, may be replaced. Both names must be on one file system.
func Rename(from, to string) error {
	if err := rename(from, to); err != nil {
		return wrap("rename", err)
	}
	err := syncDir(filepath.Dir(to))
	if filepath.Dir(from) != filepath.Dir(to) {
		err = errors.Join(err, syncDir(filepath.Dir(from)))
	}
	return err
}

// RemoveAll removes a file, symlink or tree; that it is not there is no error.
func RemoveAll(path string) error {
	if err := removeAll(path); err != nil {
		return wrap("remove", err)
	}
	if err := syncDir(filepath.Dir(path)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil // the parent is not there either
}

// syncDir makes the names in a directory survive a power cut.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return wrap("sync directory", err)
	}
	return wrap("sync directory", errors.Join(syncDirectory(d), d.Close()))
}

// wrap says what was being done when err is one.
func wrap(doing string, err error) error {
	if err != nil {
		err = fmt.Errorf("%s: %w", doing, err)
	}
	return err
}
