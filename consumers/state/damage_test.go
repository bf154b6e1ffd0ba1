package state_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fleetlog/consumers/fold"
	"fleetlog/consumers/state"
	"fleetlog/internal/fleetsim"
	"fleetlog/manifest"

	"github.com/google/go-cmp/cmp"
)

// saved is a directory with one state in it.
func saved(t *testing.T) (path string, s fold.State) {
	t.Helper()
	path, s = filepath.Join(t.TempDir(), "state"), stateOf(t, fleet(1))
	d := open(t, path)
	save(t, d, checkpointAt(t, state.Checkpoint{}, 1), s)
	must(t, d.Close())
	return path, s
}

// edit changes the text of a file.
func edit(t *testing.T, name string, change func(string) string) {
	t.Helper()
	data, err := os.ReadFile(name)
	must(t, err)
	changed := change(string(data))
	if changed == string(data) {
		t.Fatalf("%s: nothing was changed", name)
	}
	must(t, os.WriteFile(name, []byte(changed), 0o600))
}

func replace(old, with string) func(string) string {
	return func(s string) string { return strings.Replace(s, old, with, 1) }
}

// TestDamagedCheckpoint: what Save has not written is not read.
func TestDamagedCheckpoint(t *testing.T) {
	for name, change := range map[string]func(string) string{
		"empty":                func(string) string { return "" },
		"half":                 func(s string) string { return s[:len(s)/2] },
		"bytes behind":         func(s string) string { return s + "x" },
		"line behind":          func(s string) string { return s + "\n" },
		"zeros":                func(s string) string { return strings.Repeat("\x00", len(s)) },
		"another format":       replace(`"format": 1`, `"format": 2`),
		"unknown member":       replace(`"format": 1`, `"format": 1, "more": 1`),
		"no lineage":           replace(`"9b1c2d3e-4f50-4a61-8b72-93a4b5c6d7e8"`, `""`),
		"no event":             replace(`"sequence": 2`, `"sequence": 0`),
		"no writer":            replace("[\n\t\t\"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"\n\t]", `[]`),
		"no key":               replace(`"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="`, `"AQ=="`),
		"spelled otherwise":    replace(`"2026-05-01T00:01:00Z"`, `"2026-05-01T00:01:00.0Z"`),
		"another order":        replace(`"format": 1,`, ``),
		"generation elsewhere": replace(`"00000000000000000001"`, `".."`),
		"rollout elsewhere":    replace(`"channel-000@aaaa"`, `"../channel-000@aaaa"`),
		"set without floor": func(s string) string {
			from := strings.Index(s, `"floor":`)
			return s[:from] + `"floor": null,` + s[from+strings.Index(s[from:], "},")+2:]
		},
	} {
		t.Run(name, func(t *testing.T) {
			path, _ := saved(t)
			edit(t, filepath.Join(path, "checkpoint.json"), change)
			c, s, err := state.View(path).Load(rules(t))
			var damaged *state.DamagedError
			if !errors.As(err, &damaged) || damaged.Path != filepath.Join(path, "checkpoint.json") {
				t.Fatalf("load: %v, want a DamagedError of the checkpoint", err)
			}
			if c != nil || s.Set != nil {
				t.Errorf("a damaged checkpoint was used: %+v", c)
			}
		})
	}
}

// TestDamagedGeneration: every byte of a set is named by the checkpoint. What
// the checkpoint says stands.
func TestDamagedGeneration(t *testing.T) {
	generation := "generations/00000000000000000001/"
	for name, damage := range map[string]func(t *testing.T, path string){
		"no generation": func(t *testing.T, path string) { must(t, os.RemoveAll(filepath.Join(path, generation))) },
		"no file": func(t *testing.T, path string) {
			must(t, os.Remove(filepath.Join(path, generation, "fleet.resolved.json")))
		},
		"no signature": func(t *testing.T, path string) {
			must(t, os.Remove(filepath.Join(path, generation, "rollouts/channel-001@aaaa.json.sig")))
		},
		"one bit of a fleet": func(t *testing.T, path string) {
			edit(t, filepath.Join(path, generation, "fleet.resolved.json"), func(s string) string { return string(s[0]^1) + s[1:] })
		},
		"one bit of a manifest": func(t *testing.T, path string) {
			edit(t, filepath.Join(path, generation, "rollouts/channel-002@aaaa.json"), func(s string) string { return s[:9] + string(s[9]^1) + s[10:] })
		},
		"a file for a directory": func(t *testing.T, path string) {
			must(t, os.RemoveAll(filepath.Join(path, generation)))
			must(t, os.WriteFile(filepath.Join(path, "generations/00000000000000000001"), nil, 0o600))
		},
		"a directory for a file": func(t *testing.T, path string) {
			must(t, os.Remove(filepath.Join(path, generation, "fleet.resolved.json")))
			must(t, os.Mkdir(filepath.Join(path, generation, "fleet.resolved.json"), 0o700))
		},
	} {
		t.Run(name, func(t *testing.T) {
			path, before := saved(t)
			damage(t, path)
			c, s, err := state.View(path).Load(rules(t))
			var damaged *state.DamagedError
			if !errors.As(err, &damaged) || !strings.Contains(damaged.Path, "generations") {
				t.Fatalf("load: %v, want a DamagedError of the generation", err)
			}
			if s.Set != nil || c == nil || c.Lineage == "" {
				t.Errorf("set %v, checkpoint %+v", s.Set, c)
			}
			if s.Floor != before.Floor {
				t.Errorf("floor %v, want %v", s.Floor, before.Floor)
			}
		})
	}
}

// TestDiskError: a disk that does not answer is no damage, or the state would be
// given up for a moment's trouble.
func TestDiskError(t *testing.T) {
	for _, name := range []string{
		"checkpoint.json", "generations/00000000000000000001", "generations/00000000000000000001/fleet.resolved.json",
		"generations/00000000000000000001/rollouts/channel-000@aaaa.json.sig",
	} {
		path, _ := saved(t)
		file := filepath.Join(path, name)
		must(t, os.RemoveAll(file))
		must(t, os.Symlink(filepath.Base(file), file)) // cannot be opened, by whomever
		c, _, err := state.View(path).Load(rules(t))
		var damaged *state.DamagedError
		if err == nil || errors.As(err, &damaged) || c != nil {
			t.Errorf("%s: %v, want an error that is no DamagedError", name, err)
		}
	}
	path, _ := saved(t)
	must(t, os.Remove(filepath.Join(path, "current")))
	must(t, os.Symlink("current", filepath.Join(path, "current")))
	if _, err := state.View(path).CurrentFloor(rules(t), epoch); err == nil {
		t.Error("floor of a current that cannot be read: no error")
	}
}

// TestLoadUnderOtherRules leaves out what they do not cover, and says so.
func TestLoadUnderOtherRules(t *testing.T) {
	path, before := saved(t)
	other := fold.Rules{Trust: trustOf(t, another), Window: window}
	narrow := rules(t)
	narrow.Window = 0
	rejecting := fold.Rules{Trust: rejectBefore(t, "2026-05-01T00:02:00Z"), Window: window}
	for name, rules := range map[string]fold.Rules{"another key": other, "rejectBefore": rejecting} {
		c, s, err := state.View(path).Load(rules)
		if err != nil || s.Set != nil || s.Floor != before.Floor || c.Set == nil {
			t.Errorf("%s: set %v, floor %v, error %v", name, s.Set, s.Floor, err)
		}
	}
	// The age is that at the time of the statement.
	if _, s, err := state.View(path).Load(narrow); err != nil || s.Set == nil {
		t.Errorf("narrow window: %v", err)
	}
}

// TestLoadWithoutChannels: a channel that trust took is named, like the ones
// that left before.
func TestLoadWithoutChannels(t *testing.T) {
	path := t.TempDir()
	d := open(t, path)
	s := assemble(t, fleet(1), bothKeys(t), resign(t, fleetsim.ChannelName(0), fleetsim.ChannelName(2)))
	save(t, d, checkpointAt(t, state.Checkpoint{}, 1), s.Keep(s.Set, []string{"an earlier one"}))
	_, loaded, err := d.Load(rules(t))
	must(t, err)
	want := []string{"an earlier one", fleetsim.ChannelName(0), fleetsim.ChannelName(2)}
	if diff := cmp.Diff(want, loaded.Without); diff != "" || len(loaded.Set.Rollouts()) != 1 {
		t.Errorf("%d rollouts, without (-want +got):\n%s", len(loaded.Set.Rollouts()), diff)
	}
}

func rejectBefore(t *testing.T, at string) *manifest.Trust {
	t.Helper()
	text := strings.Replace(string(signer.Trust()), `"ciReleaseKey":{`, `"ciReleaseKey":{"rejectBefore":"`+at+`",`, 1)
	trust, err := manifest.ParseTrust([]byte(text))
	must(t, err)
	return trust
}

func TestCurrentFloor(t *testing.T) {
	path, s := saved(t)
	view := state.View(path)
	for name, now := range map[string]time.Time{
		"in time": epoch.Add(2 * time.Minute), "long after": epoch.AddDate(5, 0, 0), "clock behind": epoch.AddDate(-5, 0, 0),
	} {
		if floor, err := view.CurrentFloor(rules(t), now); err != nil || floor != s.Floor {
			t.Errorf("%s: %v, %v, want %v", name, floor, err, s.Floor)
		}
	}
	none := func(what string, rules fold.Rules) {
		t.Helper()
		if floor, err := view.CurrentFloor(rules, epoch); err != nil || floor != (fold.Floor{}) {
			t.Errorf("%s: %v, %v, want none", what, floor, err)
		}
	}
	none("another trust", fold.Rules{Trust: trustOf(t, another), Window: window})
	edit(t, filepath.Join(path, "current/fleet.resolved.json"), replace("host-000000", "host-000009"))
	none("tampered", rules(t))
	must(t, os.Remove(filepath.Join(path, "current/fleet.resolved.json")))
	none("no fleet", rules(t))
	must(t, os.RemoveAll(filepath.Join(path, "generations")))
	none("no generation", rules(t))
	must(t, os.Remove(filepath.Join(path, "current")))
	none("no current", rules(t))
}

func TestQuarantine(t *testing.T) {
	path := t.TempDir()
	d := open(t, path)
	if kept, err := d.Quarantine(); err != nil || kept != "" {
		t.Errorf("nothing to keep: %q, %v", kept, err)
	}
	one := stateOf(t, fleet(1))
	c := save(t, d, checkpointAt(t, state.Checkpoint{}, 1), one)
	first, err := os.ReadFile(filepath.Join(path, "checkpoint.json"))
	must(t, err)
	kept, err := d.Quarantine()
	must(t, err)
	again, err := d.Quarantine()
	must(t, err)
	if again != kept {
		t.Errorf("the same checkpoint is kept as %s and as %s", kept, again)
	}
	wantLoaded(t, path, 1, one) // it stands until it is replaced
	save(t, d, checkpointAt(t, c, 2), one)
	other, err := d.Quarantine()
	must(t, err)
	if other == kept {
		t.Error("another checkpoint has replaced the one that was kept")
	}
	data, err := os.ReadFile(kept)
	must(t, err)
	if diff := cmp.Diff(string(first), string(data)); diff != "" {
		t.Errorf("kept (-checkpoint +copy):\n%s", diff)
	}
	info, err := os.Stat(kept)
	must(t, err)
	if info.Mode() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
}

func TestLock(t *testing.T) {
	path, s := saved(t)
	first := open(t, path)
	if _, err := state.Open(path); !errors.Is(err, state.ErrInUse) || !strings.Contains(err.Error(), path) {
		t.Errorf("second reducer: %v, want ErrInUse", err)
	}
	wantLoaded(t, path, 1, s) // looking needs no lock
	must(t, first.Close())
	must(t, open(t, path).Close())
}

// A name that no file can have does not stop a reducer.
func TestLongRolloutID(t *testing.T) {
	f := fleet(1)
	f.Commit = strings.Repeat("a", 300)
	path := t.TempDir()
	d := open(t, path)
	s := stateOf(t, f)
	save(t, d, checkpointAt(t, state.Checkpoint{}, 1), s)
	wantLoaded(t, path, 1, s)
}

// Read gives files back without judging them.
func TestRead(t *testing.T) {
	path, s := saved(t)
	c, files, err := state.View(path).Read()
	must(t, err)
	if diff := cmp.Diff(s.Set.Fleet().Received(), files.Fleet); diff != "" || len(files.Rollouts) != 3 || c.Tick != 1 {
		t.Errorf("%d rollouts, tick %d, fleet (-saved +read):\n%s", len(files.Rollouts), c.Tick, diff)
	}
	if c, files, err := state.View(t.TempDir()).Read(); c != nil || files != nil || err != nil {
		t.Errorf("empty directory: %v, %v, %v", c, files, err)
	}
}
