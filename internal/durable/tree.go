package durable

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// File is one file of a tree: its content, and where the same content may be on
// disk already, in a file that nobody writes any more. Empty: nowhere. Known is
// when, by the file system's clock, it was there for certain; zero: never.
type File struct {
	Data  []byte
	Same  string
	Known time.Time
}

// treeWriters is how many files of a tree are written at once: a disk then syncs
// several together.
const treeWriters = 8

// isOnDisk tells whether the other file has the content: it may have been damaged.
// One that nobody has written since it was known is not read again.
func (f File) isOnDisk() bool {
	if f.Same == "" {
		return false
	}
	if info, err := os.Lstat(f.Same); err == nil && info.Mode().IsRegular() &&
		info.Size() == int64(len(f.Data)) && !info.ModTime().After(f.Known) {
		return true
	}
	have, err := os.Open(f.Same)
	if err != nil {
		return false
	}
	defer have.Close()
	data, err := io.ReadAll(io.LimitReader(have, int64(len(f.Data))+1))
	return err == nil && bytes.Equal(data, f.Data)
}

// CreateTree creates the directory path with the files, by their names relative to
// it, whole or not at all. A name that ends in a slash is a directory. What an
// interrupted call has left of it is removed. A file whose content is on disk
// already becomes a hard link to that, where the file system has them. perm is
// that of files; directories have the right to be searched as well. Errors name
// path: which of the files meets a full disk first is chance.
func CreateTree(path string, files map[string]File, perm fs.FileMode) error {
	unfinished := path + ".new"
	if err := removeAll(unfinished); err != nil {
		return wrap("create tree", about(path, err))
	}
	names := slices.Sorted(maps.Keys(files))
	dirs, err := makeDirectories(unfinished, names, perm)
	if err == nil {
		err = writeFiles(unfinished, files, perm)
	}
	for _, dir := range dirs {
		if err == nil {
			err = syncDir(dir)
		}
	}
	if err != nil {
		return wrap("create tree", about(path, err))
	}
	return Rename(unfinished, path)
}

// makeDirectories makes the root and what the names need below it.
func makeDirectories(root string, names []string, perm fs.FileMode) (made []string, err error) {
	made = []string{root}
	for _, name := range names {
		if dir := filepath.Join(root, filepath.Dir(name)); !slices.Contains(made, dir) {
			made = append(made, dir)
		}
	}
	for _, dir := range made {
		if err := makeDirectory(dir, perm|perm>>2&0o111); err != nil {
			return nil, err
		}
	}
	return made, nil
}

// writeFiles writes what is not on disk, several at once, and links the rest
// meanwhile. A file system that has no links, or lets this user make none, has the
// file written once more.
func writeFiles(root string, files map[string]File, perm fs.FileMode) error {
	links := make(map[string]File)
	var group errgroup.Group
	group.SetLimit(treeWriters)
	for name, file := range files {
		switch {
		case strings.HasSuffix(name, "/"):
		case file.isOnDisk():
			links[name] = file
		default:
			group.Go(func() error { return file.create(filepath.Join(root, name), perm) })
		}
	}
	for name, file := range links {
		path := filepath.Join(root, name)
		err := link(file.Same, path)
		if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EMLINK) || errors.Is(err, fs.ErrPermission) {
			group.Go(func() error { return file.create(path, perm) })
		} else if err != nil {
			return errors.Join(err, group.Wait())
		}
	}
	return group.Wait()
}

// create makes the file in a directory that nobody looks at yet.
func (f File) create(path string, perm fs.FileMode) error {
	file, err := createFile(path, perm)
	if err != nil {
		return err
	}
	if err = errors.Join(write(file, f.Data), file.Chmod(perm)); err == nil {
		err = syncFile(file)
	}
	return errors.Join(err, file.Close())
}
