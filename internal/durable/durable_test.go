package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
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

func TestCreateAndConfirm(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := CreateExclusive(path, []byte("a"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := CreateExclusive(path, []byte("b"), 0o600); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second creation: %v, want fs.ErrExist", err)
	}
	if err := Confirm(path, []byte("a"), 0o600); err != nil {
		t.Errorf("confirm the same: %v", err)
	}
	var different *DifferentError
	if err := Confirm(path, []byte("b"), 0o600); !errors.As(err, &different) {
		t.Errorf("confirm another: %v, want a DifferentError", err)
	}
	if got := content(t, path); got != "a" {
		t.Errorf("content %q, want a", got)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("directory holds %v, %v, want the file alone", entries, err)
	}
}

func TestReplaceKeepsTheOldFileOnFailure(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	for _, want := range []string{"one", "two"} {
		if err := Replace(path, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := content(t, path); got != want {
			t.Errorf("content %q, want %q", got, want)
		}
	}
	if err := Replace(filepath.Join(dir, "missing", "f"), nil, 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("replace below a missing directory: %v", err)
	}
}

func TestReplaceSymlink(t *testing.T) {
	dir := t.TempDir()
	for _, target := range []string{"a", "b"} {
		if err := MakeDir(filepath.Join(dir, target, "deep"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := ReplaceSymlink(target, filepath.Join(dir, "current")); err != nil {
			t.Fatal(err)
		}
		if got, err := os.Readlink(filepath.Join(dir, "current")); err != nil || got != target {
			t.Errorf("link is %q, %v, want %q", got, err, target)
		}
	}
}

func TestLockIsExclusive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := LockFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := LockFile(path); !errors.Is(err, ErrLocked) {
		t.Errorf("second lock: %v, want ErrLocked", err)
	}
	if err := first.Unlock(); err != nil {
		t.Fatal(err)
	}
	again, err := LockFile(path)
	if err != nil {
		t.Fatalf("lock after unlock: %v", err)
	}
	if err := again.Unlock(); err != nil {
		t.Fatal(err)
	}
}
