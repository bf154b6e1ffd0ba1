package main

import (
	"errors"
	"time"

	"fleetlog/consumers/view"
	"fleetlog/internal/process"
	"fleetlog/manifest"

	"github.com/spf13/cobra"
)

type showFlags struct {
	pastFlags
	at, stateDir string
}

func showCommand() *cobra.Command {
	var f showFlags
	cmd := &cobra.Command{
		Use:   "show",
		Short: "show the set at a point of the log, or of a reducer's state",
		Long: `show prints what the fleet is supposed to run: the newest set of the log, the one at
a point of it (--at seq:N, tick:N, tick:ID, an RFC 3339 time, or -2h), or the one in
a reducer's state directory. With --trust-file it verifies what it shows; without,
it says that it did not. What it does not take, although the log states it, it names
with the reason.

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
	completeFlag(cmd, f.live(points), "at")
	return cmd
}

func show(cmd *cobra.Command, f *showFlags) error {
	shown, err := f.set(cmd)
	if err != nil {
		return answered(false, err)
	}
	shown.Judge(time.Now())
	if f.output == process.TableForm {
		err = shown.Table(cmd.OutOrStdout())
	} else {
		err = process.PrintJSON(cmd.OutOrStdout(), shown)
	}
	return answered(shown.SetDigest != nil, err)
}

func (f *showFlags) set(cmd *cobra.Command) (view.Set, error) {
	if f.stateDir != "" && f.at != "" {
		return view.Set{}, could(errors.New("--at is a point of the log, and a state directory holds one set: give --state-dir or --at"))
	}
	if f.stateDir != "" {
		var trust *manifest.Trust
		if f.trust != "" {
			var err error
			if trust, err = f.trust.Parse(); err != nil {
				return view.Set{}, could(err)
			}
		}
		return f.fromState(trust)
	}
	r, nc, err := f.reader(cmd, f.at)
	if err != nil {
		return view.Set{}, could(err)
	}
	defer nc.Close()
	tick, err := tickAt(cmd.Context(), r, f.at)
	if err != nil {
		return view.Set{}, err
	}
	return r.Set(cmd.Context(), tick)
}
