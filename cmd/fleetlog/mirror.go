package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/process"

	"github.com/spf13/cobra"
)

func mirrorCommand() *cobra.Command {
	var f logFlags
	var origin, output string
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
			m, err := mirror(cmd, &f, origin, limits)
			if err == nil {
				err = m.print(cmd.OutOrStdout(), output)
			}
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
	process.OutputVar(cmd.Flags(), &output)
	return cmd
}

// mirrored are the copies that are there.
type mirrored struct {
	Fleet  events.FleetName `json:"fleet"`
	Origin string           `json:"origin"` // JetStream domain of the log
	Domain string           `json:"domain"` // of the copies; empty: where it connects
}

func (m mirrored) print(w io.Writer, output string) error {
	if output != process.TableForm {
		return process.PrintJSON(w, m)
	}
	_, err := fmt.Fprintf(w, "mirror of fleet %s from domain %s\n", m.Fleet, m.Origin)
	return err
}

func mirror(cmd *cobra.Command, f *logFlags, origin string, limits eventlog.Limits) (m mirrored, err error) {
	if origin == "" || origin == f.domain || strings.ContainsAny(origin, ".*> ") {
		return m, errors.New("--origin must name the JetStream domain of the log, which is another one than --nats-domain")
	}
	if limits.Events <= 0 || limits.Artifacts <= 0 || limits.Replicas < 1 {
		return m, errors.New("limits and replicas must be positive")
	}
	nc, place, err := f.connect(cmd.ErrOrStderr(), nil)
	if err != nil {
		return m, err
	}
	defer nc.Close()
	return mirrored{place.Fleet, origin, f.domain}, eventlog.Mirror(cmd.Context(), nc, place, origin, limits)
}
