package durable

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func content(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// names are what a directory holds, hidden files included.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestCreateExclusive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := CreateExclusive(path, []byte("a"), 0o640); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, want 0640 whatever the umask", info.Mode())
	}
	if err := CreateExclusive(path, []byte("b"), 0o600); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second creation: %v, want fs.ErrExist", err)
	}
	if got := content(t, path); got != "a" {
		t.Errorf("content %q, want a", got)
	}
	if got := names(t, filepath.Dir(path)); len(got) != 1 {
		t.Errorf("directory holds %v, want the file alone", got)
	}
}

func TestConfirm(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	for range 2 {
		if err := Confirm(path, []byte("abc"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, other := range []string{"", "ab", "abd", "abcd"} {
		var different *DifferentError
		if err := Confirm(path, []byte(other), 0o600); !errors.As(err, &different) || different.Path != path {
			t.Errorf("confirm %q: %v, want a DifferentError about %s", other, err, path)
		}
	}
	if got := content(t, path); got != "abc" {
		t.Errorf("content %q, want abc", got)
	}
	if err := Confirm(t.TempDir(), nil, 0o600); err == nil {
		t.Error("a directory was confirmed as a file")
	}
}

func TestReplaceIsSeenWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	contents := [][]byte{bytes.Repeat([]byte("a"), 100_000), bytes.Repeat([]byte("b"), 50_000)}
	if err := Replace(path, contents[0], 0o600); err != nil {
		t.Fatal(err)
	}
	written := make(chan error)
	go func() {
		for i := range 50 {
			if err := Replace(path, contents[i%2], 0o600); err != nil {
				written <- err
				return
			}
		}
		written <- nil
	}()
	for {
		got := content(t, path)
		if got != string(contents[0]) && got != string(contents[1]) {
			t.Errorf("a reader saw %d bytes that nobody wrote", len(got))
		}
		select {
		case err := <-written:
			if err != nil {
				t.Fatal(err)
			}
			return
		default:
		}
	}
}

func TestRemoveTemporary(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	for _, name := range []string{".f.123", ".f.new", ".g.123", "f", "f.1"} { // the first two as an interrupted call leaves them
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := RemoveTemporary(path); err != nil {
			t.Fatal(err)
		}
		if got := names(t, dir); !slices.Equal(got, []string{".g.123", "f", "f.1"}) {
			t.Errorf("directory holds %v", got)
		}
	}
	if err := RemoveTemporary(filepath.Join(dir, "none", "f")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a directory: %v", err)
	}
}

func TestReplaceSymlink(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "current")
	for _, target := range []string{"a", "b", "c"} {
		if err := os.Symlink("left by a crash", filepath.Join(dir, ".current.new")); err != nil {
			t.Fatal(err)
		}
		if err := ReplaceSymlink(target, link); err != nil {
			t.Fatal(err)
		}
		if got, err := os.Readlink(link); err != nil || got != target {
			t.Errorf("link is %q, %v, want %q", got, err, target)
		}
		if got := names(t, dir); len(got) != 1 {
			t.Errorf("directory holds %v, want the link alone", got)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "directory"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := ReplaceSymlink("a", filepath.Join(dir, "directory")); err == nil {
		t.Error("a directory was replaced by a link")
	}
	if got := names(t, dir); len(got) != 2 {
		t.Errorf("directory holds %v, want the link and the directory", got)
	}
}

func TestMakeDir(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a", "b", "c")
	for range 2 {
		if err := MakeDir(path, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for p := path; p != dir; p = filepath.Dir(p) {
		if info, err := os.Stat(p); err != nil || info.Mode() != fs.ModeDir|0o700 {
			t.Errorf("%s: %v, %v, want a directory with mode 0700", p, info.Mode(), err)
		}
	}
	file, dangling := filepath.Join(dir, "file"), filepath.Join(dir, "dangling")
	if err := Replace(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := ReplaceSymlink("nowhere", dangling); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{file, filepath.Join(file, "below"), dangling} {
		if err := MakeDir(p, 0o700); err == nil {
			t.Errorf("%s: made, although it cannot be a directory", p)
		}
	}
}

func TestRenameAndRemove(t *testing.T) {
	dir := t.TempDir()
	if err := MakeDir(filepath.Join(dir, "new"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Replace(filepath.Join(dir, "new", "f"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := MakeDir(filepath.Join(dir, "other"), 0o700); err != nil {
		t.Fatal(err)
	}
	moved := filepath.Join(dir, "other", "moved")
	if err := Rename(filepath.Join(dir, "new"), moved); err != nil {
		t.Fatal(err)
	}
	if got := content(t, filepath.Join(moved, "f")); got != "x" {
		t.Errorf("content %q, want x", got)
	}
	if err := Rename(filepath.Join(dir, "new"), moved); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("rename what is gone: %v, want fs.ErrNotExist", err)
	}
	for _, path := range []string{moved, moved, filepath.Join(moved, "in", "nothing")} {
		if err := RemoveAll(path); err != nil {
			t.Errorf("remove %s: %v", path, err)
		}
	}
	if got := names(t, filepath.Join(dir, "other")); len(got) != 0 {
		t.Errorf("directory holds %v after removal", got)
	}
}
