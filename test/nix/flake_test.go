package nix

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
)

// TestFlake lets Nix show the flake, with a nixpkgs of our own in place of the
// real one.
func TestFlake(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"flake.nix", "nix"} {
		copyTo(t, filepath.Join(root, name), filepath.Join(dir, name))
	}
	out, errs, err := runNix(t, "nix", "flake", "show", "--json", "--no-write-lock-file",
		"--override-input", "nixpkgs", "path:"+absolute(t, "lib"), "path:"+dir)
	if err != nil {
		t.Fatalf("nix flake show: %v\n%s", err, errs)
	}
	var shown map[string]map[string]any
	if err := json.Unmarshal([]byte(out), &shown); err != nil {
		t.Fatal(err)
	}
	var got []string
	for output, members := range shown {
		for member, value := range members {
			line := output + "." + member
			if strings.HasSuffix(member, "-linux") && output != "formatter" {
				line += ": " + strings.Join(slices.Sorted(maps.Keys(value.(map[string]any))), " ")
			}
			got = append(got, line)
		}
	}
	slices.Sort(got)
	want := []string{
		"checks.aarch64-linux: modules package vm", "checks.x86_64-linux: modules package vm",
		"devShells.aarch64-linux: default", "devShells.x86_64-linux: default",
		"formatter.aarch64-linux", "formatter.x86_64-linux",
		"nixosModules.default", "nixosModules.nats", "nixosModules.poller", "nixosModules.reducer",
		"overlays.default",
		"packages.aarch64-linux: default fleetlog", "packages.x86_64-linux: default fleetlog",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("outputs (-want +got):\n%s", diff)
	}
}

// TestVirtualMachine evaluates the machine of nix/vm-test.nix, which nothing here
// can boot.
func TestVirtualMachine(t *testing.T) {
	var got evaluated
	machine := "(import " + absolute(t, root+"/nix/vm-test.nix") + " { pkgs.testers.runNixOSTest = test: test; module = { }; }).nodes.machine"
	evaluate(t, host(t, machine, `pkgs = {
  runCommand = name: _: _: "/nowhere/${name}"; unzip = null; curl = { type = "derivation"; outPath = "/nowhere/curl"; };
};`), &got)
	if len(got.Services) != 5 {
		t.Errorf("the machine has %d services, want 5", len(got.Services))
	}
}
