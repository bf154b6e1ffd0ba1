package main

import (
	"fleetlog/internal/process"

	"github.com/spf13/cobra"
)

func traceCommand() *cobra.Command {
	var f pastFlags
	var at string
	cmd := &cobra.Command{
		Use:   "trace HOST",
		Short: "lead from a host down to the signatures",
		Long: `trace says what the host is told to run at a point of the log, by which rollout
manifest, of which fleet, which keys signed them, and which events of which signed tick
say so. With --trust-file the artifacts are verified; without, it says that they are
not.

Exit status: 0 the host is told a closure, 1 it is told none or it was refused, 2 could
not tell.`,
		Example: `fleetlog trace web-1 --fleet prod --trust-file trust.json
fleetlog trace web-1 --fleet prod --at 2026-05-01T00:00:00Z -o json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return trace(cmd, &f, at, args[0]) },
	}
	f.register(cmd.Flags())
	cmd.Flags().StringVar(&at, "at", "", "point of the log; the newest without it")
	cmd.ValidArgsFunction = first(f.live(hosts))
	completeFlag(cmd, f.live(points), "at")
	return cmd
}

func trace(cmd *cobra.Command, f *pastFlags, at, host string) error {
	r, nc, err := f.reader(cmd, at)
	if err != nil {
		return could(err)
	}
	defer nc.Close()
	tick, err := tickAt(cmd.Context(), r, at)
	if err != nil {
		return could(err)
	}
	t, err := r.Trace(cmd.Context(), tick, host)
	if err != nil {
		return answered(false, err)
	}
	if f.output == process.TableForm {
		err = t.Table(cmd.OutOrStdout())
	} else {
		err = process.PrintJSON(cmd.OutOrStdout(), t)
	}
	return answered(t.Told != nil, err)
}
