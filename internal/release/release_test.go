package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
)

// source is a module as small as one can be that is built like this one: what is
// tried here is the making, and the real programs take minutes.
var source = map[string]string{
	"go.mod":                      "module fleetlog\n\ngo 1.26.0\n",
	"LICENSE":                     "all rights given\n",
	"deploy/systemd/some.service": "[Unit]\n",
	"internal/process/version.go": "package process\n\nvar version string\n\nfunc Version() string { return version }\n",
	"cmd/poller/main.go": `package main

import (
	"fleetlog/internal/process"
	"os"
)

func main() {
	if os.Args[1] == "--version" {
		os.Stdout.WriteString("poller version " + process.Version() + "\n")
		return
	}
	os.Stdout.WriteString("completion of " + os.Args[2] + "\n")
}
`,
}

// newSource commits the module to a repository of its own, and gives a release of
// it.
func newSource(t *testing.T) *release {
	t.Helper()
	root := t.TempDir()
	for name, text := range source {
		write(t, filepath.Join(root, name), text)
	}
	for _, args := range [][]string{{"init", "-q"}, {"add", "-A"}} {
		if out, err := exec.Command("git", append([]string{"-C", root}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("git %s: %v\n%s", args[0], err, out)
		}
	}
	return &release{
		root: root, out: filepath.Join(t.TempDir(), "dist"), version: "1.2.3", moment: time.Unix(1_800_000_000, 0),
		architectures: []string{runtime.GOARCH}, programs: []string{"poller"}, twice: true,
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// published are the files of a release by name.
func published(t *testing.T, r *release) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(r.out)
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string][]byte)
	for _, entry := range entries {
		if files[entry.Name()], err = os.ReadFile(filepath.Join(r.out, entry.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// TestReleaseIsReproducible: made in another directory and from files of another
// time, everything that is published is the same.
func TestReleaseIsReproducible(t *testing.T) {
	first, second := newSource(t), newSource(t)
	for _, r := range []*release{first, second} {
		if err := r.make(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	files := published(t, first)
	if diff := cmp.Diff(files, published(t, second)); diff != "" {
		t.Errorf("made twice (-first +second):\n%s", diff)
	}
	name := "fleetlog-1.2.3-linux-" + runtime.GOARCH
	sums := string(files["SHA256SUMS"])
	for _, file := range []string{name + ".tar.gz", "fleetlog-1.2.3.cdx.json"} {
		if line := fmt.Sprintf("%x  %s\n", sha256.Sum256(files[file]), file); !strings.Contains(sums, line) {
			t.Errorf("%q is not in the checksums:\n%s", line, sums)
		}
	}
	want := []string{
		"-rw-r--r-- LICENSE", "-rwxr-xr-x bin/poller", "-rw-r--r-- completions/bash/poller", "-rw-r--r-- completions/fish/poller",
		"-rw-r--r-- completions/zsh/poller", "-rw-r--r-- deploy/systemd/some.service",
	}
	if diff := cmp.Diff(want, contents(t, files[name+".tar.gz"], name, first.moment)); diff != "" {
		t.Errorf("archive (-want +got):\n%s", diff)
	}
}

// contents are the files of an archive, which all must be of the moment and of
// nobody, in the directory of the name.
func contents(t *testing.T, data []byte, dir string, moment time.Time) (names []string) {
	t.Helper()
	unpacked, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	for in := tar.NewReader(unpacked); ; {
		entry, err := in.Next()
		if errors.Is(err, io.EOF) {
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		name, inside := strings.CutPrefix(entry.Name, dir+"/")
		if !inside || !entry.ModTime.Equal(moment) || entry.Uid != 0 || entry.Uname != "" {
			t.Errorf("%s is of %s and %d", entry.Name, entry.ModTime, entry.Uid)
		}
		names = append(names, entry.FileInfo().Mode().String()+" "+name)
	}
}

// TestReleaseRefuses what would mislead whoever installs it.
func TestReleaseRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(r *release)
		want  error
	}{
		"nothing where only a file of one's own is in the way": {func(r *release) { // a file that is not under version control
			write(t, filepath.Join(r.root, "internal/process/mine.go"), "package process\n\nfunc init() { version = \"mine\" }\n")
		}, nil},
		"a program without the version": {func(r *release) {
			write(t, filepath.Join(r.root, "internal/process/version.go"), "package process\n\nfunc Version() string { return \"devel\" }\n")
		}, errStamp},
		"a directory that is there": {func(r *release) { write(t, filepath.Join(r.out, "old"), "") }, os.ErrExist},
	} {
		r := newSource(t)
		c.spoil(r)
		if err := r.make(t.Context()); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	git, err := exec.LookPath("git") // a program like most
	if err == nil {
		git, err = filepath.EvalSymlinks(git)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := checkStatic(git); !errors.Is(err, errDynamic) {
		t.Errorf("a program that is not static: %v", err)
	}
	if err := compared(t, "another program"); !errors.Is(err, errUnequal) {
		t.Errorf("a build that cannot be repeated: %v", err)
	}
}

// compared is what comes of a second build when the first one gave a program of
// these bytes.
func compared(t *testing.T, program string) error {
	t.Helper()
	r, work := newSource(t), t.TempDir()
	if _, err := r.copySource(t.Context(), filepath.Join(work, "source")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(work, runtime.GOARCH, "poller"), program)
	return r.compare(t.Context(), work)
}

// TestBillOfMaterials lists what this test itself is made of.
func TestBillOfMaterials(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var b bill
	if err := b.add(filepath.Dir(self), []string{filepath.Base(self)}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "bill.json")
	if err := b.write(path, "1.2.3", time.Unix(1_800_000_000, 0).UTC()); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var d document
	if err := json.Unmarshal(data, &d, json.RejectUnknownMembers(true)); err != nil {
		t.Fatal(err)
	}
	if d.Metadata.Timestamp != "2027-01-15T08:00:00Z" || d.Metadata.Component.Version != "1.2.3" {
		t.Errorf("metadata %+v", d.Metadata)
	}
	dependency := regexp.MustCompile(`^pkg:golang/github\.com/go-json-experiment/json@v\d`)
	if i := slices.IndexFunc(d.Components, func(c component) bool { return dependency.MatchString(c.PURL) }); i < 0 || len(d.Components[i].Hashes) != 1 || len(d.Components[i].Hashes[0].Content) != 64 {
		t.Errorf("a module that is used is not listed with its checksum: %+v", d.Components)
	}
	if i := slices.IndexFunc(d.Components, func(c component) bool { return c.Name == "std" }); i < 0 || "go"+d.Components[i].Version != runtime.Version() {
		t.Errorf("Go's own library is not listed: %+v", d.Components)
	}
}
