// Package systemd has systemd judge the units that are shipped. It needs
// systemd-analyze, of Debian's package systemd.
package systemd

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// threshold is the highest exposure that is let pass, times ten: 0 is least.
const threshold = "15"

// units are copies of the shipped units whose program is one that every machine
// has.
func units(t *testing.T) (paths []string) {
	t.Helper()
	shipped, err := filepath.Glob("../../deploy/systemd/*.service")
	if err != nil || len(shipped) != 3 {
		t.Fatalf("units are %v, %v", shipped, err)
	}
	program := regexp.MustCompile(`(?m)^ExecStart=/usr/local/bin/[a-z-]+`)
	dir := t.TempDir()
	for _, name := range shipped {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, filepath.Base(name))
		if err := os.WriteFile(path, program.ReplaceAll(text, []byte("ExecStart=/bin/true")), 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

// analyze runs systemd-analyze, and fails the test when that says no.
func analyze(t *testing.T, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Fatalf("%v: install it, with apt-get install systemd for one", err)
	}
	cmd := exec.CommandContext(t.Context(), "systemd-analyze", args...)
	cmd.Env = append(os.Environ(), "SYSTEMD_COLORS=0", "SYSTEMD_EMOJI=0", "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("systemd-analyze %s: %v\n%s", args[0], err, out)
	}
	return string(out)
}

// TestUnitsAreValid: systemd knows every setting, and has nothing to remark.
func TestUnitsAreValid(t *testing.T) {
	if said := analyze(t, append([]string{"verify", "--man=no"}, units(t)...)...); said != "" {
		t.Errorf("systemd-analyze verify says: %s", said)
	}
}

// TestDocumentedDropInsAreValid: so are the additions that docs/systemd.md advises.
func TestDocumentedDropInsAreValid(t *testing.T) {
	text, err := os.ReadFile("../../docs/systemd.md")
	if err != nil {
		t.Fatal(err)
	}
	advised := regexp.MustCompile("(?s)```ini\n# systemctl edit (\\S+)\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(advised) != strings.Count(string(text), "```ini") || len(advised) == 0 {
		t.Fatalf("%d additions name their unit", len(advised))
	}
	for _, addition := range advised {
		paths := units(t)
		i := slices.IndexFunc(paths, func(path string) bool { return filepath.Base(path) == addition[1]+".service" })
		if i < 0 {
			t.Errorf("there is no unit %s", addition[1])
			continue
		}
		dir := paths[i] + ".d"
		if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "override.conf"), []byte(addition[2]), 0o600)); err != nil {
			t.Fatal(err)
		}
		if said := analyze(t, "verify", "--man=no", paths[i]); said != "" {
			t.Errorf("systemd-analyze verify says: %s", said)
		}
	}
}

// TestUnitsAreHardened: a unit is exposed no more than a bound.
func TestUnitsAreHardened(t *testing.T) {
	for _, path := range units(t) {
		said := analyze(t, "security", "--offline=true", "--threshold="+threshold, "--no-pager", path)
		level := regexp.MustCompile(`Overall exposure level .*`).FindString(said)
		if level == "" {
			t.Errorf("%s: no level in %s", filepath.Base(path), said)
		}
		t.Log(level)
	}
}

// TestUnitsAreOfOneMould: what has nothing to do with the program is the same in
// all units.
func TestUnitsAreOfOneMould(t *testing.T) {
	shape := regexp.MustCompile(`^(Type|NotifyAccess|Restart\w*|Watchdog\w+|Timeout\w+|KillSignal|StartLimit\w+)=`)
	var first []string
	for _, path := range units(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		above, hardening, found := strings.Cut(string(text), "# Least privilege")
		if !found {
			t.Fatalf("%s: where does hardening begin?", filepath.Base(path))
		}
		var lines []string
		for line := range strings.Lines(above) {
			if shape.MatchString(line) {
				lines = append(lines, line)
			}
		}
		for line := range strings.Lines(hardening) {
			if !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "RestrictAddressFamilies=") {
				lines = append(lines, line)
			}
		}
		if first == nil {
			first = lines
		}
		if !slices.Equal(lines, first) {
			t.Errorf("%s differs:\n%s\nwant\n%s", filepath.Base(path), strings.Join(lines, ""), strings.Join(first, ""))
		}
	}
	if len(first) < 40 {
		t.Errorf("only %d lines are compared: %s", len(first), first)
	}
}
