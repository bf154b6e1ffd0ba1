package main

import (
	"errors"
	"fmt"
	"strings"

	"fleetlog/eventlog"
	"fleetlog/internal/process"

	"github.com/spf13/cobra"
)

func mirrorCommand() *cobra.Command {
	var f logFlags
	var origin string
	limits := eventlog.DefaultLimits()
	cmd := &cobra.Command{
		Use:   "mirror",
		Short: "make copies of a log at another site, or check those that are there",
		Long: `mirror creates, where it connects or in --nats-domain, copies of the log's two streams
in the JetStream domain --origin. The server keeps them up to date; while the origin
cannot be reached they stand still. A copy is read like the log: by reducers, and by
every command here. Nothing can be written to it. Like provision, mirror changes nothing
that exists.

Exit status: 0 the copies are there as they must be, 1 they are not, 2 could not tell.`,
		Example: "fleetlog mirror --fleet prod --nats-url nats://hub:4222 --nats-domain hub --origin site",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := mirror(cmd, &f, origin, limits)
			var drift *eventlog.DriftError
			if errors.As(err, &drift) {
				return process.Exit(process.ExitNo, err)
			}
			return could(err)
		},
	}
	f.register(cmd.Flags())
	cmd.Flags().StringVar(&origin, "origin", "", "JetStream domain of the log that is copied")
	cmd.Flags().Int64Var(&limits.Events, "events-max-bytes", limits.Events, "limit of the events' copy in bytes")
	cmd.Flags().Int64Var(&limits.Artifacts, "artifacts-max-bytes", limits.Artifacts, "limit of the artifacts' copy in bytes")
	cmd.Flags().IntVar(&limits.Replicas, "replicas", limits.Replicas, "copies of each stream in a cluster")
	return cmd
}

func mirror(cmd *cobra.Command, f *logFlags, origin string, limits eventlog.Limits) error {
	if origin == "" || origin == f.domain || strings.ContainsAny(origin, ".*> ") {
		return errors.New("--origin must name the JetStream domain of the log, which is another one than --nats-domain")
	}
	if limits.Events <= 0 || limits.Artifacts <= 0 || limits.Replicas < 1 {
		return errors.New("limits and replicas must be positive")
	}
	nc, place, err := f.connect(cmd.ErrOrStderr(), nil)
	if err != nil {
		return err
	}
	defer nc.Close()
	if err := eventlog.Mirror(cmd.Context(), nc, place, origin, limits); err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "mirror of fleet %s from domain %s\n", place.Fleet, origin)
	return err
}
