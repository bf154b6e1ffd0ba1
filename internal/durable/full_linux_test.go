package durable

import (
	"bytes"
	"errors"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
)

// limitFileSize makes writes beyond the limit fail, as on a full disk, until the
// test ends.
func limitFileSize(t *testing.T, limit uint64) {
	t.Helper()
	signal.Ignore(syscall.SIGXFSZ)
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
			t.Error(err)
		}
		signal.Reset(syscall.SIGXFSZ)
	})
}

func TestFullDiskLeavesTheOldFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := Replace(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	limitFileSize(t, 1<<20) // far above what the test run itself writes
	large := bytes.Repeat([]byte("n"), 2<<20)
	if err := Replace(path, large, 0o600); !errors.Is(err, syscall.EFBIG) {
		t.Errorf("replace: %v, want EFBIG", err)
	}
	if err := CreateExclusive(filepath.Join(dir, "g"), large, 0o600); !errors.Is(err, syscall.EFBIG) {
		t.Errorf("create: %v, want EFBIG", err)
	}
	if got := content(t, path); got != "old" {
		t.Errorf("content %q, want old", got)
	}
	if got := names(t, dir); len(got) != 1 {
		t.Errorf("directory holds %v, want the old file alone", got)
	}
}
