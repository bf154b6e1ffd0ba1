package durable_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fleetlog/internal/durable"
)

// TestReplaceWith replaces a file by what is written as it goes, or leaves it.
func TestReplaceWith(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for _, text := range []string{"one", "two"} {
		err := durable.ReplaceWith(path, 0o640, func(w io.Writer) error {
			for part := range strings.SplitSeq(text, "") {
				if _, err := io.WriteString(w, part); err != nil {
					return err
				}
			}
			return nil
		})
		data, readErr := os.ReadFile(path)
		if err != nil || readErr != nil || string(data) != text {
			t.Errorf("%q, %v, %v", data, err, readErr)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o640 {
		t.Errorf("%v, %v", info, err)
	}
	failed := errors.New("no more")
	err := durable.ReplaceWith(path, 0o640, func(w io.Writer) error {
		_, err := io.WriteString(w, "three")
		return errors.Join(err, failed)
	})
	data, readErr := os.ReadFile(path)
	if !errors.Is(err, failed) || readErr != nil || string(data) != "two" {
		t.Errorf("%q, %v, %v", data, err, readErr)
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 1 {
		t.Errorf("left behind: %v, %v", names, err)
	}
	if err := durable.ReplaceWith(filepath.Join(dir, "absent", "file"), 0o640, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in a folder that is not there: %v", err)
	}
}
