package main

import (
	"time"

	"fleetlog/internal/process"

	"github.com/spf13/cobra"
)

func whyCommand() *cobra.Command {
	var f pastFlags
	var at string
	cmd := &cobra.Command{
		Use:   "why CHANNEL",
		Short: "say why a channel is or is not in the set",
		Long: `why says how the channel stands at a point of the log, since when, and what led
there: each step with its reason, since when it holds, the event that is the evidence,
and what would clear it. Of a point in the past it also says when that changed. It is
judged at the time of the tick for a point in the past, else now. fleetlog explain says
more about a reason.

Exit status: 0 the channel is in the set, 1 it is not, 2 could not tell.`,
		Example: `fleetlog why stable --fleet prod
fleetlog why stable --fleet prod --at 2026-05-01T00:00:00Z -o json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return why(cmd, &f, at, args[0]) },
	}
	f.register(cmd.Flags())
	cmd.Flags().StringVar(&at, "at", "", "point of the log; the newest without it")
	cmd.ValidArgsFunction = first(f.live(channels))
	completeFlag(cmd, f.live(points), "at")
	return cmd
}

func why(cmd *cobra.Command, f *pastFlags, at, channel string) error {
	r, nc, err := f.reader(cmd, at)
	if err != nil {
		return could(err)
	}
	defer nc.Close()
	tick, err := tickAt(cmd.Context(), r, at)
	if err != nil {
		return could(err)
	}
	now := time.Now()
	if at != "" {
		now = tick.Head.Time.Time()
	}
	w, err := r.Why(cmd.Context(), tick, channel, now)
	if err != nil {
		return could(err)
	}
	if f.output == process.TableForm {
		err = w.Table(cmd.OutOrStdout())
	} else {
		err = process.PrintJSON(cmd.OutOrStdout(), w)
	}
	return answered(w.InSet, err)
}
