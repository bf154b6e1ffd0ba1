package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestCreateTree makes a tree, and a second one that shares with it what is the
// same on disk, and only that.
func TestCreateTree(t *testing.T) {
	dir := t.TempDir()
	first, second := filepath.Join(dir, "1"), filepath.Join(dir, "2")
	if err := os.MkdirAll(second+".new/left", 0o700); err != nil {
		t.Fatal(err)
	}
	files := map[string]File{"a": {Data: []byte("a")}, "b": {Data: []byte("b")}, "c": {Data: []byte("c")}, "sub/d": {Data: []byte("d")}, "empty/": {}}
	if err := CreateTree(first, files, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(first, "b"), []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, file := range files {
		file.Same = filepath.Join(first, name)
		files[name] = file
	}
	files["c"] = File{Data: []byte("changed"), Same: filepath.Join(first, "c")}
	files["e"] = File{Data: []byte("e"), Same: filepath.Join(first, "e")}
	if err := CreateTree(second, files, 0o640); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); !cmp.Equal(got, []string{"1", "2"}) {
		t.Errorf("directory holds %v", got)
	}
	if got := names(t, second); !cmp.Equal(got, []string{"a", "b", "c", "e", "empty", "sub"}) {
		t.Errorf("tree holds %v", got)
	}
	for name, want := range map[string]struct {
		content string
		shared  bool
	}{"a": {"a", true}, "b": {"b", false}, "c": {"changed", false}, "sub/d": {"d", true}, "e": {"e", false}} {
		path := filepath.Join(second, name)
		if got := content(t, path); got != want.content {
			t.Errorf("%s holds %q, want %q", name, got, want.content)
		}
		if got := isSame(path, filepath.Join(first, name)); got != want.shared {
			t.Errorf("%s is shared: %t, want %t", name, got, want.shared)
		}
	}
	info, err := os.Stat(filepath.Join(second, "sub"))
	if err != nil || info.Mode() != fs.ModeDir|0o750 {
		t.Errorf("directory's mode is %v, %v", info.Mode(), err)
	}
	if err := CreateTree(first, files, 0o640); err == nil {
		t.Error("a tree that exists was replaced")
	}
	if got := content(t, filepath.Join(first, "c")); got != "c" {
		t.Errorf("c of the tree that exists holds %q", got)
	}
}

// TestCreateTreeKnown: what is known is not read again, unless it was written since
// or has another size.
func TestCreateTreeKnown(t *testing.T) {
	dir := t.TempDir()
	have := filepath.Join(dir, "have")
	if err := os.WriteFile(have, []byte("have"), 0o600); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(have)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		data   string
		known  time.Time
		shared bool
	}{
		"known":         {"HAVE", info.ModTime(), true},
		"written since": {"HAVE", info.ModTime().Add(-1), false},
		"another size":  {"have more", info.ModTime(), false},
		"never known":   {"have", time.Time{}, true},
	} {
		tree := filepath.Join(dir, name)
		if err := CreateTree(tree, map[string]File{"a": {Data: []byte(c.data), Same: have, Known: c.known}}, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := isSame(filepath.Join(tree, "a"), have); got != c.shared {
			t.Errorf("%s: is shared: %t, want %t", name, got, c.shared)
		}
	}
}

// TestBeginTree: what a tree was begun with does not show in what it is, only in
// which files it shares.
func TestBeginTree(t *testing.T) {
	dir := t.TempDir()
	first, second := filepath.Join(dir, "1"), filepath.Join(dir, "2")
	if err := os.MkdirAll(second+".new/left", 0o700); err != nil {
		t.Fatal(err)
	}
	of := func(data string) File { return File{Data: []byte(data)} }
	if err := CreateTree(first, map[string]File{"a": of("a"), "b": of("b"), "gone": of("c"), "sub/d": of("d"), "old/e": of("e"), "empty/": {}}, 0o640); err != nil {
		t.Fatal(err)
	}
	tree, err := BeginTree(second, first, 0o640)
	if err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); !cmp.Equal(got, []string{"1", "2.new"}) {
		t.Errorf("directory holds %v", got)
	}
	// One was known, one is damaged meanwhile, one becomes another, one is new.
	info, err := os.Stat(filepath.Join(first, "a"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(first, "sub/d"), []byte("D"), 0o600); err != nil {
		t.Fatal(err)
	}
	files := map[string]File{
		"a": {Data: []byte("a"), Same: filepath.Join(first, "a"), Known: info.ModTime()}, "b": of("changed"),
		"sub/d": {Data: []byte("d"), Same: filepath.Join(first, "sub/d"), Known: info.ModTime().Add(-1)}, "sub/f": of("f"), "more/g": of("g"),
	}
	if err := tree.Create(files, 0o640); err != nil {
		t.Fatal(err)
	}
	for where, want := range map[string][]string{
		dir: {"1", "2"}, second: {"a", "b", "more", "sub"}, filepath.Join(second, "sub"): {"d", "f"}, filepath.Join(second, "more"): {"g"},
	} {
		if got := names(t, where); !cmp.Equal(got, want) {
			t.Errorf("%s holds %v, want %v", where, got, want)
		}
	}
	for name, file := range files {
		path := filepath.Join(second, name)
		if got := content(t, path); got != string(file.Data) {
			t.Errorf("%s holds %q, want %q", name, got, file.Data)
		}
		if got := isSame(path, filepath.Join(first, name)); got != (name == "a") {
			t.Errorf("%s is shared: %t", name, got)
		}
	}
	if got := content(t, filepath.Join(first, "b")); got != "b" {
		t.Errorf("b of the tree before holds %q", got)
	}
}

// TestDiscardTree: a tree that is begun and given up leaves nothing, nor does one
// that cannot be begun.
func TestDiscardTree(t *testing.T) {
	dir := t.TempDir()
	from := filepath.Join(dir, "from")
	if err := CreateTree(from, map[string]File{"a": {}}, 0o600); err != nil {
		t.Fatal(err)
	}
	tree, err := BeginTree(filepath.Join(dir, "tree"), from, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := tree.Discard(); err != nil {
		t.Error(err)
	}
	if _, err := BeginTree(filepath.Join(dir, "tree"), filepath.Join(dir, "nowhere"), 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("begun with nothing: %v", err)
	}
	deep := from
	for len(deep) < 3800 {
		deep = filepath.Join(deep, strings.Repeat("x", 200))
	}
	if err := os.MkdirAll(deep, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := BeginTree(filepath.Join(dir, strings.Repeat("y", 250)), from, 0o600); !errors.Is(err, syscall.ENAMETOOLONG) {
		t.Errorf("begun with a deeper tree than there can be: %v", err)
	}
	if got := names(t, dir); !cmp.Equal(got, []string{"from"}) {
		t.Errorf("directory holds %v", got)
	}
}

func isSame(a, b string) bool {
	one, err := os.Stat(a)
	other, otherErr := os.Stat(b)
	return err == nil && otherErr == nil && os.SameFile(one, other)
}

// TestCreateTreeNamesTheTree: whichever file fails, the words are the same.
func TestCreateTreeNamesTheTree(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tree")
	long := strings.Repeat("x", 300) // longer than a name may be
	for _, name := range []string{"a" + long, "b" + long} {
		err := CreateTree(path, map[string]File{"a": {}, name: {}}, 0o600)
		if !errors.Is(err, syscall.ENAMETOOLONG) || !strings.Contains(err.Error(), path+":") || strings.Contains(err.Error(), long) {
			t.Errorf("%v, want one about %s", err, path)
		}
	}
}
