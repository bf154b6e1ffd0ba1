package follower_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"io/fs"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/broker"
	"fleetlog/internal/broker/brokertest"
	"fleetlog/internal/fleetsim"
	"fleetlog/manifest"
	"fleetlog/producers"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	logtest "github.com/sirupsen/logrus/hooks/test"
)

var (
	epoch   = time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	signer  = fleetsim.NewEd25519Signer(1)
	another = fleetsim.NewEd25519Signer(2)
)

const window = manifest.Window(3600)

// scene is a broker with a log, and a poller that writes it one tick at a time.
type scene struct {
	t      testing.TB
	nc     *nats.Conn
	js     jetstream.JetStream
	key    ed25519.PrivateKey
	log    *eventlog.Log
	poller *producers.Poller
	clock  atomic.Int64 // milliseconds; the poller's and every reducer's

	mu       sync.Mutex
	trust    []byte // in force for the poller and, unless they have their own, for reducers
	served   fleetsim.Release
	closures int
}

func newScene(t testing.TB) *scene {
	t.Helper()
	b := brokertest.Start(t, func(c *broker.Config) { c.NoSync = true })
	nc, err := nats.Connect(b.ClientURL())
	must(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	must(t, err)
	s := &scene{t: t, nc: nc, js: js, trust: bothKeys(t)}
	s.clock.Store(epoch.UnixMilli())
	s.key = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))
	s.provision(nil)
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// bothKeys is a trust file that names both signers.
func bothKeys(t testing.TB) []byte {
	t.Helper()
	key := bytes.TrimPrefix(another.Trust(), []byte(`{"ciReleaseKey":{"current":`))
	key = key[:bytes.IndexByte(key, '}')+1]
	text := bytes.Replace(signer.Trust(), []byte(`"ciReleaseKey":{`), []byte(`"ciReleaseKey":{"previous":`+string(key)+`,`), 1)
	_, err := manifest.ParseTrust(text)
	must(t, err)
	return text
}

func (s *scene) now() time.Time { return time.UnixMilli(s.clock.Load()).UTC() }

// later moves the clock of everyone.
func (s *scene) later(d time.Duration) { s.clock.Add(d.Milliseconds()) }

func (s *scene) setTrust(data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trust = data
}

func (s *scene) readTrust() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.trust == nil {
		return nil, fs.ErrNotExist
	}
	return s.trust, nil
}

func (s *scene) place(writers []events.PublicKey) eventlog.Place {
	name, err := events.ParseFleetName("prod")
	must(s.t, err)
	return eventlog.Place{Fleet: name, Writers: writers}
}

// provision makes a log, and a poller for it.
func (s *scene) provision(continues *events.Continues) {
	s.t.Helper()
	writer, err := events.NewWriter(s.key)
	must(s.t, err)
	s.log, err = eventlog.Provision(s.t.Context(), s.nc, s.place(nil), eventlog.Provisioning{
		Limits:  eventlog.Limits{Events: 64 << 20, Artifacts: 64 << 20, Replicas: 1},
		Opening: events.Opening{Writer: writer, Writers: []events.PublicKey{writer.Public()}, Continues: continues},
		Now:     s.now(), Random: uuid.NewRandom,
	})
	must(s.t, err)
	s.newPoller(writer)
}

func (s *scene) newPoller(writer *events.Writer) {
	quiet, _ := logtest.NewNullLogger()
	s.poller = producers.NewPoller(producers.Config{
		Poll: &producers.Poll{
			Source: producers.NewDirectory(serving{s}), Window: window, Concurrency: 2, Trust: s.readTrust,
		},
		Open:     func(ctx context.Context) (*eventlog.Log, error) { return eventlog.Open(ctx, s.nc, s.place(nil)) },
		Terms:    events.Terms{Writer: writer, RestateEvery: time.Hour},
		Interval: 30 * time.Second, TickTimeout: time.Minute, Standby: -1, MaxClockSkew: 100 * 365 * 24 * time.Hour,
		Clock: s.now, NewTickID: uuid.NewV7, Log: quiet, Ready: func(error) {},
	})
}

// serving is what the release directory holds at the moment.
type serving struct{ *scene }

func (s serving) Open(name string) (fs.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.served.Open(name)
}

// sign serves a new release, signed now; change may spoil it.
func (s *scene) sign(change func(fleetsim.Release)) {
	s.t.Helper()
	s.closures++
	f := fleetsim.Fleet{Hosts: 6, Channels: 3, Closures: s.closures, Commit: "aaaa", SignedAt: s.now()}
	release, err := f.Sign(signer)
	must(s.t, err)
	if change != nil {
		change(release)
	}
	s.serve(release)
}

func (s *scene) serve(release fleetsim.Release) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.served = maps.Clone(release)
}

// spoil takes a file out of what is served.
func (s *scene) spoil(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.served, name)
}

func rolloutFile(n int) string { return "rollouts/" + fleetsim.ChannelName(n) + "@aaaa.json" }

// resign signs one channel's manifest with the other key.
func resign(t testing.TB, n int) func(fleetsim.Release) {
	return func(release fleetsim.Release) {
		received, err := another.Sign(release[rolloutFile(n)].Data)
		must(t, err)
		release[rolloutFile(n)+".sig"].Data = received.Signature
	}
}

// tick moves the clock by half a minute and records a tick.
func (s *scene) tick() *events.Tick {
	s.t.Helper()
	s.later(30 * time.Second)
	recorded, err := s.poller.Once(s.t.Context())
	must(s.t, err)
	return recorded.Tick
}

// release signs a new release and records it.
func (s *scene) release() *events.Tick {
	s.t.Helper()
	s.sign(nil)
	return s.tick()
}
