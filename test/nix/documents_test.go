package nix

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type option struct {
	Name        string `json:"name"`
	Type        string `json:"type"`
	Default     string `json:"default"`
	Example     string `json:"example"`
	Description string `json:"description"`
}

func (o option) String() string {
	var t strings.Builder
	fmt.Fprintf(&t, "\n## %s\n\n%s\n\n* Type: %s\n", o.Name, strings.TrimSpace(o.Description), o.Type)
	if o.Default != "" {
		fmt.Fprintf(&t, "* Default: `%s`\n", o.Default)
	}
	if o.Example != "" {
		fmt.Fprintf(&t, "* Example: `%s`\n", o.Example)
	}
	return t.String()
}

// TestOptionsDocument compares docs/nixos-options.md with the modules.
func TestOptionsDocument(t *testing.T) {
	var options []option
	evaluate(t, "import "+absolute(t, "lib/options.nix"), &options)
	var want strings.Builder
	want.WriteString("# Options of the NixOS modules\n\nMade from `nix/modules`; [nixos.md](nixos.md) says how they are used.\n")
	for _, o := range options {
		if o.Description == "" || !strings.HasSuffix(strings.TrimSpace(o.Description), ".") {
			t.Errorf("%s: the description %q is no sentence", o.Name, o.Description)
		}
		want.WriteString(o.String())
	}
	file := root + "/docs/nixos-options.md"
	if *update {
		if err := os.WriteFile(file, []byte(want.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(want.String(), read(t, file)); diff != "" {
		t.Errorf("run go -C test/nix test -run TestOptionsDocument -update (-want +got):\n%s", diff)
	}
	if len(options) < 60 {
		t.Errorf("only %d options", len(options))
	}
}

// TestSnippets evaluates the Nix code of docs/nixos.md: each configuration, and the
// flake, with the configuration that it names beside it.
func TestSnippets(t *testing.T) {
	dir, configurations := t.TempDir(), 0
	for _, block := range regexp.MustCompile("(?s)```nix\n(.*?)```").FindAllStringSubmatch(read(t, root+"/docs/nixos.md"), -1) {
		if name := regexp.MustCompile(`^# (\S+\.nix)\n`).FindStringSubmatch(block[1]); name != nil {
			if err := os.WriteFile(filepath.Join(dir, name[1]), []byte(block[1]), 0o600); err != nil {
				t.Fatal(err)
			}
			if name[1] == "flake.nix" {
				continue
			}
		}
		var got evaluated
		evaluate(t, host(t, block[1], ""), &got)
		if len(got.Services) == 0 {
			t.Errorf("no service comes of\n%s", block[1])
		}
		configurations++
	}
	if configurations < 3 {
		t.Errorf("only %d configurations", configurations)
	}
	var units []string
	evaluate(t, fmt.Sprintf(`let
  nixpkgs = (import %s).outputs { self = null; };
  fleetlog = (import %s).outputs { self = fleetlog; inherit nixpkgs; };
in builtins.attrNames ((import %s).outputs { inherit nixpkgs fleetlog; }).nixosConfigurations.log.config.systemd.services`,
		absolute(t, "lib/flake.nix"), absolute(t, root+"/flake.nix"), filepath.Join(dir, "flake.nix")), &units)
	if want := "fleetlog-init fleetlog-nats fleetlog-poller fleetlog-provision fleetlog-reducer"; sorted(units) != want {
		t.Errorf("the flake's host has %q, want %q", units, want)
	}
}
