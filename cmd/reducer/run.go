package main

import (
	"errors"
	"net/http"
	"time"

	"fleetlog/consumers/web"
	"fleetlog/internal/process"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
)

func runCommand() *cobra.Command {
	var c config
	cmd := &cobra.Command{
		Use:   "run",
		Short: "follow the log and keep the state directory up to date",
		Long: `run continues from the checkpoint in the state directory, or from the beginning
of the log when there is none. It is ready once everything stored is folded.

With --http-listen it serves the set as a control plane does, under
/v1/fleet.resolved and /v1/rollouts/ID with /sig behind each, /v1/set for what it
is made of, and /healthz, /readyz and /metrics.`,
		Example: `reducer run --fleet prod --state-dir /var/lib/reducer --trust-file trust.json \
  --writer-key 11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo= --http-listen 127.0.0.1:9478`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd, &c) },
	}
	c.flags(cmd.Flags())
	cmd.Flags().StringVar(&c.httpListen, "http-listen", "", "loopback address to serve the set and /healthz on; off unless given")
	return cmd
}

func run(cmd *cobra.Command, c *config) (err error) {
	log, err := c.logging.New(cmd.ErrOrStderr())
	if err != nil {
		return process.ConfigError(err)
	}
	if err := c.validate(); err != nil {
		return process.ConfigError(err)
	}
	listener, err := process.ListenIfAsked(cmd.Context(), c.httpListen, log)
	if err != nil {
		return process.ConfigError(err)
	}
	health := process.NewHealth(prometheus.NewRegistry(), func() error { return nil })
	notifier := process.NewNotifier(log)
	reducer, closeAll, err := c.reducer(log, func(err error) {
		health.SetReady(err)
		if err == nil {
			notifier.Ready() // only now: nothing downstream may start on an empty set
		}
	}, true)
	if err != nil {
		return process.ConfigError(err)
	}
	defer func() { err = errors.Join(err, closeAll()) }()
	group, ctx := errgroup.WithContext(cmd.Context())
	if listener != nil {
		mux := http.NewServeMux()
		mux.Handle("/", health)
		(&web.Server{Source: reducer, Policy: c.freshness.Policy(), Clock: time.Now}).Register(mux)
		group.Go(func() error { return process.Serve(ctx, listener, mux) })
	}
	group.Go(func() error { return reducer.Run(ctx) })
	defer notifier.Stopping()
	return group.Wait()
}
