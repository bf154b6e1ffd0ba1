package fleetlog_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fleetlog/consumers/follower"
	"fleetlog/consumers/state"
	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/broker"
	"fleetlog/internal/fleetsim"
	"fleetlog/internal/process"
	"fleetlog/manifest"
	"fleetlog/producers"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
)

// scene is a control plane over mutual TLS, a broker, a poller and a reducer, at
// a moment that the test decides.
type scene struct {
	t       *testing.T
	plane   *fleetsim.ControlPlane
	pki     *fleetsim.PKI
	files   process.TLSFiles
	fleet   fleetsim.Fleet
	release fleetsim.Release
	trust   atomic.Pointer[[]byte]
	begun   time.Time
	ahead   atomic.Int64 // what the poller's clock is put forward by
	nc      *nats.Conn
	name    events.FleetName
	writer  *events.Writer
	log     *eventlog.Log
	config  producers.Config
	poller  *producers.Poller
	lines   *logtest.Hook
	reducer *follower.Reducer
}

// the keys of every scene.
var signerA, signerB = fleetsim.NewEd25519Signer(1), fleetsim.NewEd25519Signer(2)

const requestTimeout = 4 * time.Second

// newScene serves a release of two channels with hosts and one without, and
// follows the log.
func newScene(t *testing.T, b *broker.Broker, name string) *scene {
	t.Helper()
	s := newStage(t, b.ClientURL(), name)
	s.startReducer()
	return s
}

// newStage is a scene without a reducer, at a broker's address.
func newStage(t *testing.T, at, name string) *scene {
	t.Helper()
	s := &scene{t: t, begun: time.Now()}
	s.fleet = fleetsim.Fleet{Hosts: 6, Channels: 2, Idle: 1, Commit: "aaaa", SignedAt: s.begun.Add(-10 * time.Minute).Truncate(time.Millisecond)}
	s.setTrust(signerA.Trust())
	var err error
	if s.pki, err = fleetsim.NewPKI(s.begun); err != nil {
		t.Fatal(err)
	}
	if s.plane, err = fleetsim.Start(t.Context(), s.pki, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.plane.Close(); err != nil {
			t.Error(err)
		}
	})
	s.publish(s.fleet)
	s.certify(s.begun.Add(time.Hour))
	s.openLog(at, name)
	return s
}

func (s *scene) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *scene) setTrust(data []byte) { s.trust.Store(&data) }

// sign makes the release of a fleet.
func (s *scene) sign(f fleetsim.Fleet) fleetsim.Release {
	s.t.Helper()
	release, err := f.Sign(signerA)
	s.must(err)
	return release
}

// publish serves a release.
func (s *scene) publish(f fleetsim.Fleet) {
	s.t.Helper()
	s.fleet, s.release = f, s.sign(f)
	s.plane.SetRelease(s.release)
}

// certify gives the poller a client certificate.
func (s *scene) certify(until time.Time) {
	s.t.Helper()
	files, err := s.pki.WriteClient(s.t.TempDir(), until)
	s.must(err)
	s.files = process.TLSFiles{CA: files.CA, Cert: files.Cert, Key: files.Key}
}

func (s *scene) openLog(at, name string) {
	s.t.Helper()
	nc, err := nats.Connect(at, nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
	s.must(err)
	s.t.Cleanup(nc.Close)
	fleet, err := events.ParseFleetName(name)
	s.must(err)
	writer, err := events.NewWriter(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32)))
	s.must(err)
	s.writer, s.nc, s.name = writer, nc, fleet
	s.provision()
	logger, hook := logtest.NewNullLogger()
	s.lines = hook
	s.config = producers.Config{
		Poll:  &producers.Poll{Window: window, Concurrency: 4, Trust: s.readTrust},
		Open:  func(context.Context) (*eventlog.Log, error) { return s.log, nil },
		Terms: events.Terms{Writer: writer, RestateEvery: time.Hour}, Interval: 30 * time.Second, Standby: -1, MaxClockSkew: 24 * time.Hour,
		Clock: s.clock, NewTickID: uuid.NewV7, Log: logger, Ready: func(error) {},
	}
}

// provision makes the log where it is not there.
func (s *scene) provision() {
	s.t.Helper()
	var err error
	s.log, err = eventlog.Provision(s.t.Context(), s.nc, eventlog.Place{Fleet: s.name}, eventlog.Provisioning{
		Limits:  eventlog.Limits{Events: 64 << 20, Artifacts: 128 << 20, Replicas: 1},
		Opening: events.Opening{Writer: s.writer, Writers: []events.PublicKey{s.writer.Public()}}, Now: s.begun, Random: uuid.NewRandom,
	})
	s.must(err)
}

func (s *scene) readTrust() ([]byte, error) {
	if data := *s.trust.Load(); data != nil {
		return data, nil
	}
	return nil, os.ErrNotExist
}

func (s *scene) clock() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) }

// source is the control plane as the poller's files let it be seen.
func (s *scene) source() producers.Source {
	s.t.Helper()
	transport, err := s.files.Transport(func(err error) { s.config.Log.WithError(err).Warn("changed TLS files cannot be used") })
	s.must(err)
	source, err := producers.NewControlPlane(s.plane.URL(), producers.HTTP{
		Client: &http.Client{Transport: transport}, Timeout: requestTimeout, Clock: s.clock,
	})
	s.must(err)
	return source
}

// tick polls once and returns the tick as the log has it.
func (s *scene) tick() *events.Tick {
	s.t.Helper()
	tick, err := s.once()
	s.must(err)
	return tick
}

func (s *scene) once() (*events.Tick, error) {
	s.t.Helper()
	if s.poller == nil {
		if s.config.Poll.Source == nil {
			s.config.Poll.Source = s.source()
		}
		s.poller = producers.NewPoller(s.config)
	}
	recorded, err := s.poller.Once(s.t.Context())
	if err != nil {
		return nil, err
	}
	head, err := s.log.HeadAt(s.t.Context(), recorded.Tick.Head.Seq)
	if err != nil || head.Digest != recorded.Tick.Head.Digest {
		s.t.Fatalf("tick %d is not in the log as it was recorded: %v", recorded.Tick.Head.Number, err)
	}
	return recorded.Tick, nil
}

func (s *scene) startReducer() {
	s.t.Helper()
	directory, err := state.Open(s.t.TempDir())
	s.must(err)
	quiet := logrus.New()
	quiet.SetOutput(io.Discard)
	s.reducer, err = follower.NewReducer(follower.Config{
		Open:  func(context.Context, []events.PublicKey) (*eventlog.Log, error) { return s.log, nil },
		State: directory, Trust: s.readTrust, Window: window, Clock: s.clock, Log: quiet, Ready: func(error) {},
	})
	s.must(err)
	ctx, cancel := context.WithCancel(s.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.reducer.Run(ctx) }()
	s.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			s.t.Errorf("reducer: %v", err)
		}
		if err := directory.Close(); err != nil {
			s.t.Error(err)
		}
	})
}

// held waits until the reducer has folded the tick, and describes its set, which
// must be the one that the log says: its fleet's commit and signing time, and
// its channels.
func (s *scene) held(tick *events.Tick) string {
	s.t.Helper()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	deadline := time.After(20 * time.Second)
	for {
		current, position := s.reducer.Current()
		if position.Sequence >= tick.Head.Seq {
			own, said := "none", "none"
			if current.Set != nil {
				own = current.Set.Digest().String()
			}
			if tick.Completed.Set != nil {
				said = tick.Completed.Set.Digest.String()
			}
			if own != said || position.Diverged {
				s.t.Errorf("the reducer holds %s, the log says %s", own, said)
			}
			return describeSet(current.Set)
		}
		select {
		case <-look.C:
		case <-deadline:
			s.t.Fatalf("the reducer is at sequence %d, the tick at %d", position.Sequence, tick.Head.Seq)
		}
	}
}

func describeSet(set *manifest.Set) string {
	if set == nil {
		return "none"
	}
	commit := "none"
	if c := set.Fleet().CICommit(); c != nil {
		commit = *c
	}
	parts := []string{commit + " " + set.Fleet().SignedAt().String()}
	for _, r := range set.Rollouts() {
		parts = append(parts, r.Value().Channel)
	}
	return strings.Join(parts, " ")
}

// holding is what describeSet says of the fleet with these channels.
func holding(f fleetsim.Fleet, channels ...string) string {
	parts := append([]string{f.Commit + " " + manifest.InstantOf(f.SignedAt).String()}, channels...)
	return strings.Join(parts, " ")
}

// said is what the tick's findings say, without what is in order.
func said(tick *events.Tick) []string {
	var all []string
	for _, f := range tick.Findings {
		switch f := f.(type) {
		case *events.FleetRejected:
			all = append(all, fmt.Sprintf("FleetRejected %s %s", f.Stage, f.Reason))
		case *events.RolloutRejected:
			all = append(all, fmt.Sprintf("RolloutRejected %q %s %s", f.Channel, f.Stage, f.Reason))
		case *events.CrossCheckFailed:
			all = append(all, fmt.Sprintf("CrossCheckFailed %q %s", f.Channel, f.Check))
		case *events.RolloutVerified:
			if f.Carried != "" {
				all = append(all, fmt.Sprintf("RolloutVerified %q carried %s", f.Channel, f.Carried))
			}
		case *events.ChannelIdle:
			if f.Reason == events.Removed {
				all = append(all, fmt.Sprintf("ChannelIdle %q removed", f.Channel))
			}
		}
	}
	slices.Sort(all)
	return all
}
