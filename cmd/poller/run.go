package main

import (
	"fleetlog/internal/process"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
)

func runCommand() *cobra.Command {
	var c config
	cmd := &cobra.Command{
		Use:   "run",
		Short: "poll until told to stop",
		Long: `run polls at once and then at every interval. A tick that cannot be recorded is
counted and reported with the next one that can. While another poller writes the
same log, this one stands by.`,
		Example: `poller run --fleet prod --control-plane-url https://cp.example.com --ca-cert ca.pem \
  --client-cert client.pem --client-key client.key --trust-file trust.json \
  --writer-key-file writer.key --provision`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd, &c) },
	}
	c.flags(cmd.Flags())
	return cmd
}

func run(cmd *cobra.Command, c *config) error {
	log, err := c.logging.New(cmd.ErrOrStderr())
	if err != nil {
		return process.ConfigError(err)
	}
	if err := c.validate(true); err != nil {
		return process.ConfigError(err)
	}
	listener, err := process.ListenIfAsked(cmd.Context(), c.httpListen, log)
	if err != nil {
		return process.ConfigError(err)
	}
	health := process.NewHealth(prometheus.NewRegistry(), func() error { return nil })
	s := supervised{health, process.NewNotifier(log)}
	poller, nc, err := c.poller(log, s.ready, true)
	if err != nil {
		return process.ConfigError(err)
	}
	defer nc.Close()
	group, ctx := errgroup.WithContext(cmd.Context())
	if listener != nil {
		group.Go(func() error { return process.Serve(ctx, listener, health, log) })
	}
	// Ready means configured and running; that the control plane answers is not
	// part of it, or its outage would become a restart loop.
	poller.Committed, poller.Alive, poller.AliveEvery = s.committed, s.notifier.Watchdog, s.notifier.WatchdogEvery()
	s.notifier.Ready()
	s.notifier.Status("no tick recorded yet")
	group.Go(func() error { return s.notifier.StopWith(ctx) })
	group.Go(func() error { return poller.Run(ctx) })
	return group.Wait()
}
