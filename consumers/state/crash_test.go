package state_test

import (
	"os"
	"path/filepath"
	"testing"

	"fleetlog/consumers/fold"
	"fleetlog/consumers/state"

	"github.com/google/go-cmp/cmp"
)

// copyTree copies a directory with its symlinks.
func copyTree(t testing.TB, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// stopped makes what is on disk when a Save of the second state stopped behind
// some of its steps. Both directories hold one state each before.
type stopped struct {
	name  string
	make  func(t *testing.T, path, after string) // from the directory before, by pieces of the one after
	loads int                                    // which of the two states it loads as
	holds int                                    // which of the two `current` holds
}

const second = "generations/00000000000000000002"

func move(t *testing.T, after, path, name string) {
	t.Helper()
	must(t, os.RemoveAll(filepath.Join(path, name)))
	must(t, os.Rename(filepath.Join(after, name), filepath.Join(path, name)))
}

// interrupted are the states of the disk between two saves, in the order of the
// steps.
var interrupted = []stopped{
	{"nothing done", func(*testing.T, string, string) {}, 0, 0},
	{"inside the generation", func(t *testing.T, path, after string) {
		move(t, after, path, second)
		must(t, os.Rename(filepath.Join(path, second), filepath.Join(path, second+".new")))
		must(t, os.Remove(filepath.Join(path, second+".new/rollouts/channel-002@aaaa.json.sig")))
		must(t, os.WriteFile(filepath.Join(path, second+".new/rollouts/.channel-002@aaaa.json.sig.77"), []byte("half"), 0o600))
	}, 0, 0},
	{"generation written", func(t *testing.T, path, after string) {
		move(t, after, path, second)
	}, 0, 0},
	{"symlink made", func(t *testing.T, path, after string) {
		move(t, after, path, second)
		must(t, os.Symlink(second, filepath.Join(path, ".current.new")))
	}, 0, 0},
	{"current switched", func(t *testing.T, path, after string) {
		move(t, after, path, second)
		move(t, after, path, "current")
	}, 0, 1},
	{"inside the checkpoint", func(t *testing.T, path, after string) {
		move(t, after, path, second)
		move(t, after, path, "current")
		must(t, os.WriteFile(filepath.Join(path, ".checkpoint.json.123"), []byte(`{"format":1,`), 0o600))
	}, 0, 1},
	{"checkpoint written", func(t *testing.T, path, after string) {
		move(t, after, path, second)
		move(t, after, path, "current")
		move(t, after, path, "checkpoint.json")
	}, 1, 1},
}

// TestStoppedInsideSave: whatever step a Save stops behind, `current` is one
// whole set, the state before or after is loaded, and the same Save goes
// through.
func TestStoppedInsideSave(t *testing.T) {
	states := []fold.State{stateOf(t, fleet(1)), stateOf(t, fleet(2))}
	before, after := t.TempDir(), t.TempDir()
	d := open(t, before)
	c := save(t, d, checkpointAt(t, state.Checkpoint{}, 1), states[0])
	must(t, d.Close())
	for _, stop := range interrupted {
		t.Run(stop.name, func(t *testing.T) {
			path, done := filepath.Join(t.TempDir(), "state"), filepath.Join(after, stop.name)
			copyTree(t, before, path)
			copyTree(t, before, done)
			finished := open(t, done)
			save(t, finished, checkpointAt(t, c, 2), states[1])
			must(t, finished.Close())
			stop.make(t, path, done)

			if held := whole(t, filepath.Join(path, "current")); held != digest(states[stop.holds]) {
				t.Errorf("current holds %s, want %s", held, digest(states[stop.holds]))
			}
			loaded := wantLoaded(t, path, uint64(stop.loads+1), states[stop.loads])
			d := open(t, path)
			save(t, d, checkpointAt(t, loaded, 2), states[1])
			wantLoaded(t, path, 2, states[1])
			if held := whole(t, d.Current()); held != digest(states[1]) {
				t.Errorf("current holds %s after all, want %s", held, digest(states[1]))
			}
			for _, pattern := range []string{"generations/*.new", ".*"} {
				if left, _ := filepath.Glob(filepath.Join(path, pattern)); len(left) > 0 {
					t.Errorf("%s is left", left)
				}
			}
		})
	}
}

// TestStoppedWithoutSet: the set is gone from `current` before the checkpoint
// says so.
func TestStoppedWithoutSet(t *testing.T) {
	path := t.TempDir()
	d := open(t, path)
	one := stateOf(t, fleet(1))
	c := save(t, d, checkpointAt(t, state.Checkpoint{}, 1), one)
	must(t, os.Remove(d.Current()))
	wantLoaded(t, path, 1, one)
	none := fold.State{Floor: one.Floor}
	save(t, d, checkpointAt(t, c, 2), none)
	wantLoaded(t, path, 2, none)
}

// generationsIn are the names of the generations on disk.
func generationsIn(t testing.TB, path string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(path, "generations"))
	must(t, err)
	for _, e := range entries {
		names = append(names, e.Name()[len(e.Name())-2:])
	}
	return names
}

// TestCollect: the current generation and the one that was current before it
// stay, whatever else a stop has left.
func TestCollect(t *testing.T) {
	path := t.TempDir()
	d := open(t, path)
	var c state.Checkpoint
	step := func(number int, s fold.State, want ...string) {
		t.Helper()
		c = save(t, d, checkpointAt(t, c, uint64(number)), s)
		if diff := cmp.Diff(want, generationsIn(t, path)); diff != "" {
			t.Errorf("generations after tick %d (-want +got):\n%s", number, diff)
		}
	}
	step(1, stateOf(t, fleet(1)), "01")
	step(2, stateOf(t, fleet(2)), "01", "02")
	step(3, stateOf(t, fleet(3)), "02", "03")
	step(4, stateOf(t, fleet(3)), "02", "03")
	// A generation that never became current is not the one before.
	copyTree(t, filepath.Join(path, "generations/00000000000000000003"), filepath.Join(path, "generations/00000000000000000004"))
	step(5, stateOf(t, fleet(3)), "02", "03")
	copyTree(t, filepath.Join(path, "generations/00000000000000000003"), filepath.Join(path, "generations/00000000000000000004"))
	step(6, stateOf(t, fleet(6)), "03", "04")
	step(7, fold.State{}, "04")
	step(8, fold.State{}, "04")
	step(9, stateOf(t, fleet(9)), "04", "05")
}

// TestFailingSavesLeaveNothing: saves that do not get as far as the checkpoint
// use no more of the disk, however many they are. The one that does gives
// everything free again.
func TestFailingSavesLeaveNothing(t *testing.T) {
	path := t.TempDir()
	d := open(t, path)
	c := save(t, d, checkpointAt(t, state.Checkpoint{}, 1), stateOf(t, fleet(1)))
	checkpoint, aside := filepath.Join(path, "checkpoint.json"), filepath.Join(path, "aside")
	must(t, os.Rename(checkpoint, aside))
	must(t, os.Mkdir(checkpoint, 0o700)) // cannot be replaced by a file
	for number, want := range [][]string{{"01", "02"}, {"01", "02"}, {"01", "02", "03"}, {"01", "03", "04"}} {
		s := stateOf(t, fleet(max(2, 1+number)))
		if _, err := d.Save(checkpointAt(t, c, uint64(2+number)), s); err == nil {
			t.Fatal("a checkpoint was written over a directory")
		}
		if diff := cmp.Diff(want, generationsIn(t, path)); diff != "" {
			t.Errorf("generations after attempt %d (-want +got):\n%s", number+1, diff)
		}
		if held := whole(t, d.Current()); held != digest(s) {
			t.Errorf("current holds %s after attempt %d, want %s", held, number+1, digest(s))
		}
	}
	must(t, os.Remove(checkpoint))
	must(t, os.Rename(aside, checkpoint))
	s := stateOf(t, fleet(4))
	save(t, d, checkpointAt(t, c, 6), s)
	if diff := cmp.Diff([]string{"03", "04"}, generationsIn(t, path)); diff != "" {
		t.Errorf("generations at the end (-want +got):\n%s", diff)
	}
	wantLoaded(t, path, 6, s)
}
