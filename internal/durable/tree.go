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
	t := &Tree{path: path}
	if err := t.Discard(); err != nil {
		return err
	}
	return t.Create(files, perm)
}

// Tree is the beginning of a tree that has most files of another one: hard links to
// these, under a name that nobody looks at. It is not durable, and takes no room but
// for names.
type Tree struct {
	path  string
	dirs  []string // relative, "." among them
	files map[string]bool
}

// BeginTree begins the tree at path with all files of the tree from, so that
// [Tree.Create] has less to do than [CreateTree]. What an interrupted call has left
// of it is removed.
func BeginTree(path, from string, perm fs.FileMode) (*Tree, error) {
	t := &Tree{path: path, files: make(map[string]bool)}
	if err := t.Discard(); err != nil {
		return nil, err
	}
	err := fs.WalkDir(os.DirFS(from), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			t.dirs = append(t.dirs, name)
			return makeDirectory(filepath.Join(t.unfinished(), name), searchable(perm))
		}
		t.files[name] = true
		return link(filepath.Join(from, name), filepath.Join(t.unfinished(), name))
	})
	if err != nil {
		return nil, wrap("begin tree", errors.Join(about(path, err), t.Discard()))
	}
	return t, nil
}

// Path is where the tree will be.
func (t *Tree) Path() string { return t.path }

func (t *Tree) unfinished() string { return t.path + ".new" }

func searchable(perm fs.FileMode) fs.FileMode { return perm | perm>>2&0o111 }

// Discard removes what there is of the tree before it is created.
func (t *Tree) Discard() error {
	if err := removeAll(t.unfinished()); err != nil {
		return wrap("discard tree", about(t.path, err))
	}
	return nil
}

// Create makes the tree of these files and no others, as [CreateTree] does.
func (t *Tree) Create(files map[string]File, perm fs.FileMode) error {
	dirs, err := t.shape(files, perm)
	if err == nil {
		err = t.fill(files, perm)
	}
	for _, dir := range dirs {
		if err == nil {
			err = syncDir(dir)
		}
	}
	if err != nil {
		return wrap("create tree", about(t.path, err))
	}
	return Rename(t.unfinished(), t.path)
}

// shape makes the root and the directories that the names need below it, which it
// returns, and removes what there is beside them.
func (t *Tree) shape(files map[string]File, perm fs.FileMode) (needed []string, err error) {
	names := []string{"."}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if dir := filepath.Dir(name); !slices.Contains(names, dir) {
			names = append(names, dir)
		}
	}
	for _, dir := range names {
		path := filepath.Join(t.unfinished(), dir)
		if needed = append(needed, path); slices.Contains(t.dirs, dir) {
			continue
		}
		if err := makeDirectory(path, searchable(perm)); err != nil {
			return nil, err
		}
	}
	for name := range t.files {
		if _, ok := files[name]; ok {
			continue
		}
		delete(t.files, name)
		if err := remove(filepath.Join(t.unfinished(), name)); err != nil {
			return nil, err
		}
	}
	for _, dir := range t.dirs {
		if slices.Contains(names, dir) {
			continue
		}
		if err := removeAll(filepath.Join(t.unfinished(), dir)); err != nil {
			return nil, err
		}
	}
	return needed, nil
}

// fill puts the files in their places, several at once. Those of which it is known
// where they are come last: to look at them takes no longer than the disk takes to
// sync the others.
func (t *Tree) fill(files map[string]File, perm fs.FileMode) error {
	var group errgroup.Group
	group.SetLimit(treeWriters)
	var known []string
	for name, file := range files {
		switch {
		case strings.HasSuffix(name, "/"):
		case !file.Known.IsZero():
			known = append(known, name)
		default:
			group.Go(func() error { return t.place(name, file, perm) })
		}
	}
	for _, name := range known {
		if err := t.place(name, files[name], perm); err != nil {
			return errors.Join(err, group.Wait())
		}
	}
	return group.Wait()
}

// place makes the file what it is to be. A file system that has no links, or lets
// this user make none, has what is on disk written once more.
func (t *Tree) place(name string, file File, perm fs.FileMode) error {
	path := filepath.Join(t.unfinished(), name)
	if t.files[name] {
		there := file
		there.Same = path
		if there.isOnDisk() {
			return nil
		}
		if err := remove(path); err != nil {
			return err
		}
	}
	if file.isOnDisk() {
		err := link(file.Same, path)
		if !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, syscall.EMLINK) && !errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	return file.create(path, perm)
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
