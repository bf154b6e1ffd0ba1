// Package nix holds the tests of the flake, the package and the NixOS modules, as
// far as they can be judged without nixpkgs: with Debian's nix-bin and a small
// lib of our own.
package nix

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

// root is the project's folder.
const root = "../.."

var update = flag.Bool("update", false, "write what is compared: the vendor hash and docs/nixos-options.md")

// runNix runs one of Nix's programs with a store of its own, which no
// installation has to make.
func runNix(t *testing.T, program string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Fatalf("%s is not installed: apt-get install --no-install-recommends nix-bin", program)
	}
	state := t.TempDir()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = append(os.Environ(),
		"HOME="+state, "NIX_STORE_DIR="+state+"/store", "NIX_STATE_DIR="+state+"/state", "NIX_LOG_DIR="+state+"/log",
		"NIX_CONFIG=build-users-group =\nexperimental-features = nix-command flakes",
	)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v", program, err)
	}
	return out.String(), errs.String(), err
}

// evaluate evaluates an expression and decodes what it comes to.
func evaluate(t *testing.T, expression string, into any) {
	t.Helper()
	out, errs, err := runNix(t, "nix-instantiate", "--eval", "--strict", "--json", "--expr", expression)
	if err != nil {
		t.Fatalf("evaluate %s: %v\n%s", expression, err, errs)
	}
	if err := json.Unmarshal([]byte(out), into); err != nil {
		t.Fatalf("%s: %v\n%s", expression, err, out)
	}
}

// host is the expression of what a configuration comes to on a host: see
// lib/evaluate.nix. more are further arguments.
func host(t *testing.T, configuration, more string) string {
	return "import " + absolute(t, "lib/evaluate.nix") + " { configuration = " + configuration + "; " + more + " }"
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// files are the project's files with this ending, as git knows them or will.
func files(t *testing.T, ending string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "git", "-C", root, "ls-files", "--cached", "--others", "--exclude-standard", "*"+ending).Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	return strings.Fields(string(out))
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
