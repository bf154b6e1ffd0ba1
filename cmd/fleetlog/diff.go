package main

import (
	"fleetlog/consumers/view"
	"fleetlog/internal/process"

	"github.com/spf13/cobra"
)

func diffCommand() *cobra.Command {
	var f pastFlags
	cmd := &cobra.Command{
		Use:   "diff POINT [POINT]",
		Short: "compare the sets of two points of the log",
		Long: `diff says what is different between the set of one point and that of another, the
newest without it: manifests of channels, what hosts are told to run and in which wave,
what else the fleet says (policies, waves, budgets, tags), and keys that signed. A point
is seq:N, tick:N, tick:ID, an RFC 3339 time, or -2h.

With --trust-file both sets are verified; without, it says that they are not.

Exit status: 0 they are the same, 1 they differ, 2 could not tell.`,
		Example: `fleetlog diff -24h --fleet prod
fleetlog diff tick:100 tick:200 --fleet prod --trust-file trust.json -o json`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error { return diff(cmd, &f, append(args, "")[:2]) },
	}
	f.register(cmd.Flags())
	cmd.ValidArgsFunction = f.live(points)
	return cmd
}

func diff(cmd *cobra.Command, f *pastFlags, points []string) error {
	r, nc, err := f.reader(cmd, points...)
	if err != nil {
		return could(err)
	}
	defer nc.Close()
	var contents [2]*view.Content
	for i, point := range points {
		tick, err := tickAt(cmd.Context(), r, point)
		if err != nil {
			return could(err)
		}
		if contents[i], err = r.Content(cmd.Context(), tick); err != nil {
			return could(err) // a set that does not pass cannot be compared
		}
	}
	d := view.Compare(contents[0], contents[1])
	if f.output == process.TableForm {
		err = d.Table(cmd.OutOrStdout())
	} else {
		err = process.PrintJSON(cmd.OutOrStdout(), d)
	}
	return answered(d.Same, err)
}
