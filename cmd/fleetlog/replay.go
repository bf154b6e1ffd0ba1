package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"fleetlog/consumers/past"
	"fleetlog/consumers/state"
	"fleetlog/consumers/view"
	"fleetlog/eventlog"
	"fleetlog/internal/process"
	"fleetlog/manifest"

	"github.com/spf13/cobra"
)

type replayFlags struct {
	pastFlags
	to, compare string
}

func replayCommand() *cobra.Command {
	var f replayFlags
	cmd := &cobra.Command{
		Use:   "replay",
		Short: "fold the log anew and compare",
		Long: `replay folds the log from its beginning to a point, verifying everything under
--trust-file as a reducer would, and says whether the set is the one that the log states
there. With --compare it says instead whether it is the one of a reducer's state
directory, or of a file that show -o json or a reducer's /v1/set wrote; without --to, at
the point that it is of. Where they differ it names the tick from which on they do, and
what was refused there.

Trust and window are the same for the whole log. Where they were others at the time,
ticks of that time differ; a set that trust took is in it again.

Exit status: 0 equal, 1 they differ, 2 could not tell.`,
		Example: `fleetlog replay --fleet prod --trust-file trust.json --compare /var/lib/reducer
fleetlog replay --fleet prod --trust-file trust.json --to -24h -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return replay(cmd, &f) },
	}
	f.register(cmd.Flags())
	cmd.Flags().StringVar(&f.to, "to", "", "point of the log; the newest without it")
	cmd.Flags().StringVar(&f.compare, "compare", "", "state directory of a reducer, or a file with a set")
	completeFlag(cmd, f.live(points), "to")
	return cmd
}

func replay(cmd *cobra.Command, f *replayFlags) error {
	if f.trust == "" {
		return could(errors.New("no trust file: give --trust-file"))
	}
	r, nc, err := f.reader(cmd, f.to)
	if err != nil {
		return could(err)
	}
	defer nc.Close()
	other, err := f.other(r.Log)
	if err != nil {
		return could(err)
	}
	point := f.to
	if point == "" && other != nil {
		point = eventlog.PointOfSeq(other.Resolved.Seq).String()
	}
	to, err := tickAt(cmd.Context(), r, point)
	if err != nil {
		return could(err)
	}
	if f.to == "" && other != nil && to.Head.Seq != other.Resolved.Seq {
		return could(fmt.Errorf("--compare %s is of seq:%d, where this log has no tick", f.compare, other.Resolved.Seq))
	}
	shown := newProgress(cmd.ErrOrStderr(), time.Now)
	var with *past.Other
	if other != nil {
		with = &past.Other{SetDigest: other.SetDigest}
	}
	report, err := r.Replay(cmd.Context(), to.Head, with, shown.at)
	shown.end()
	if err != nil {
		return could(err)
	}
	if f.output == process.TableForm {
		err = report.Table(cmd.OutOrStdout())
	} else {
		err = process.PrintJSON(cmd.OutOrStdout(), report)
	}
	return answered(report.OK(), err)
}

// other reads the set that is compared with; nil when none is.
func (f *replayFlags) other(log *eventlog.Log) (*view.Set, error) {
	if f.compare == "" {
		return nil, nil
	}
	info, err := os.Stat(f.compare)
	if err != nil {
		return nil, fmt.Errorf("--compare: %w", err)
	}
	if !info.IsDir() {
		data, err := readLimited(f.compare, manifest.MaxArtifact)
		if err != nil {
			return nil, fmt.Errorf("--compare: %w", err)
		}
		set, err := view.ParseSet(data)
		if err != nil {
			return nil, fmt.Errorf("--compare %s: %w: give what show -o json wrote, or a state directory", f.compare, err)
		}
		return &set, nil
	}
	checkpoint, _, err := state.View(f.compare).Read()
	switch {
	case err != nil:
		return nil, fmt.Errorf("--compare: %w", err)
	case checkpoint == nil:
		return nil, fmt.Errorf("--compare: %s holds no checkpoint: give the --state-dir of a reducer that has run", f.compare)
	case checkpoint.Lineage != log.Lineage():
		return nil, fmt.Errorf("--compare: %s is of log %s, this one is %s", f.compare, checkpoint.Lineage, log.Lineage())
	}
	set := view.Set{Resolved: resolved(checkpoint)}
	if checkpoint.Set != nil {
		set.SetDigest = &checkpoint.Set.Digest
	}
	return &set, nil
}
