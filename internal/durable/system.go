package durable

import (
	"io/fs"
	"os"

	"fleetlog/internal/failpoint"
)

// What is asked of the system. Before each of these a test can have the process
// killed, or the operation refused.

func createTemporary(dir, pattern string) (*os.File, error) {
	if err := failpoint.At("create"); err != nil {
		return nil, &fs.PathError{Op: "open", Path: pattern, Err: err}
	}
	return os.CreateTemp(dir, pattern)
}

func createFile(path string, perm fs.FileMode) (*os.File, error) {
	if err := failpoint.At("create"); err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
}

// write is refused as by a full disk: when half is written.
func write(f *os.File, data []byte) error {
	if err := failpoint.At("write"); err != nil {
		_, _ = f.Write(data[:len(data)/2])
		return &fs.PathError{Op: "write", Path: f.Name(), Err: err}
	}
	_, err := f.Write(data)
	return err
}

func syncFile(f *os.File) error {
	if err := failpoint.At("sync"); err != nil {
		return &fs.PathError{Op: "sync", Path: f.Name(), Err: err}
	}
	return f.Sync()
}

func syncDirectory(d *os.File) error {
	if err := failpoint.At("sync-directory"); err != nil {
		return &fs.PathError{Op: "sync", Path: d.Name(), Err: err}
	}
	return d.Sync()
}

func link(from, to string) error {
	if err := failpoint.At("link"); err != nil {
		return &os.LinkError{Op: "link", Old: from, New: to, Err: err}
	}
	return os.Link(from, to)
}

func symlink(target, name string) error {
	if err := failpoint.At("symlink"); err != nil {
		return &os.LinkError{Op: "symlink", Old: target, New: name, Err: err}
	}
	return os.Symlink(target, name)
}

func rename(from, to string) error {
	if err := failpoint.At("rename"); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return os.Rename(from, to)
}

func makeDirectory(path string, perm fs.FileMode) error {
	if err := failpoint.At("mkdir"); err != nil {
		return &fs.PathError{Op: "mkdir", Path: path, Err: err}
	}
	return os.Mkdir(path, perm)
}

func remove(path string) error {
	if err := failpoint.At("remove"); err != nil {
		return &fs.PathError{Op: "remove", Path: path, Err: err}
	}
	return os.Remove(path)
}

func removeAll(path string) error {
	if err := failpoint.At("remove"); err != nil {
		return &fs.PathError{Op: "remove", Path: path, Err: err}
	}
	return os.RemoveAll(path)
}
