package main

import (
	"cmp"
	"context"
	cryptorand "crypto/rand"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/process"
	"fleetlog/manifest"
	"fleetlog/producers"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/sirupsen/logrus"
	"github.com/spf13/pflag"
)

// config is what the flags say.
type config struct {
	fleet       string
	source      sourceConfig
	trustFile   process.TrustFile
	freshness   process.Freshness
	scheme      string
	writer      writerConfig
	timing      timingConfig
	concurrency int
	httpListen  string
	heartbeat   process.HeartbeatFlags
	endpoint    process.Endpoint
	domain      string
	logging     process.LogFlags
}

type sourceConfig struct {
	controlPlane, dir, url, tokenFile string
	tls                               process.TLSFiles
	requestTimeout                    time.Duration

	transport *process.Transport // once made; nil for a directory
}

type writerConfig struct {
	keyFile   string
	others    []string
	provision bool
}

type timingConfig struct {
	interval, tickTimeout, restateEvery, maxClockSkew, standby time.Duration
}

// flags registers what every tick needs.
func (c *config) flags(fs *pflag.FlagSet) {
	fs.StringVar(&c.fleet, "fleet", "", "name of the fleet in the log: 1 to 32 of a-z, 0-9 and -")
	fs.StringVar(&c.source.controlPlane, "control-plane-url", "", "control plane to poll, https://host[:port]")
	fs.StringVar(&c.source.dir, "release-dir", "", "release directory to poll instead: holds fleet.resolved.json and rollouts/")
	fs.StringVar(&c.source.url, "release-url", "", "HTTPS URL of a release directory to poll instead")
	fs.StringVar(&c.source.tokenFile, "release-token-file", "", "file with a bearer token for --release-url, read for every request")
	fs.DurationVar(&c.source.requestTimeout, "request-timeout", 10*time.Second, "longest time for one request")
	c.source.tls.Flags(fs)
	fs.StringVar((*string)(&c.trustFile), "trust-file", "", "trust.json with the keys that sign releases; read anew for every tick")
	c.freshness.Flags(fs, "manifest-freshness-window-secs")
	process.ChoiceVar(fs, &c.scheme, "rollout-id-scheme", "", "how rollout ids are derived; the same for poller and reducers",
		"auto", string(manifest.Composite), string(manifest.ContentHash))
	fs.StringVar(&c.writer.keyFile, "writer-key-file", "", "ed25519 key that signs ticks: PKCS#8 PEM or OpenSSH, mode 0600")
	fs.StringSliceVar(&c.writer.others, "writer-key", nil, "public key of another writer of the log, base64; may be repeated")
	fs.BoolVar(&c.writer.provision, "provision", false, "make the writer key and the log where they are absent")
	fs.DurationVar(&c.timing.interval, "interval", 30*time.Second, "time from tick to tick")
	fs.DurationVar(&c.timing.tickTimeout, "tick-timeout", 0, "longest time for one tick; 0 means the interval")
	fs.DurationVar(&c.timing.restateEvery, "restate-every", time.Hour, "age at which an unchanged statement is written out again; 0 means at every tick")
	fs.DurationVar(&c.timing.maxClockSkew, "max-clock-skew", time.Minute, "largest difference to the broker's clock at which ticks are recorded")
	fs.IntVar(&c.concurrency, "concurrency", 32, "artifacts fetched at once, each by two requests")
	fs.StringVar(&c.domain, "nats-domain", "", "JetStream domain of the log")
	c.endpoint.Flags(fs)
	c.logging.Register(fs)
}

// loopFlags registers what only goes on from tick to tick.
func (c *config) loopFlags(fs *pflag.FlagSet) {
	fs.DurationVar(&c.timing.standby, "standby-wait", 0, "silence of another poller after which this one takes over; 0 means 1.5 intervals, negative means at once")
	fs.StringVar(&c.httpListen, "http-listen", "", "loopback address for /healthz, /readyz and /metrics; off unless given")
	c.heartbeat.Flags(fs, "behind every tick that was verified and recorded")
}

// validate refuses what cannot work before anything is touched.
func (c *config) validate(broker bool) error {
	sources := 0
	for _, s := range []string{c.source.controlPlane, c.source.dir, c.source.url} {
		if s != "" {
			sources++
		}
	}
	_, nameErr := events.ParseFleetName(c.fleet)
	_, writerErr := c.writer.further()
	switch {
	case nameErr != nil:
		return fmt.Errorf("--fleet: %w", nameErr)
	case sources != 1:
		return errors.New("give one of --control-plane-url, --release-dir and --release-url")
	case c.trustFile == "":
		return errors.New("no trust file: give --trust-file")
	case broker && c.writer.keyFile == "":
		return errors.New("no writer key: give --writer-key-file")
	case c.timing.interval < 100*time.Millisecond:
		return errors.New("--interval is shorter than 100ms")
	case c.timing.tickTimeout < 0 || c.timing.restateEvery < 0 || c.timing.maxClockSkew < 0 || c.source.requestTimeout <= 0:
		return errors.New("a duration is negative")
	case c.concurrency < 1:
		return errors.New("--concurrency is less than 1")
	case c.source.tokenFile != "" && c.source.url == "":
		return errors.New("--release-token-file is for --release-url only")
	case writerErr != nil:
		return writerErr
	}
	// A trust file that can verify nothing now is a mistake; one that breaks
	// later is a finding of every tick.
	_, err := c.trustFile.Parse()
	return errors.Join(err, c.freshness.Validate())
}

func (c *config) poll(log logrus.FieldLogger) (*producers.Poll, error) {
	source, err := c.newSource(log)
	if err != nil {
		return nil, err
	}
	p := &producers.Poll{
		Source: producers.NewBackoff(source, c.timing.interval, time.Now, rand.Int64N),
		Trust:  c.trustFile.Read, Window: c.freshness.Window(), Channels: c.freshness.Channels(), Concurrency: c.concurrency,
	}
	if c.scheme != "auto" {
		p.Scheme = manifest.Scheme(c.scheme)
	}
	return p, nil
}

func (c *config) newSource(log logrus.FieldLogger) (producers.Source, error) {
	if c.source.dir != "" {
		root, err := os.OpenRoot(c.source.dir)
		if err != nil {
			return nil, fmt.Errorf("open --release-dir: %w", err)
		}
		return producers.NewDirectory(producers.Files(c.source.dir)), root.Close()
	}
	transport, err := c.source.tls.Transport(func(err error) {
		log.WithError(err).Warn("changed TLS files cannot be used: those read before stay in force")
	})
	if err != nil {
		return nil, err
	}
	c.source.transport = transport
	h := producers.HTTP{Client: &http.Client{Transport: transport}, Timeout: c.source.requestTimeout, Clock: time.Now}
	if c.source.url == "" {
		return producers.NewControlPlane(c.source.controlPlane, h)
	}
	if c.source.tokenFile != "" {
		h.Token = func() (string, error) {
			token, err := process.ReadPrivateFile(c.source.tokenFile)
			return strings.TrimSpace(string(token)), err
		}
	}
	return producers.NewReleaseURL(c.source.url, h)
}

// poller makes the poller and the connection that it writes over, which the
// caller closes. A patient one starts although no broker answers yet.
func (c *config) poller(log logrus.FieldLogger, ready func(error), patient bool) (*producers.Poller, *nats.Conn, error) {
	poll, err := c.poll(log)
	if err != nil {
		return nil, nil, err
	}
	key, keep, err := process.WriterKey(c.writer.keyFile, c.writer.provision, cryptorand.Reader)
	if err != nil {
		return nil, nil, err
	}
	writer, err := events.NewWriter(key)
	if err != nil {
		return nil, nil, err
	}
	place, err := c.place(writer)
	if err != nil {
		return nil, nil, err
	}
	public := writer.Public()
	nc, err := eventlog.Connect(eventlog.Connection{
		Endpoint: eventlog.Endpoint(c.endpoint), Name: "fleetlog poller " + c.fleet, Patient: patient, Log: log,
	}, &public)
	if err != nil {
		return nil, nil, err
	}
	open := func(ctx context.Context) (*eventlog.Log, error) {
		if !c.writer.provision {
			return eventlog.Open(ctx, nc, place)
		}
		kept := func() error { return process.ConfigError(keep()) }
		l, err := eventlog.Provision(ctx, nc, place, eventlog.Provisioning{
			Limits: eventlog.DefaultLimits(), Now: time.Now(), Random: uuid.NewRandom,
			Opening: events.Opening{Writer: writer, Writers: place.Writers}, Keep: kept,
		})
		if err == nil {
			err = kept() // a log that another writer has made is signed with it, too
		}
		return l, err
	}
	return producers.NewPoller(producers.Config{
		Poll: poll, Open: warnUnnamed(open, public, log), From: cmp.Or(c.source.controlPlane, c.source.dir, c.source.url),
		Terms:    events.Terms{Writer: writer, RestateEvery: c.timing.restateEvery},
		Interval: c.timing.interval, TickTimeout: c.timing.tickTimeout, Standby: c.timing.standby,
		MaxClockSkew: c.timing.maxClockSkew, Clock: time.Now, NewTickID: uuid.NewV7, Log: log, Ready: ready,
	}), nc, nil
}

// warnUnnamed opens the log, and says once when that does not name the key: who
// trusts the log's own word takes the ticks for noise.
func warnUnnamed(open func(context.Context) (*eventlog.Log, error), own events.PublicKey, log logrus.FieldLogger) func(context.Context) (*eventlog.Log, error) {
	warned := false
	return func(ctx context.Context) (*eventlog.Log, error) {
		l, err := open(ctx)
		if err == nil && !warned && !slices.Contains(l.Opening().Opened.Writers, own) {
			warned = true
			log.WithField("writer", own).Warn("the log does not name this poller as a writer: its ticks count only for readers that are given its key by --writer-key")
		}
		return l, err
	}
}

// place accepts this poller's own key and those that --writer-key names.
func (c *config) place(writer *events.Writer) (eventlog.Place, error) {
	fleet, err := events.ParseFleetName(c.fleet)
	if err != nil {
		return eventlog.Place{}, err
	}
	place := eventlog.Place{Fleet: fleet, Domain: c.domain, Writers: []events.PublicKey{writer.Public()}}
	further, err := c.writer.further()
	for _, key := range further {
		if key != writer.Public() {
			place.Writers = append(place.Writers, key)
		}
	}
	return place, err
}

// further are the keys that --writer-key names.
func (w *writerConfig) further() ([]events.PublicKey, error) {
	var keys []events.PublicKey
	for _, text := range w.others {
		key, err := events.ParsePublicKey(text)
		if err != nil {
			return nil, fmt.Errorf("--writer-key: %w", err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}
