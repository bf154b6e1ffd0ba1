package main

import (
	"context"
	"fmt"
	"time"

	"fleetlog/events"
	"fleetlog/internal/process"
	"fleetlog/producers"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
)

func onceCommand() *cobra.Command {
	var c config
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "once",
		Short: "run one tick and tell its outcome",
		Long: `once runs one tick and records it.

With --dry-run it prints, one JSON object a line, the events that the first tick
of an empty log would have: without lineage and parts, unsigned. No broker is
needed, and nothing is written.

Exit status: 0 when the fleet was verified and no channel refused or carried,
1 when something else was recorded, 2 when nothing was recorded; with --dry-run
likewise for what would be.`,
		Example: `poller once --dry-run --fleet prod --release-dir ./release --trust-file trust.json`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dryRun {
				return preview(cmd, &c)
			}
			return once(cmd, &c)
		},
	}
	c.flags(cmd.Flags())
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "print the events instead of recording them")
	return cmd
}

func once(cmd *cobra.Command, c *config) error {
	log, err := c.logging.New(cmd.ErrOrStderr())
	if err != nil {
		return process.Exit(process.ExitUnknown, err)
	}
	if err := c.validate(true); err != nil {
		return process.Exit(process.ExitUnknown, err)
	}
	poller, nc, err := c.poller(log, func(error) {}, false)
	if err != nil {
		return process.Exit(process.ExitUnknown, err)
	}
	defer nc.Close()
	recorded, err := poller.Once(cmd.Context())
	if err != nil {
		return process.Exit(process.ExitUnknown, err)
	}
	if !isClean(recorded.Result) {
		return process.Exit(process.ExitNo, nil)
	}
	return nil
}

// isClean tells whether the fleet was verified and no channel refused or
// carried.
func isClean(r *producers.Result) bool {
	for _, f := range r.Findings {
		switch f := f.(type) {
		case *events.FleetFetched, *events.ChannelIdle:
		case *events.RolloutVerified:
			if f.Carried != "" {
				return false
			}
		default:
			return false
		}
	}
	return true
}

func preview(cmd *cobra.Command, c *config) error {
	log, err := c.logging.New(cmd.ErrOrStderr())
	if err != nil {
		return process.Exit(process.ExitUnknown, err)
	}
	if err := c.validate(false); err != nil {
		return process.Exit(process.ExitUnknown, err)
	}
	poll, err := c.poll(log)
	if err != nil {
		return process.Exit(process.ExitUnknown, err)
	}
	bodies, result, err := previewTick(cmd.Context(), c, poll)
	if err != nil {
		return process.Exit(process.ExitUnknown, err)
	}
	for _, body := range bodies {
		fmt.Fprintf(cmd.OutOrStdout(), "%s\n", body)
	}
	if !isClean(result) {
		return process.Exit(process.ExitNo, nil)
	}
	return nil
}

func previewTick(ctx context.Context, c *config, poll *producers.Poll) ([][]byte, *producers.Result, error) {
	fleet, err := events.ParseFleetName(c.fleet)
	if err != nil {
		return nil, nil, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, nil, err
	}
	now := events.TimeOf(time.Now())
	result := poll.Tick(ctx, now.Time(), producers.Memory{})
	bodies, err := events.Preview(fleet, events.Draft{
		Tick: id.String(), Time: now, Findings: result.Findings, Set: result.Reference(),
		Floor: result.Memory.Floor, Interval: c.timing.interval,
	})
	return bodies, result, err
}
