package durable

import (
	"errors"
	"io"
	"io/fs"
	"path/filepath"
)

// ReplaceWith is [Replace] for content that is too large to be held: fill writes
// it. When fill fails the file is as it was.
func ReplaceWith(path string, perm fs.FileMode, fill func(io.Writer) error) error {
	f, err := createTemporary(filepath.Dir(path), temporaryPrefix(path)+"*")
	if err != nil {
		return wrap("replace file", about(path, err))
	}
	err = errors.Join(fill(f), f.Chmod(perm))
	if err == nil {
		err = syncFile(f)
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = rename(f.Name(), path)
	}
	if err != nil {
		return wrap("replace file", errors.Join(about(path, err), remove(f.Name())))
	}
	return syncDir(filepath.Dir(path))
}
