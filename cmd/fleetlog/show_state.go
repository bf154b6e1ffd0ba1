package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"fleetlog/consumers/fold"
	"fleetlog/consumers/state"
	"fleetlog/consumers/view"
	"fleetlog/manifest"
)

// fromState shows what a reducer's state directory holds, without disturbing
// the reducer.
func (f *showFlags) fromState(trust *manifest.Trust) (view.Set, error) {
	if trust == nil {
		return f.fromFiles()
	}
	checkpoint, s, err := state.View(f.stateDir).Load(fold.Rules{Trust: trust, Window: manifest.Unlimited})
	if err != nil {
		return view.Set{}, err
	}
	if checkpoint == nil {
		return view.Set{}, f.noCheckpoint()
	}
	return view.Of(s.Set, s.Without, resolved(checkpoint), f.freshness.Policy()), nil
}

func (f *showFlags) noCheckpoint() error {
	return fmt.Errorf("%s holds no checkpoint: give the --state-dir of a reducer that has run", f.stateDir)
}

func resolved(c *state.Checkpoint) view.Resolved {
	return view.Resolved{Seq: c.Sequence, Tick: c.Tick, Time: c.Time}
}

// fromFiles shows what the files say, verifying nothing.
func (f *showFlags) fromFiles() (view.Set, error) {
	data, err := os.ReadFile(filepath.Join(f.stateDir, "checkpoint.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return view.Set{}, f.noCheckpoint()
	}
	if err != nil {
		return view.Set{}, err
	}
	c, err := state.ParseCheckpoint(data)
	if err != nil {
		return view.Set{}, fmt.Errorf("read checkpoint of %s: %w", f.stateDir, err)
	}
	shown := view.Set{Rollouts: map[string]view.Rollout{}, Resolved: resolved(c)}
	if c.Set == nil {
		return shown, nil
	}
	shown.SetDigest, shown.Without = &c.Set.Digest, c.Set.Without
	root, err := os.OpenRoot(filepath.Join(f.stateDir, "generations", c.Set.Generation))
	if err != nil {
		return view.Set{}, err
	}
	defer root.Close()
	err = addFiles(&shown, root.FS(), c.Set.Artifacts, f.freshness.Window())
	return shown, err
}

func addFiles(shown *view.Set, files fs.FS, names state.ArtifactNames, window manifest.Window) error {
	fleet, err := readPair(files, "fleet.resolved.json")
	if err != nil {
		return err
	}
	if err := shown.AddFleet(fleet.Body, window); err != nil {
		return err
	}
	for channel, name := range names.Rollouts {
		rollout, err := readPair(files, "rollouts/"+name.ID+".json")
		if err != nil {
			return err
		}
		if err := shown.AddRollout(channel, name.ID, rollout.Body, window); err != nil {
			return err
		}
	}
	return nil
}

func readPair(files fs.FS, name string) (r manifest.Received, err error) {
	if r.Body, err = fs.ReadFile(files, name); err != nil {
		return r, err
	}
	r.Signature, err = fs.ReadFile(files, name+".sig")
	return r, err
}
