// Package cmd_test drives the real programs.
package cmd_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"fleetlog/internal/deployment"
)

// TestMain builds the programs once, into a directory that ends with the tests,
// and puts them first in PATH.
func TestMain(m *testing.M) {
	code, err := withPrograms(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func withPrograms(run func() int) (code int, err error) {
	dir, err := os.MkdirTemp("", "fleetlog-programs-")
	if err != nil {
		return 0, err
	}
	defer func() {
		if removed := os.RemoveAll(dir); err == nil {
			err = removed
		}
	}()
	if err := deployment.Build(context.Background(), "..", dir); err != nil {
		return 0, err
	}
	if err := os.Setenv("PATH", dir+string(filepath.ListSeparator)+os.Getenv("PATH")); err != nil {
		return 0, err
	}
	if err := os.Setenv("XDG_STATE_HOME", filepath.Join(dir, "seen")); err != nil {
		return 0, err
	}
	return run(), nil
}

// binary is the path of a program that TestMain has built.
func binary(name string) string {
	path, err := exec.LookPath(name)
	if err == nil {
		err = readSources("..")
	}
	if err != nil {
		panic(fmt.Sprintf("%s is not built: %v", name, err))
	}
	return path
}

// readSources looks at all that the programs are made of. A cached result of a
// test stands until what the test has read changes, and what the compiler reads
// on its behalf does not count.
func readSources(root string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && path != root && strings.HasPrefix(d.Name(), ".") {
			return filepath.SkipDir
		}
		return err
	})
}
