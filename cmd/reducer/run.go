package main

import (
	"errors"
	"time"

	"fleetlog/consumers/follower"
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
is made of, /v1/status and /v1/history for how things stand and what changed,
/v1/events for the log as it grows, and /healthz, /readyz and /metrics. The page at
/ shows all that to people. With --http-cert, --http-key and --http-client-ca it does
so over mutual TLS, to other machines, too; agents and pollers take it for a control
plane.`,
		Example: `reducer run --fleet prod --state-dir /var/lib/reducer --trust-file trust.json \
  --writer-key 11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo= --http-listen 127.0.0.1:9478`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd, &c) },
	}
	c.flags(cmd.Flags())
	c.http.Flags(cmd.Flags(), "the set and /healthz")
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
	listener, err := c.http.Listen(cmd.Context(), log)
	if err != nil {
		return process.ConfigError(err)
	}
	metrics := process.NewRegistry("reducer")
	progress := process.NewProgress(stuckAfter, time.Now)
	health := process.NewHealth(metrics, progress.Stuck)
	health.SetReady(follower.ErrStarting)
	s := &supervised{health: health, progress: progress, notifier: process.NewNotifier(log), reason: follower.ErrStarting}
	reducer, closeAll, err := c.reducer(log, s.ready, true)
	if err != nil {
		return process.ConfigError(err)
	}
	s.reducer, reducer.Alive = reducer, s.alive
	defer func() { err = errors.Join(err, closeAll()) }()
	group, ctx := errgroup.WithContext(cmd.Context())
	if listener != nil {
		server := c.server(reducer, health)
		if err := c.measure(metrics, server, reducer); err != nil {
			return process.ConfigError(err)
		}
		group.Go(func() error { return process.Serve(ctx, listener, server.Handler(health), log) })
	}
	group.Go(func() error { return s.notifier.StopWith(ctx) })
	group.Go(func() error { return reducer.Run(ctx) })
	return group.Wait()
}

// stuckAfter is how long a reducer that is not stuck may show nothing: it checks
// the log every fifteen seconds, and a check or an attempt to connect again ends by
// itself.
const stuckAfter = 2 * time.Minute

// measure registers all metrics.
func (c *config) measure(metrics *prometheus.Registry, server *web.Server, reducer *follower.Reducer) error {
	trust, err := c.trustFile.Metrics()
	if err != nil {
		return err
	}
	metrics.MustRegister(&web.Metrics{Server: server, Reducer: reducer}, trust, c.http.Metrics(),
		process.CertificateMetrics("nats", process.LastCertificate(c.shown)))
	return nil
}

// server serves the reducer's set, whose staleness /readyz tells.
func (c *config) server(reducer *follower.Reducer, health *process.Health) *web.Server {
	watch := &web.Watch{Log: reducer.Followed, Clock: time.Now}
	server := &web.Server{
		Source: reducer, Policy: c.freshness.Policy(), Clock: time.Now, Ready: health.Ready, Log: reducer.Followed,
		Fleet: c.fleet, Look: watch.Look,
	}
	health.Note = func() string {
		if server.Stale() {
			return "the set is stale: its source has signed nothing newer"
		}
		return ""
	}
	return server
}
