package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"fleetlog/consumers/view"
	"fleetlog/eventlog"
	"fleetlog/internal/process"
	"fleetlog/manifest"

	"github.com/spf13/cobra"
)

type showFlags struct {
	logFlags
	at, stateDir, output string
	trust                process.TrustFile
	freshness            process.Freshness
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

Exit status: 0 a set was shown, 1 there is none or it was refused, 2 could not tell.`,
		Example: `fleetlog show --fleet prod --trust-file trust.json
fleetlog show --fleet prod --at -2h -o json
fleetlog show --state-dir /var/lib/reducer`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return show(cmd, &f) },
	}
	f.register(cmd.Flags())
	cmd.Flags().StringVar(&f.at, "at", "", "point of the log; the newest without it")
	cmd.Flags().StringVar(&f.stateDir, "state-dir", "", "show the state of a reducer in that directory instead of the log")
	cmd.Flags().StringVar((*string)(&f.trust), "trust-file", "", "verify under this trust.json")
	f.freshness.Flags(cmd.Flags(), "freshness-window-secs")
	process.ChoiceVar(cmd.Flags(), &f.output, "output", "o", "form of the answer", "table", "json")
	return cmd
}

func show(cmd *cobra.Command, f *showFlags) error {
	var trust *manifest.Trust
	if f.trust != "" {
		var err error
		if trust, err = f.trust.Parse(); err != nil {
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
	var refused *manifest.Rejection
	if errors.As(err, &refused) {
		return process.Exit(process.ExitNo, err)
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
	policy := f.freshness.Policy()
	policy.Trust = trust
	return setAt(cmd.Context(), log, point, policy)
}

// setAt reads the set that a correct reader held at the point.
func setAt(ctx context.Context, log *eventlog.Log, point eventlog.Point, policy manifest.Policy) (view.Set, error) {
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
	if policy.Trust == nil {
		return view.Said(tick, statement.Findings), nil
	}
	artifacts, err := log.StatementArtifacts(ctx, statement.Findings)
	if err != nil {
		return view.Set{}, err
	}
	for _, name := range ref.Without {
		delete(artifacts.Rollouts, name)
	}
	policy.Now = statement.Head.Time.Time()
	set, _, err := manifest.Assemble(artifacts.Fleet, artifacts.Rollouts, "", policy)
	if err != nil {
		return view.Set{}, fmt.Errorf("set of seq:%d does not pass this trust file and window: %w", tick.Head.Seq, err)
	}
	return view.Of(set, ref.Without, view.ResolvedAt(tick.Head), policy), nil
}
