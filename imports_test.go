// Package fleetlog holds the test of the layout.
package fleetlog

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"testing"
)

// level is the place of a package in the design's picture; imports point to
// lower levels only.
func level(pkg string) int {
	switch {
	case strings.HasPrefix(pkg, "cmd/"), isMain(pkg):
		return 5
	case strings.HasPrefix(pkg, "consumers"), strings.HasPrefix(pkg, "producers"):
		return 4
	case pkg == "eventlog":
		return 3
	case pkg == "events":
		return 2
	case pkg == "manifest":
		return 1
	}
	return 0 // internal/*
}

// isMain tells the internal programs, which may import everything.
func isMain(pkg string) bool {
	return pkg == "internal/bench" || pkg == "internal/demo" || pkg == "internal/soak"
}

// siblings must not import each other although they are of one level.
func siblings(a, b string) bool {
	return strings.HasPrefix(a, "producers") && strings.HasPrefix(b, "consumers") ||
		strings.HasPrefix(a, "consumers") && strings.HasPrefix(b, "producers") ||
		strings.HasPrefix(a, "cmd/") && strings.HasPrefix(b, "cmd/")
}

func TestImportsPointDownwards(t *testing.T) {
	files := 0
	err := fs.WalkDir(os.DirFS("."), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return err
		}
		files++
		parsed, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		pkg := path.Dir(name)
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			checkImport(t, name, pkg, imported)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 50 {
		t.Errorf("looked at %d files only", files)
	}
}

func checkImport(t *testing.T, name, pkg, imported string) {
	t.Helper()
	ours, ok := strings.CutPrefix(imported, "fleetlog/")
	switch {
	case !ok:
		if pkg == "manifest" && (imported == "net/http" || imported == "os" || strings.Contains(imported, "nats")) {
			t.Errorf("%s: manifest does no I/O, but imports %s", name, imported)
		}
		if pkg == "events" && strings.Contains(imported, "nats.go") {
			t.Errorf("%s: events does not know the broker, but imports %s", name, imported)
		}
	case siblings(pkg, ours):
		t.Errorf("%s: %s imports its sibling %s", name, pkg, ours)
	case strings.HasPrefix(pkg, "internal/") && !isMain(pkg):
		if level(ours) > level("manifest") {
			t.Errorf("%s: %s imports %s, which is above manifest", name, pkg, ours)
		}
	case level(ours) > level(pkg):
		t.Errorf("%s: %s imports %s, which is above it", name, pkg, ours)
	}
}
