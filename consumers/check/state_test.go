package check_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fleetlog/consumers/check"
	"fleetlog/consumers/follower"
	"fleetlog/consumers/state"
	"fleetlog/eventlog"
	"fleetlog/events"

	"github.com/google/go-cmp/cmp"
	logtest "github.com/sirupsen/logrus/hooks/test"
)

// reducer makes one for the directory; the caller closes that.
func (s *scene) reducer(path string) *follower.Reducer {
	s.t.Helper()
	directory, err := state.Open(path)
	must(s.t, err)
	quiet, _ := logtest.NewNullLogger()
	r, err := follower.NewReducer(follower.Config{
		Open: func(ctx context.Context, writers []events.PublicKey) (*eventlog.Log, error) {
			place := s.place()
			place.Writers = writers
			return eventlog.Open(ctx, s.nc, place)
		},
		State: directory, Trust: func() ([]byte, error) { return bothKeys(s.t), nil }, Window: window,
		Clock: time.Now, Log: quiet, Ready: func(error) {},
	})
	must(s.t, err)
	return r
}

// folded is a state directory that holds what the log says.
func (s *scene) folded() string {
	s.t.Helper()
	path := s.t.TempDir()
	r := s.reducer(path)
	must(s.t, errors.Join(r.Rebuild(s.t.Context()), r.State.Close()))
	return path
}

// held is a copy of a state directory, to be damaged.
type held struct {
	t    *testing.T
	path string
	c    *state.Checkpoint
}

// replace changes the text of the checkpoint.
func (h *held) replace(from, to string) {
	h.t.Helper()
	name := filepath.Join(h.path, "checkpoint.json")
	before, err := os.ReadFile(name)
	must(h.t, err)
	after := strings.Replace(string(before), from, to, 1)
	if after == string(before) {
		h.t.Fatalf("checkpoint does not hold %s", from)
	}
	must(h.t, os.WriteFile(name, []byte(after), 0o600))
}

// link makes `current` name something else.
func (h *held) link(target string) {
	h.t.Helper()
	must(h.t, os.Remove(filepath.Join(h.path, "current")))
	must(h.t, os.Symlink(target, filepath.Join(h.path, "current")))
}

// file is a file of the generation.
func (h *held) file(name string) string {
	return filepath.Join(h.path, "generations", h.c.Set.Generation, name)
}

// newer copies the generation to the next one, which `current` then names.
func (h *held) newer() string {
	h.t.Helper()
	next := "generations/00000000000000000099"
	must(h.t, os.CopyFS(filepath.Join(h.path, next), os.DirFS(h.file("."))))
	h.link(next)
	return filepath.Join(h.path, next)
}

const signatureFile = "fleet.resolved.json.sig"

var spoils = []struct {
	name string
	do   func(h *held) []check.Code
}{
	{"nothing", func(*held) []check.Code { return nil }},
	{"checkpoint is damaged", func(h *held) []check.Code {
		h.replace(`"format"`, ` "format"`)
		return []check.Code{check.CodeCheckpoint}
	}},
	{"checkpoint is of another lineage", func(h *held) []check.Code {
		h.replace(h.c.Lineage, "00000000-0000-4000-8000-000000000000")
		return []check.Code{check.CodeCheckpointLineage}
	}},
	{"checkpoint is of another stream", func(h *held) []check.Code {
		h.replace(h.c.Stream, "nixfleet-test-events")
		return []check.Code{check.CodeCheckpointLineage}
	}},
	{"checkpoint is beyond the end", func(h *held) []check.Code {
		h.replace(fmt.Sprintf(`"sequence": %d`, h.c.Sequence), fmt.Sprintf(`"sequence": %d`, h.c.Sequence+1))
		h.c.Sequence++
		return []check.Code{check.CodeCheckpointBeyond}
	}},
	{"checkpoint is in the middle of a tick", func(h *held) []check.Code {
		h.replace(fmt.Sprintf(`"sequence": %d`, h.c.Sequence), fmt.Sprintf(`"sequence": %d`, h.c.Sequence-1))
		h.c.Sequence--
		return []check.Code{check.CodeCheckpointEvent}
	}},
	{"checkpoint is of another event", func(h *held) []check.Code {
		h.replace(h.c.EventDigest.String(), flipped(h.c.EventDigest))
		return []check.Code{check.CodeCheckpointEvent}
	}},
	{"checkpoint has another event id", func(h *held) []check.Code {
		h.replace(h.c.EventID, "x"+h.c.EventID)
		return []check.Code{check.CodeCheckpointEvent}
	}},
	{"checkpoint has another tick", func(h *held) []check.Code {
		h.replace(fmt.Sprintf(`"tick": %d`, h.c.Tick), `"tick": 77`)
		h.c.Tick = 77
		return []check.Code{check.CodeCheckpointEvent}
	}},
	{"checkpoint has another time", func(h *held) []check.Code {
		h.replace(fmt.Sprintf(`"time": %q`, h.c.Time), fmt.Sprintf(`"time": %q`, events.TimeOf(epoch)))
		return []check.Code{check.CodeCheckpointEvent}
	}},
	{"checkpoint has another set digest", func(h *held) []check.Code {
		h.replace(h.c.Set.Digest.String(), flipped(h.c.Set.Digest))
		return []check.Code{check.CodeCheckpointSet, check.CodeCheckpointSet} // than its files, than the log
	}},
	{"checkpoint has another floor", func(h *held) []check.Code {
		h.replace(h.c.Floor.FleetHash.String(), flipped(h.c.Floor.FleetHash))
		return []check.Code{check.CodeCheckpointFloor}
	}},
	{"current is missing", func(h *held) []check.Code {
		must(h.t, os.Remove(filepath.Join(h.path, "current")))
		return []check.Code{check.CodeCurrentMissing}
	}},
	{"current is dangling", func(h *held) []check.Code {
		h.link("generations/00000000000000000099")
		return []check.Code{check.CodeCurrentDangling}
	}},
	{"generation is missing", func(h *held) []check.Code {
		must(h.t, os.RemoveAll(h.file(".")))
		return []check.Code{check.CodeCurrentDangling, check.CodeGeneration}
	}},
	{"current is an older generation", func(h *held) []check.Code {
		h.link("generations/00000000000000000000")
		return []check.Code{check.CodeCurrentOther}
	}},
	{"current is elsewhere", func(h *held) []check.Code {
		must(h.t, os.CopyFS(filepath.Join(h.path, "elsewhere"), os.DirFS(h.file("."))))
		h.link("elsewhere")
		return []check.Code{check.CodeCurrentOther}
	}},
	{"current is no symlink", func(h *held) []check.Code {
		must(h.t, os.Remove(filepath.Join(h.path, "current")))
		must(h.t, os.CopyFS(filepath.Join(h.path, "current"), os.DirFS(h.file("."))))
		return []check.Code{check.CodeCurrentOther}
	}},
	{"a byte is changed", func(h *held) []check.Code {
		data, err := os.ReadFile(h.file("fleet.resolved.json"))
		must(h.t, err)
		data[len(data)/2] ^= 1
		must(h.t, os.WriteFile(h.file("fleet.resolved.json"), data, 0o600))
		return []check.Code{check.CodeGeneration}
	}},
	{"a signature is missing", func(h *held) []check.Code {
		must(h.t, os.Remove(h.file(signatureFile)))
		return []check.Code{check.CodeGeneration}
	}},
	{"a file is there that is not the set's", func(h *held) []check.Code {
		must(h.t, os.WriteFile(h.file("rollouts/x@y.json.sig"), make([]byte, 64), 0o600))
		return []check.Code{check.CodeGeneration}
	}},
	{"a manifest is there that is not the set's", func(h *held) []check.Code {
		must(h.t, os.WriteFile(h.file("rollouts/x@y.json"), []byte("{}"), 0o600))
		must(h.t, os.WriteFile(h.file("rollouts/x@y.json.sig"), make([]byte, 64), 0o600))
		return []check.Code{check.CodeGeneration}
	}},
	{"a save was interrupted before the checkpoint", func(h *held) []check.Code {
		h.newer()
		return nil
	}},
	{"the newer generation has no fleet", func(h *held) []check.Code {
		next := h.newer()
		must(h.t, errors.Join(os.Remove(filepath.Join(next, "fleet.resolved.json")), os.Remove(filepath.Join(next, signatureFile))))
		return []check.Code{check.CodeGeneration}
	}},
	{"the newer generation lacks a signature", func(h *held) []check.Code {
		must(h.t, os.Remove(filepath.Join(h.newer(), signatureFile)))
		return []check.Code{check.CodeGeneration}
	}},
	{"the newer generation has a short signature", func(h *held) []check.Code {
		must(h.t, os.Truncate(filepath.Join(h.newer(), signatureFile), 63))
		return []check.Code{check.CodeGeneration}
	}},
	{"the newer generation is cut short", func(h *held) []check.Code {
		must(h.t, os.Truncate(filepath.Join(h.newer(), "fleet.resolved.json"), 100))
		return []check.Code{check.CodeGeneration}
	}},
}

// TestStateDirectory finds what is wrong with a state directory, and that an
// interrupted save is not wrong.
func TestStateDirectory(t *testing.T) {
	s := newScene(t)
	s.live(manyHosts)
	whole := s.folded()
	for _, spoil := range spoils {
		t.Run(spoil.name, func(t *testing.T) {
			h := &held{t: t, path: filepath.Join(t.TempDir(), "state")}
			must(t, os.CopyFS(h.path, os.DirFS(whole)))
			var err error
			h.c, _, err = state.View(h.path).Read()
			must(t, err)
			codes := spoil.do(h)
			got := s.check(h.path)
			var want []string
			for _, code := range codes {
				seq := h.c.Sequence
				if code == check.CodeCheckpoint {
					seq = 0
				}
				want = append(want, at(code, seq)...)
			}
			if diff := cmp.Diff(want, found(got)); diff != "" {
				t.Errorf("findings (-want +got):\n%s\n%+v", diff, got.Findings)
			}
			if position := (&check.Position{Seq: h.c.Sequence, Tick: h.c.Tick}); len(want) == 0 && !cmp.Equal(position, got.Position) {
				t.Errorf("position %+v, want %+v", got.Position, position)
			}
		})
	}
}

// TestFirstSave: a checkpoint without a set, of a reducer that has saved the first
// one's files.
func TestFirstSave(t *testing.T) {
	s := newScene(t)
	path := s.folded()
	if got := s.check(path); got.Found != 0 {
		t.Errorf("before the first tick: %+v", got.Findings)
	}
	s.live(manyHosts)
	must(t, os.CopyFS(filepath.Join(path, "generations"), os.DirFS(filepath.Join(s.folded(), "generations"))))
	names, err := filepath.Glob(filepath.Join(path, "generations/*"))
	must(t, err)
	must(t, os.Symlink("generations/"+filepath.Base(names[0]), filepath.Join(path, "current")))
	if got := s.check(path); got.Found != 0 {
		t.Errorf("after an interrupted save: %+v", got.Findings)
	}
}

// TestNoCheckpoint is an error: there is nothing to check.
func TestNoCheckpoint(t *testing.T) {
	s := newScene(t)
	_, err := check.Check(t.Context(), s.log, check.Options{StateDir: t.TempDir()})
	if !errors.Is(err, check.ErrNoCheckpoint) {
		t.Errorf("error %v, want ErrNoCheckpoint", err)
	}
}

// TestAtWork checks a log and a directory while a reducer folds the one into the
// other.
func TestAtWork(t *testing.T) {
	s := newScene(t)
	s.sign(6, 3)
	s.tick()
	path := s.folded()
	r := s.reducer(path)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- errors.Join(r.Run(ctx), r.State.Close()) }()
	seen := make(map[uint64]bool)
	for n := range 20 {
		s.sign(6, 1+n%3)
		s.tick()
		got := s.check(path)
		if got.Found != 0 {
			t.Errorf("at tick %d: %+v", got.Tick, got.Findings)
		}
		seen[got.Position.Tick] = true
	}
	cancel()
	must(t, <-done)
	if len(seen) < 2 {
		t.Errorf("the reducer was seen at ticks %v only", seen)
	}
}
