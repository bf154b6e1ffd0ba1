// Package broker runs a NATS server with JetStream inside a process, set up as
// a log needs it: loopback, every write synced, explicit limits, a locked store
// directory. It never ends the process.
package broker

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"fleetlog/internal/durable"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/sirupsen/logrus"
)

// Config is what the server is made of. Zero limits take the defaults below.
type Config struct {
	Name                string
	Listen              string // host:port; port -1 picks a free one
	StoreDir            string
	ConfigFile          string // in NATS's own format; what is set here beside it wins
	MaxStore            int64  // bytes on disk
	MaxMemory           int64  // bytes for memory streams
	MaxPayload          int32  // bytes of one message
	MaxBatch            int    // messages of one atomic batch
	NoSync              bool   // leave writes to the system's own pace: a power cut may lose acknowledged ticks
	AllowInsecureListen bool   // listen beyond loopback without TLS and authentication
	Log                 logrus.FieldLogger
	Health              func(error) // told every second, and more often at the start, how the server fares; nil error: well
}

// Default limits.
const (
	DefaultListen     = "127.0.0.1:4222"
	DefaultMaxStore   = 16 << 30
	DefaultMaxMemory  = 64 << 20
	DefaultMaxPayload = 1 << 20
	DefaultMaxBatch   = 20000
)

// readyTimeout bounds the start of a server that waits for no peers: recovering a
// large store takes minutes.
const readyTimeout = 10 * time.Minute

// slowStart is when the log says what a start waits for.
const slowStart = 5 * time.Second

// pollReady is how often the starting server is looked at.
const pollReady = 50 * time.Millisecond

// lameDuck is how long clients are given to leave at shutdown.
const lameDuck = 2 * time.Second

// Broker is a server that is made but not started.
type Broker struct {
	config Config
	server *server.Server
	lock   *durable.Lock
	logger *logger
	health func(error)
	shown  *x509.Certificate // to clients; nil without TLS

	starting  sync.WaitGroup
	inCluster bool
	bound     time.Duration // of a start that waits for no peers
}

// ConfigError refuses a configuration.
type ConfigError struct{ Err error }

// Error says what is wrong.
func (e *ConfigError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *ConfigError) Unwrap() error { return e.Err }

// New checks the configuration, locks the store directory and makes the server.
// Errors: [*ConfigError], [durable.ErrLocked].
func New(c Config) (*Broker, error) {
	options, err := c.options()
	if err != nil {
		return nil, &ConfigError{err}
	}
	if !c.AllowInsecureListen {
		err = checkListen(options)
	}
	if err == nil {
		err = checkFree(options)
	}
	if err != nil {
		return nil, &ConfigError{err}
	}
	if err := durable.MakeDir(options.StoreDir, 0o700); err != nil {
		return nil, &ConfigError{fmt.Errorf("store directory: %w", err)}
	}
	lock, err := durable.LockFile(filepath.Join(options.StoreDir, "fleetlog.lock"))
	if err != nil {
		return nil, fmt.Errorf("store directory %s is in use by another server: %w", options.StoreDir, err)
	}
	shown, err := certificateOf(options)
	if err != nil {
		return nil, errors.Join(&ConfigError{err}, lock.Unlock())
	}
	s, err := server.NewServer(options)
	if err != nil {
		return nil, errors.Join(&ConfigError{err}, lock.Unlock())
	}
	b := &Broker{
		config: c, server: s, lock: lock, logger: &logger{log: c.Log}, health: c.Health, shown: shown,
		inCluster: options.Cluster.Port != 0, bound: readyTimeout,
	}
	if b.health == nil {
		b.health = func(error) {}
	}
	s.SetLoggerV2(b.logger, false, false, false)
	return b, nil
}

func certificateOf(o *server.Options) (*x509.Certificate, error) {
	if o.TLSConfig == nil || len(o.TLSConfig.Certificates) == 0 {
		return nil, nil
	}
	c, err := x509.ParseCertificate(o.TLSConfig.Certificates[0].Certificate[0])
	if err != nil {
		return nil, fmt.Errorf("certificate of the server: %w", err)
	}
	return c, nil
}

// options are the server's: those of the file, then those given, then defaults.
func (c Config) options() (*server.Options, error) {
	o := &server.Options{}
	if c.ConfigFile != "" {
		var err error
		if o, err = server.ProcessConfigFile(c.ConfigFile); err != nil {
			return nil, fmt.Errorf("config file: %w", err)
		}
	}
	host, port, err := splitListen(cmp.Or(c.Listen, DefaultListen))
	if err != nil {
		return nil, err
	}
	if c.Listen != "" {
		o.Host, o.Port = host, port
	} else {
		o.Host, o.Port = cmp.Or(o.Host, host), cmp.Or(o.Port, port)
	}
	if c.StoreDir != "" {
		o.StoreDir = c.StoreDir
	}
	if o.StoreDir == "" {
		return nil, errors.New("no store directory: give --store-dir")
	}
	if o.Cluster.Port != 0 && cmp.Or(c.Name, o.ServerName) == "" {
		return nil, errors.New("a node of a cluster needs a name that no other node has: set server_name in the config file")
	}
	o.JetStream, o.NoSigs = true, true
	o.SyncAlways = (o.SyncAlways || o.SyncInterval == 0) && !c.NoSync // an interval is a file's own wish
	setDefault(&o.ServerName, c.Name, "fleetlog")
	setDefault(&o.JetStreamMaxStore, c.MaxStore, DefaultMaxStore)
	setDefault(&o.JetStreamMaxMemory, c.MaxMemory, DefaultMaxMemory)
	setDefault(&o.MaxPayload, c.MaxPayload, DefaultMaxPayload)
	setDefault(&o.JetStreamLimits.MaxBatchSize, c.MaxBatch, DefaultMaxBatch)
	o.LameDuckDuration, o.LameDuckGracePeriod = lameDuck, lameDuck/4
	return o, nil
}

// setDefault takes what was given, else keeps what a config file has set, else
// the fallback.
func setDefault[T comparable](option *T, given, fallback T) {
	var zero T
	if given != zero {
		*option = given
	} else if *option == zero {
		*option = fallback
	}
}

// Start starts the server and waits until JetStream's own health check passes: a
// node of a cluster as long as its peers make it wait, another server ten minutes
// at most. When it fails, the server is stopped and the store directory free.
func (b *Broker) Start(ctx context.Context) error {
	b.starting.Go(b.server.Start)
	look := time.NewTicker(pollReady)
	defer look.Stop()
	slow, tooLong := time.NewTimer(slowStart), time.NewTimer(b.bound)
	defer slow.Stop()
	defer tooLong.Stop()
	for stored := false; ; {
		unhealthy, stores := b.Healthy(), b.server.JetStreamEnabled()
		fatal := b.logger.fatal()
		switch {
		case fatal != nil:
			return b.notStarted(fatal)
		case stored && !stores:
			return b.notStarted(ErrJetStreamDisabled)
		}
		b.health(unhealthy)
		if unhealthy == nil {
			return nil
		}
		stored = stores
		select {
		case <-ctx.Done():
			return b.notStarted(context.Cause(ctx))
		case <-slow.C:
			b.config.Log.WithError(unhealthy).Warn("not ready yet")
		case <-tooLong.C:
			if !b.inCluster {
				return b.notStarted(fmt.Errorf("not ready in %s: %w", b.bound, unhealthy))
			}
		case <-look.C:
		}
	}
}

func (b *Broker) notStarted(err error) error {
	return errors.Join(fmt.Errorf("start server: %w", err), b.Close())
}

// Healthy asks the server's own health check: of a node of a cluster also, that
// it knows a leader and holds what the leader does.
func (b *Broker) Healthy() error {
	status := b.server.Healthz(&server.HealthzOptions{})
	if status.StatusCode == 200 || status.Status == "ok" {
		return nil
	}
	return fmt.Errorf("server is %s: %s", status.Status, status.Error)
}

// ErrJetStreamDisabled says that the server has switched its storage off after
// an error on disk; it must be restarted once the cause is mended.
var ErrJetStreamDisabled = errors.New("JetStream has disabled itself")

// watchEvery is how often the running server is looked at.
const watchEvery = time.Second

// Run blocks until ctx ends. Then it hands leadership to other nodes, lets clients
// leave, and stops the server. It ends with [ErrJetStreamDisabled] when the server
// stops storing by itself.
func (b *Broker) Run(ctx context.Context) error {
	watch := time.NewTicker(watchEvery)
	defer watch.Stop()
	healthy := true
	for {
		select {
		case <-ctx.Done():
			b.server.LameDuckShutdown()
			return b.Close()
		case <-watch.C:
			if !b.server.JetStreamEnabled() {
				return errors.Join(ErrJetStreamDisabled, b.logger.fatal(), b.Close())
			}
			healthy = b.watchHealth(healthy)
		}
	}
}

func (b *Broker) watchHealth(before bool) (healthy bool) {
	unhealthy := b.Healthy()
	b.health(unhealthy)
	healthy = unhealthy == nil
	if healthy && !before {
		b.config.Log.Info("healthy again")
	} else if !healthy && before {
		b.config.Log.WithError(unhealthy).Warn("not healthy")
	}
	return healthy
}

// Close stops the server at once and frees the store directory.
func (b *Broker) Close() error {
	b.server.Shutdown()
	b.server.WaitForShutdown()
	b.starting.Wait() // one that was cut off may still be at the store
	return b.lock.Unlock()
}

// ClientURL is where clients connect.
func (b *Broker) ClientURL() string { return b.server.ClientURL() }

// StoreDir is where the server stores.
func (b *Broker) StoreDir() string { return b.server.StoreDir() }
