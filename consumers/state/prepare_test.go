package state_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"fleetlog/consumers/fold"
	"fleetlog/consumers/state"
	"fleetlog/internal/fleetsim"

	"github.com/google/go-cmp/cmp"
)

// many is a fleet of so many channels that the next generation is prepared.
func many(channels int) fleetsim.Fleet {
	return fleetsim.Fleet{Hosts: channels, Channels: channels, Commit: "aaaa", SignedAt: epoch.Add(time.Duration(channels) * time.Second)}
}

// TestPrepare saves one set after the other in a directory that is prepared, and
// compares it with one that is not: with channels that are signed anew, that leave and
// that come, with a file that is damaged meanwhile, and after a stop in between.
func TestPrepare(t *testing.T) {
	trust := bothKeys(t)
	anew := func(f fleetsim.Fleet, channels ...int) fold.State {
		var names []string
		for _, n := range channels {
			names = append(names, fleetsim.ChannelName(n))
		}
		return assemble(t, f, trust, resign(t, names...))
	}
	prepared, plain := t.TempDir(), t.TempDir()
	one, other := open(t, prepared), open(t, plain)
	var c, d state.Checkpoint
	for i, s := range []fold.State{
		anew(many(40)), anew(many(40), 3), anew(many(40), 3, 4), anew(many(35)), anew(many(40), 7), anew(many(40), 8), anew(many(40), 9),
		anew(many(40), 9, 10), anew(many(40), 11),
	} {
		number := uint64(i + 1)
		c, d = save(t, one, checkpointAt(t, c, number), s), save(t, other, checkpointAt(t, d, number), s)
		if diff := cmp.Diff(files(t, other.Current()), files(t, one.Current())); diff != "" {
			t.Errorf("after set %d (-plain +prepared):\n%s", i, diff)
		}
		one.Prepare()
		one.Prepare()
		if begun := begunIn(t, prepared); len(begun) != 1 {
			t.Errorf("after set %d these are begun: %v", i, begun)
		}
		switch i {
		case 5:
			path := filepath.Join(one.Current(), "fleet.resolved.json")
			edit(t, path, func(s string) string { return "x" + s[1:] })
			later := time.Now().Add(time.Minute) // far from the grain of the file system's clock
			must(t, os.Chtimes(path, later, later))
		case 6:
			crashed := filepath.Join(t.TempDir(), "crashed")
			copyTree(t, prepared, crashed)
			must(t, one.Close())
			if begun := begunIn(t, prepared); len(begun) != 0 {
				t.Errorf("closing leaves %v", begun)
			}
			prepared, one = crashed, open(t, crashed)
		}
	}
}

// files are those of a generation, with what they hold.
func files(t testing.TB, path string) map[string]string {
	t.Helper()
	held := make(map[string]string)
	must(t, fs.WalkDir(os.DirFS(path), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(path, name))
		held[name] = string(data)
		return err
	}))
	return held
}

// begunIn are the generations that are begun.
func begunIn(t testing.TB, path string) []string {
	t.Helper()
	begun, err := filepath.Glob(filepath.Join(path, "generations", "*.new"))
	must(t, err)
	return begun
}

// TestPrepareFails: nothing is left of a generation that cannot be begun, and a Save
// goes through without.
func TestPrepareFails(t *testing.T) {
	path := t.TempDir()
	d := open(t, path)
	c := save(t, d, checkpointAt(t, state.Checkpoint{}, 1), stateOf(t, many(40)))
	aside := filepath.Join(path, "aside")
	must(t, os.Rename(d.Current(), aside))
	d.Prepare()
	must(t, os.Rename(aside, d.Current()))
	if begun := begunIn(t, path); len(begun) != 0 {
		t.Errorf("%v is begun of nothing", begun)
	}
	s := stateOf(t, many(35))
	save(t, d, checkpointAt(t, c, 2), s)
	wantLoaded(t, path, 2, s)
}
