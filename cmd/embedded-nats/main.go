// Command embedded-nats is a NATS server set up as a fleet's log needs it. See
// README.md beside this file.
package main

import (
	"context"
	"errors"
	"os"
	"time"

	"fleetlog/internal/broker"
	"fleetlog/internal/process"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
)

func main() { os.Exit(process.Main(command(), nil)) }

func command() *cobra.Command {
	root := &cobra.Command{
		Use:   "embedded-nats",
		Short: "a NATS server for fleetlog",
		Long: `embedded-nats is a NATS server with JetStream, ready for a fleet's log: it syncs
every write, has explicit limits, locks its store, and listens on loopback. Any other
NATS server from 2.14 on serves as well.

Exit status: 0 after SIGTERM; 1 when it fails; 78 when its configuration is refused.`,
		Args: cobra.NoArgs,
	}
	root.AddCommand(runCommand(), initCommand())
	root.Version = process.Version()
	process.EnvironmentFlags(root, "NIXFLEET_EMBEDDED_NATS")
	return root
}

func runCommand() *cobra.Command {
	var c broker.Config
	var httpListen string
	var logging process.LogFlags
	cmd := &cobra.Command{
		Use:   "run",
		Short: "serve until told to stop",
		Long: `run serves until SIGTERM or SIGINT; a node of a cluster then hands leadership to
others, and clients are given two seconds to leave. With --config the file, in NATS's own
format, is used, and flags given win over it. It is ready once JetStream's own health check
passes: a node of a cluster waits for its peers as long as it takes.`,
		Example: `embedded-nats run --config ./fleet/embedded-nats.conf
embedded-nats run --listen 127.0.0.1:4222 --store-dir ./store`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd, c, httpListen, logging) },
	}
	fs := cmd.Flags()
	fs.StringVar(&c.Listen, "listen", "", "address for clients, host:port, where port -1 picks a free one; "+broker.DefaultListen+" without it and a config file")
	fs.StringVar(&c.StoreDir, "store-dir", "", "directory of the streams")
	fs.StringVar(&c.ConfigFile, "config", "", "config file in NATS's own format")
	fs.Int64Var(&c.MaxStore, "max-store", 0, "bytes on disk for all streams; 16 GiB without it and a config file")
	fs.IntVar(&c.MaxBatch, "max-batch", 0, "messages in one atomic batch; 20000 without it and a config file")
	fs.BoolVar(&c.NoSync, "no-sync", false, "do not sync every write: a power cut may lose acknowledged ticks")
	fs.BoolVar(&c.AllowInsecureListen, "allow-insecure-listen", false, "listen beyond loopback although TLS and authentication are not both configured")
	fs.StringVar(&httpListen, "http-listen", "", "loopback address for /healthz, /readyz and /metrics; off unless given")
	logging.Register(fs)
	return cmd
}

func run(cmd *cobra.Command, c broker.Config, httpListen string, logging process.LogFlags) error {
	log, err := logging.New(cmd.ErrOrStderr())
	if err != nil {
		return process.ConfigError(err)
	}
	listener, err := process.ListenIfAsked(cmd.Context(), httpListen, log)
	if err != nil {
		return process.ConfigError(err)
	}
	metrics := process.NewRegistry("broker")
	progress := process.NewProgress(stuckAfter, time.Now)
	health := process.NewHealth(metrics, progress.Stuck)
	notifier := process.NewNotifier(log)
	var b *broker.Broker
	c.Log, c.Health = log, func(err error) {
		health.SetReady(err)
		progress.Step()
		notifier.Watchdog()
		if err != nil {
			notifier.Status("not healthy: " + err.Error())
		} else {
			notifier.Status("healthy at " + b.ClientURL())
		}
	}
	if b, err = broker.New(c); err != nil {
		return process.ConfigError(err)
	}
	metrics.MustRegister(b.Metrics(), process.CertificateMetrics("server", b.Certificate))
	group, ctx := errgroup.WithContext(cmd.Context())
	if listener != nil {
		group.Go(func() error { return process.Serve(ctx, listener, health, log) })
	}
	group.Go(func() error { return notifier.StopWith(ctx) })
	group.Go(func() error { return serve(ctx, b, log, notifier) })
	return group.Wait()
}

// stuckAfter is how long a server that is not stuck may take to look after itself,
// which it does every second: recovering a large store can hold it up.
const stuckAfter = time.Minute

// serve says ready once the server's own health check passes.
func serve(ctx context.Context, b *broker.Broker, log logrus.FieldLogger, notifier *process.Notifier) error {
	if err := b.Start(ctx); err != nil {
		if errors.Is(err, context.Canceled) {
			return nil
		}
		return err
	}
	log.WithField("url", b.ClientURL()).WithField("store", b.StoreDir()).Info("ready")
	notifier.Ready()
	return b.Run(ctx)
}
