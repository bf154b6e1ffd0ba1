package main

import (
	"context"
	cryptorand "crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/deployment"
	"fleetlog/internal/process"

	"github.com/nats-io/nats.go"
	"github.com/sirupsen/logrus"
)

const (
	fleet    = "soak"
	siteName = "site"
	interval = "500ms" // of the pollers
)

// soak holds everything that runs.
type soak struct {
	dir       string
	life      context.Context // of every process
	diary     *diary
	plane     *plane
	cluster   *deployment.Cluster
	site      *deployment.Node // mirrors the cluster's log
	pollers   []*program
	reducers  []*program // the last one reads at the site
	nc        *nats.Conn
	log       *eventlog.Log
	witness   *witness
	following sync.WaitGroup
	unpublish func() // no release comes any more
}

// program is a poller or a reducer, whose process comes and goes.
type program struct {
	name     string
	path     string
	args     []string
	stateDir string // of a reducer
	*deployment.Process
}

func (p *program) start(ctx context.Context) (err error) {
	p.Process, err = deployment.Start(ctx, p.path, p.args)
	return err
}

func (s *soak) path(name string) string { return filepath.Join(s.dir, name) }

// start brings everything up, as an operator does.
func (s *soak) start(ctx context.Context) error {
	s.life = ctx
	s.diary.say("building the programs")
	if err := deployment.Build(ctx, ".", s.dir); err != nil {
		return fmt.Errorf("%w; run the soak from the project's folder", err)
	}
	var err error
	if s.plane, err = startPlane(ctx, time.Now()); err != nil {
		return err
	}
	if err := os.WriteFile(s.path("trust.json"), s.plane.signer.Trust(), 0o600); err != nil {
		return err
	}
	if err := s.startServers(ctx); err != nil {
		return err
	}
	keys, err := s.provision(ctx)
	if err != nil {
		return err
	}
	if err := s.startPollers(ctx, keys); err != nil {
		return err
	}
	if err := s.startReducers(ctx); err != nil {
		return err
	}
	s.witness = newWitness(s.log, time.Now)
	s.following.Go(func() { s.witness.follow(ctx) })
	publishing, stop := context.WithCancel(ctx)
	s.unpublish = stop
	s.following.Go(func() {
		if err := s.plane.publish(publishing); err != nil {
			s.witness.fail(err)
		}
	})
	return s.witness.goesOn(ctx)
}

func (s *soak) startServers(ctx context.Context) (err error) {
	program := s.path("embedded-nats")
	if s.cluster, err = deployment.NewCluster(ctx, program, s.dir); err != nil {
		return err
	}
	if s.site, err = s.cluster.NewSite(ctx, program, s.dir, siteName); err != nil {
		return err
	}
	if err := errors.Join(s.cluster.Start(ctx), s.site.Start(ctx)); err != nil {
		return err
	}
	if err := errors.Join(s.cluster.AwaitReady(ctx), s.site.AwaitReady(ctx)); err != nil {
		return err
	}
	s.nc, err = nats.Connect(s.cluster.URL(), nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond))
	return err
}

// provision makes the log for two writers, and its mirror at the site.
func (s *soak) provision(ctx context.Context) (writers []events.PublicKey, err error) {
	for n := range 2 {
		key, err := process.CreateWriterKey(s.path(keyFile(n)), cryptorand.Reader)
		if err != nil {
			return nil, err
		}
		writer, err := events.NewWriter(key)
		if err != nil {
			return nil, err
		}
		writers = append(writers, writer.Public())
	}
	for _, args := range [][]string{
		{"provision", "--nats-url", s.cluster.URL(), "--replicas", "3", "--writer-key-file", s.path(keyFile(0)), "--writers", writers[1].String()},
		{"mirror", "--nats-url", s.site.URL, "--origin", s.cluster.Domain()},
	} {
		out, err := exec.CommandContext(ctx, s.path("fleetlog"), append(args, "--fleet", fleet)...).CombinedOutput() //nolint:gosec // the soak's own program
		if err != nil {
			return nil, fmt.Errorf("fleetlog %s: %w\n%s", args[0], err, out)
		}
	}
	s.log, err = openLog(ctx, s.cluster.URL())
	return writers, err
}

func keyFile(n int) string { return fmt.Sprintf("writer-%d.key", n+1) }

// openLog opens the log where the servers are; the connection lives as long as
// the soak.
func openLog(ctx context.Context, url string) (*eventlog.Log, error) {
	quiet := logrus.New()
	quiet.SetOutput(io.Discard)
	nc, err := eventlog.Connect(eventlog.Connection{Endpoint: eventlog.Endpoint{URL: url}, Name: "soak", Log: quiet}, nil)
	if err != nil {
		return nil, err
	}
	name, err := events.ParseFleetName(fleet)
	if err != nil {
		return nil, err
	}
	return eventlog.Open(ctx, nc, eventlog.Place{Fleet: name})
}

func (s *soak) startPollers(ctx context.Context, writers []events.PublicKey) error {
	for n, other := range []int{1, 0} {
		name := fmt.Sprintf("poller %d", n+1)
		tls := s.path(fmt.Sprintf("tls-%d", n+1))
		if err := os.Mkdir(tls, 0o700); err != nil {
			return err
		}
		files, err := s.plane.pki.WriteClient(tls, time.Now().Add(12*time.Hour))
		if err != nil {
			return err
		}
		p := &program{name: name, path: s.path("poller"), args: []string{
			"run", "--fleet", fleet, "--nats-url", s.cluster.URL(), "--trust-file", s.path("trust.json"),
			"--control-plane-url", s.plane.server.URL(), "--ca-cert", files.CA, "--client-cert", files.Cert, "--client-key", files.Key,
			"--writer-key-file", s.path(keyFile(n)), "--writer-key", writers[other].String(),
			"--interval", interval, "--tick-timeout", "15s", "--request-timeout", "2s", "--log-level", "debug", "--log-format", "json",
		}}
		if err := p.start(ctx); err != nil {
			return err
		}
		s.pollers = append(s.pollers, p)
	}
	return nil
}

func (s *soak) startReducers(ctx context.Context) error {
	for n, url := range []string{s.cluster.URL(), s.cluster.URL(), s.site.URL} {
		name := fmt.Sprintf("reducer %d", n+1)
		r := &program{name: name, path: s.path("reducer"), stateDir: s.path(fmt.Sprintf("state-%d", n+1))}
		r.args = []string{"run", "--fleet", fleet, "--nats-url", url, "--state-dir", r.stateDir,
			"--trust-file", s.path("trust.json"), "--trust-first-use"}
		if err := r.start(ctx); err != nil {
			return err
		}
		s.reducers = append(s.reducers, r)
	}
	return nil
}

// close waits for everything whose context has ended.
func (s *soak) close() error {
	s.following.Wait()
	if s.cluster != nil {
		for _, n := range append(s.cluster.Nodes[:], s.site) {
			if n != nil && n.Process() != nil {
				<-n.Process().Done()
			}
		}
	}
	for _, p := range append(s.pollers, s.reducers...) {
		<-p.Done()
	}
	if s.nc != nil {
		s.nc.Close()
	}
	if s.plane != nil {
		return s.plane.close()
	}
	return nil
}
