package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"fleetlog/consumers/fold"
	"fleetlog/consumers/state"
	"fleetlog/consumers/view"
	"fleetlog/eventlog"
	"fleetlog/internal/process"
	"fleetlog/manifest"

	"github.com/spf13/cobra"
)

type showFlags struct {
	logFlags
	at, stateDir, trust, output string
	window                      uint64
}

func showCommand() *cobra.Command {
	var f showFlags
	cmd := &cobra.Command{
		Use:   "show",
		Short: "show the set at a point of the log, or of a reducer's state",
		Long: `show prints what the fleet is supposed to run: the newest set of the log, the one at
a point of it (--at seq:N, tick:N, tick:ID, an RFC 3339 time, or -2h), or the one in
a reducer's state directory. With --trust-file it verifies what it shows; without,
it says that it did not.

Exit status: 0 a set was shown, 1 there is none, 2 could not tell.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return show(cmd, &f) },
	}
	f.register(cmd.Flags())
	cmd.Flags().StringVar(&f.at, "at", "", "point of the log; the newest without it")
	cmd.Flags().StringVar(&f.stateDir, "state-dir", "", "show a reducer's state instead of the log; needs --trust-file")
	cmd.Flags().StringVar(&f.trust, "trust-file", "", "verify under this trust.json")
	cmd.Flags().Uint64Var(&f.window, "freshness-window-secs", 3600, "how old a signature may be, in seconds; 60 s of slack come on top")
	process.ChoiceVar(cmd.Flags(), &f.output, "output", "o", "form of the answer", "table", "json")
	return cmd
}

func show(cmd *cobra.Command, f *showFlags) error {
	var trust *manifest.Trust
	if f.trust != "" {
		var err error
		if trust, err = readTrust(f.trust); err != nil {
			return could(err)
		}
	}
	var shown view.Set
	var err error
	if f.stateDir != "" {
		shown, err = f.fromState(trust)
	} else {
		shown, err = f.fromLog(cmd, trust)
	}
	if err != nil {
		return could(err)
	}
	shown.Judge(time.Now())
	if f.output == "json" {
		err = process.PrintJSON(cmd.OutOrStdout(), shown)
	} else {
		err = shown.Table(cmd.OutOrStdout())
	}
	if err == nil && shown.SetDigest == nil {
		return process.Exit(process.ExitNo, nil)
	}
	return could(err)
}

// fromState reads a reducer's checkpoint and files, without disturbing it.
func (f *showFlags) fromState(trust *manifest.Trust) (view.Set, error) {
	if trust == nil {
		return view.Set{}, errors.New("a state directory is shown verified: give --trust-file")
	}
	if _, err := os.Stat(filepath.Join(f.stateDir, "checkpoint.json")); err != nil {
		return view.Set{}, fmt.Errorf("no reducer's state: %w", err)
	}
	window := manifest.Window(f.window)
	checkpoint, s, err := state.View(f.stateDir).Load(fold.Rules{Trust: trust, Window: manifest.Unlimited})
	if err != nil {
		return view.Set{}, err
	}
	resolved := view.Resolved{Seq: checkpoint.Sequence, Tick: checkpoint.Tick, Time: checkpoint.Time}
	return view.Of(s.Set, s.Without, resolved, window), nil
}

func (f *showFlags) fromLog(cmd *cobra.Command, trust *manifest.Trust) (view.Set, error) {
	point, err := eventlog.ParsePoint(f.at, time.Now())
	if err != nil {
		return view.Set{}, err
	}
	nc, place, err := f.connect(cmd.ErrOrStderr(), nil)
	if err != nil {
		return view.Set{}, err
	}
	defer nc.Close()
	log, err := eventlog.Open(cmd.Context(), nc, place)
	if err != nil {
		return view.Set{}, err
	}
	return setAt(cmd.Context(), log, point, trust, manifest.Window(f.window))
}

// setAt reads the set that a correct reader held at the point.
func setAt(ctx context.Context, log *eventlog.Log, point eventlog.Point, trust *manifest.Trust, window manifest.Window) (view.Set, error) {
	tick, err := log.At(ctx, point)
	if err != nil {
		return view.Set{}, err
	}
	ref := tick.Completed.Set
	if ref == nil {
		return view.Said(tick, nil), nil
	}
	statement, err := log.Statement(ctx, ref.FirstSeq, ref.LastSeq)
	if err != nil {
		return view.Set{}, err
	}
	if trust == nil {
		return view.Said(tick, statement.Findings), nil
	}
	artifacts, err := log.StatementArtifacts(ctx, statement.Findings)
	if err != nil {
		return view.Set{}, err
	}
	for _, name := range ref.Without {
		delete(artifacts.Rollouts, name)
	}
	policy := manifest.Policy{Trust: trust, Now: statement.Head.Time.Time(), Window: window}
	set, _, err := manifest.Assemble(artifacts.Fleet, artifacts.Rollouts, "", policy)
	if err != nil {
		return view.Set{}, err
	}
	return view.Of(set, ref.Without, view.ResolvedAt(tick.Head), window), nil
}
