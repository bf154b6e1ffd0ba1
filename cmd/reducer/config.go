package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"fleetlog/consumers/follower"
	"fleetlog/consumers/state"
	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/process"
	"fleetlog/manifest"

	"github.com/nats-io/nats.go"
	"github.com/sirupsen/logrus"
	"github.com/spf13/pflag"
)

// config is what the flags say.
type config struct {
	fleet         string
	stateDir      string
	trustFile     process.TrustFile
	freshness     process.Freshness
	scheme        string
	writers       []string
	firstUse      bool
	acceptLineage string
	acceptGap     uint64
	http          process.HTTPFlags
	domain        string
	endpoint      process.Endpoint
	logging       process.LogFlags

	shown func() (*x509.Certificate, error) // to the broker; once connected
}

func (c *config) flags(fs *pflag.FlagSet) {
	fs.StringVar(&c.fleet, "fleet", "", "name of the fleet in the log: 1 to 32 of a-z, 0-9 and -")
	fs.StringVar(&c.stateDir, "state-dir", "", "directory for the checkpoint and the current set; of one reducer alone")
	fs.StringVar((*string)(&c.trustFile), "trust-file", "", "trust.json with the keys that sign releases")
	c.freshness.Flags(fs, "manifest-freshness-window-secs")
	process.ChoiceVar(fs, &c.scheme, "rollout-id-scheme", "", "how rollout ids are derived; the same for poller and reducers",
		"auto", string(manifest.Composite), string(manifest.ContentHash))
	fs.StringSliceVar(&c.writers, "writer-key", nil, "public key of a writer whose ticks count, base64; may be repeated")
	fs.BoolVar(&c.firstUse, "trust-first-use", false, "accept the writers that the log names, and remember them from then on")
	fs.StringVar(&c.acceptLineage, "accept-lineage", "", "lineage of another log to follow from now on; the floor stays")
	fs.Uint64Var(&c.acceptGap, "accept-gap", 0, "go on although messages of the log up to this sequence are lost, with the next statement behind it")
	fs.StringVar(&c.domain, "nats-domain", "", "JetStream domain of the log")
	c.endpoint.Flags(fs)
	c.logging.Register(fs)
}

func (c *config) validate() error {
	_, nameErr := events.ParseFleetName(c.fleet)
	switch {
	case nameErr != nil:
		return fmt.Errorf("--fleet: %w", nameErr)
	case c.stateDir == "":
		return errors.New("no state directory: give --state-dir")
	case c.trustFile == "":
		return errors.New("no trust file: give --trust-file")
	case len(c.writers) == 0 && !c.firstUse:
		return errors.New("no writer is accepted: give --writer-key, or --trust-first-use to accept those that the log names")
	}
	if _, err := c.writerKeys(); err != nil {
		return err
	}
	_, err := c.trustFile.Parse()
	return errors.Join(err, c.freshness.Validate())
}

// reducer opens the connection and the state directory; close releases both. A
// patient one starts although no broker answers yet.
func (c *config) reducer(log logrus.FieldLogger, ready func(error), patient bool) (r *follower.Reducer, closeAll func() error, err error) {
	given, err := c.writerKeys()
	if err != nil {
		return nil, nil, err
	}
	nc, err := eventlog.Connect(eventlog.Connection{
		Endpoint: eventlog.Endpoint(c.endpoint), Name: "fleetlog reducer " + c.fleet, Patient: patient, Log: log,
	}, nil)
	if err != nil {
		return nil, nil, err
	}
	c.shown = func() (*x509.Certificate, error) { return eventlog.ClientCertificate(nc) }
	directory, err := state.Open(c.stateDir)
	if err != nil {
		nc.Close()
		return nil, nil, err
	}
	closeAll = func() error {
		nc.Close()
		return directory.Close()
	}
	config := follower.Config{
		Open: c.open(nc, given), State: directory, Trust: c.trustFile.Read, Window: c.freshness.Window(), Channels: c.freshness.Channels(),
		AcceptLineage: c.acceptLineage, AcceptGap: c.acceptGap, Clock: time.Now, Log: log, Ready: ready,
	}
	if c.scheme != "auto" {
		config.Scheme = manifest.Scheme(c.scheme)
	}
	if r, err = follower.NewReducer(config); err != nil {
		return nil, nil, errors.Join(err, closeAll())
	}
	return r, closeAll, nil
}

func (c *config) writerKeys() ([]events.PublicKey, error) {
	var keys []events.PublicKey
	for _, text := range c.writers {
		key, err := events.ParsePublicKey(text)
		if err != nil {
			return nil, fmt.Errorf("--writer-key: %w", err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// open opens the log with the writers given by flags, which win over those
// remembered.
func (c *config) open(nc *nats.Conn, given []events.PublicKey) func(context.Context, []events.PublicKey) (*eventlog.Log, error) {
	return func(ctx context.Context, remembered []events.PublicKey) (*eventlog.Log, error) {
		fleet, err := events.ParseFleetName(c.fleet)
		if err != nil {
			return nil, err
		}
		place := eventlog.Place{Fleet: fleet, Domain: c.domain, Writers: given}
		if len(given) == 0 {
			place.Writers = remembered
		}
		return eventlog.Open(ctx, nc, place)
	}
}
