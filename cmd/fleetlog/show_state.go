package main

import (
	"fmt"

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
	checkpoint, s, err := state.View(f.stateDir).Load(fold.Rules{Trust: trust, Window: manifest.Unlimited, Scheme: f.scheme.scheme()})
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
	c, files, err := state.View(f.stateDir).Read()
	if err != nil {
		return view.Set{}, err
	}
	if c == nil {
		return view.Set{}, f.noCheckpoint()
	}
	shown := view.Set{Rollouts: map[string]view.Rollout{}, Resolved: resolved(c)}
	if c.Set == nil {
		return shown, nil
	}
	shown.SetDigest, shown.Without = &c.Set.Digest, c.Set.Without
	if err := shown.AddFleet(files.Fleet.Body, f.freshness.Window()); err != nil {
		return view.Set{}, err
	}
	for channel, rollout := range files.Rollouts {
		if err := shown.AddRollout(channel, c.Set.Artifacts.Rollouts[channel].ID, rollout.Body, f.freshness.Window()); err != nil {
			return view.Set{}, err
		}
	}
	return shown, nil
}
