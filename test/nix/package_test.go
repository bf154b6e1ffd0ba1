package nix

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// version is what the programs are stamped with.
const version = "1.2.3-test"

// derivation is what package.nix gives to buildGoModule.
type derivation struct {
	SubPackages []string       `json:"subPackages"`
	LDFlags     []string       `json:"ldflags"`
	VendorHash  string         `json:"vendorHash"`
	Env         map[string]any `json:"env"`
	Version     string         `json:"version"`
	PostInstall string         `json:"postInstall"`
	Src         struct {
		Root    string   `json:"root"`
		Fileset []string `json:"fileset"`
	} `json:"src"`
}

func describePackage(t *testing.T) derivation {
	t.Helper()
	var d derivation
	evaluate(t, fmt.Sprintf(`
let d = import %s {
  lib = import %s; buildGoModule = d: d; installShellFiles = null; version = %q;
  stdenv = { buildPlatform.canExecute = _: true; hostPlatform = null; };
};
in d // { nativeBuildInputs = [ ]; src = { root = toString d.src.root; fileset = map toString d.src.fileset; }; }`,
		absolute(t, root+"/nix/package.nix"), absolute(t, "lib"), version), &d)
	return d
}

// build builds the programs with the flags of package.nix, in bin of the folder
// that it returns. With cgo and paths as other tests have them, nearly all is in
// the build cache.
func build(t *testing.T) string {
	t.Helper()
	d, dir := describePackage(t), t.TempDir()
	args := []string{"-C", root, "build", "-ldflags", strings.Join(d.LDFlags, " "), "-o", filepath.Join(dir, "bin") + "/"}
	for _, sub := range d.SubPackages {
		args = append(args, "./"+sub)
	}
	if out, err := exec.CommandContext(t.Context(), "go", args...).CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return dir
}

// TestPrograms builds the programs and tries the units that run them.
func TestPrograms(t *testing.T) {
	programs := build(t)
	t.Run("package", func(t *testing.T) { checkPackage(t, programs) })
	t.Run("host", func(t *testing.T) { checkHost(t, programs) })
	t.Run("units", func(t *testing.T) { checkUnits(t, programs) })
}

// checkPackage demands that all programs are built, stamped and complete.
func checkPackage(t *testing.T, dir string) {
	programs, err := filepath.Glob(root + "/cmd/*/main.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, main := range programs {
		name := filepath.Base(filepath.Dir(main))
		for _, shell := range []string{"bash", "fish", "zsh"} {
			out, err := exec.CommandContext(t.Context(), filepath.Join(dir, "bin", name), "completion", shell).Output()
			if err != nil || !strings.Contains(string(out), name) {
				t.Errorf("%s completion %s: %v, %d bytes", name, shell, err, len(out))
			}
		}
		out, err := exec.CommandContext(t.Context(), filepath.Join(dir, "bin", name), "--version").Output()
		if err != nil || !strings.Contains(string(out), version) {
			t.Errorf("%s --version: %v, %q does not say %s", name, err, out, version)
		}
		if !strings.Contains(describePackage(t).PostInstall, name) {
			t.Errorf("no completion of %s is installed", name)
		}
	}
}

// TestVendorHash computes the hash of what go mod vendor makes of the sources that
// package.nix names.
func TestVendorHash(t *testing.T) {
	d, dir := describePackage(t), t.TempDir()
	for _, source := range d.Src.Fileset {
		name, err := filepath.Rel(d.Src.Root, source)
		if err != nil {
			t.Fatal(err)
		}
		copyTo(t, source, filepath.Join(dir, name))
	}
	vendor := exec.CommandContext(t.Context(), "go", "mod", "vendor")
	vendor.Dir, vendor.Env = dir, append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	if out, err := vendor.CombinedOutput(); err != nil {
		t.Fatalf("go mod vendor: %v\n%s", err, out)
	}
	out, errs, err := runNix(t, "nix", "hash", "path", "--sri", filepath.Join(dir, "vendor"))
	if err != nil {
		t.Fatalf("nix hash path: %v\n%s", err, errs)
	}
	want := strings.TrimSpace(out)
	if *update {
		file := root + "/nix/package.nix"
		text := regexp.MustCompile(`vendorHash = "[^"]*"`).ReplaceAllString(read(t, file), `vendorHash = "`+want+`"`)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if d.VendorHash != want {
		t.Errorf("nix/package.nix has vendorHash %s, it is %s: run go -C test/nix test -run TestVendorHash -update", d.VendorHash, want)
	}
}

func copyTo(t *testing.T, from, to string) {
	t.Helper()
	info, err := os.Stat(from)
	if err != nil {
		t.Fatal(err)
	}
	if info.IsDir() {
		err = os.CopyFS(to, os.DirFS(from))
	} else if err = os.MkdirAll(filepath.Dir(to), 0o700); err == nil {
		err = os.WriteFile(to, []byte(read(t, from)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestSourcesAreComplete demands that every folder with Go code outside tests is
// among the sources.
func TestSourcesAreComplete(t *testing.T) {
	named := map[string]bool{}
	for _, source := range describePackage(t).Src.Fileset {
		named[filepath.Base(source)] = true
	}
	want := map[string]bool{"go.mod": true, "go.sum": true, "LICENSE": true}
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, d fs.DirEntry, err error) error {
		top, rest, below := strings.Cut(name, "/")
		if err == nil && below && rest != "" && top != "test" && strings.HasSuffix(name, ".go") {
			want[top] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	delete(named, "man")
	if diff := cmp.Diff(want, named); diff != "" {
		t.Errorf("nix/sources.nix (-want +got):\n%s", diff)
	}
}
