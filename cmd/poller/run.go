package main

import (
	"cmp"
	"crypto/x509"
	"time"

	"fleetlog/eventlog"
	"fleetlog/internal/process"
	"fleetlog/producers"

	"github.com/nats-io/nats.go"
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
	c.loopFlags(cmd.Flags())
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
	heartbeat, err := c.heartbeat.Heartbeat(log)
	if err != nil {
		return process.ConfigError(err)
	}
	listener, err := process.ListenIfAsked(cmd.Context(), c.httpListen, log)
	if err != nil {
		return process.ConfigError(err)
	}
	metrics := process.NewRegistry("poller")
	progress := process.NewProgress(c.stuckAfter(), time.Now)
	health := process.NewHealth(metrics, progress.Stuck)
	s := supervised{health, process.NewNotifier(log)}
	poller, nc, err := c.poller(log, s.ready, true)
	if err != nil {
		return process.ConfigError(err)
	}
	defer nc.Close()
	if err := c.measure(metrics, poller, nc); err != nil {
		return process.ConfigError(err)
	}
	group, ctx := errgroup.WithContext(cmd.Context())
	if listener != nil {
		group.Go(func() error { return process.Serve(ctx, listener, health, log) })
	}
	// Ready means configured and running; that the control plane answers is not
	// part of it, or its outage would become a restart loop.
	showProgress(poller, progress, s.notifier)
	poller.Verified, poller.Committed = heartbeat.Beat, s.committed
	s.notifier.Ready()
	s.notifier.Status("no tick recorded yet")
	group.Go(func() error { return heartbeat.Run(ctx) })
	group.Go(func() error { return s.notifier.StopWith(ctx) })
	group.Go(func() error { return poller.Run(ctx) })
	return group.Wait()
}

// aliveEvery is how often a poller that waits shows that it still does.
const aliveEvery = 10 * time.Second

// showProgress lets a poller that is not stuck answer /healthz, and feed the
// watchdog.
func showProgress(poller *producers.Poller, progress *process.Progress, notifier *process.Notifier) {
	poller.Alive = func() {
		progress.Step()
		notifier.Watchdog()
	}
	poller.AliveEvery = min(aliveEvery, cmp.Or(notifier.WatchdogEvery(), aliveEvery))
}

// stuckAfter is how long a poller that is not stuck may show nothing: a tick ends
// by itself when its time is over, and looks at the broker, which are bounded, too,
// come on top.
func (c *config) stuckAfter() time.Duration {
	return cmp.Or(c.timing.tickTimeout, c.timing.interval) + time.Minute
}

// measure registers all metrics.
func (c *config) measure(metrics *prometheus.Registry, poller *producers.Poller, nc *nats.Conn) error {
	trust, err := c.trustFile.Metrics()
	if err != nil {
		return err
	}
	poller.Metrics = producers.NewMetrics(c.timing.interval)
	metrics.MustRegister(poller.Metrics, trust, c.source.transport.Metrics(),
		process.CertificateMetrics("nats", process.LastCertificate(func() (*x509.Certificate, error) { return eventlog.ClientCertificate(nc) })))
	return nil
}
