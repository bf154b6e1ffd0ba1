package browser

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"fleetlog/consumers/follower"
	"fleetlog/consumers/state"
	"fleetlog/consumers/web"
	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/broker"
	"fleetlog/internal/broker/brokertest"
	"fleetlog/internal/fleetsim"
	"fleetlog/manifest"
	"fleetlog/producers"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/sirupsen/logrus"
)

const (
	interval = 10 * time.Minute
	window   = manifest.Window(3 * 3600)
)

// channels are the names that the simulated fleet's channels get.
var channels = []string{"stable", "edge", "canary", "kiosk"}

// scene is a broker, a poller that records one tick at a time and a reducer that
// serves, at a moment that the test decides.
type scene struct {
	t       *testing.T
	signer  *fleetsim.Signer
	another *fleetsim.Signer // that the poller trusts, too, and the reducer does not
	url     string           // of the reducer
	name    events.FleetName
	nc      *nats.Conn
	poller  *producers.Poller
	reducer *follower.Reducer
	clock   atomic.Int64 // milliseconds
	ready   atomic.Pointer[error]

	mu     sync.Mutex
	served fstest.MapFS
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newScene(t *testing.T) *scene {
	t.Helper()
	b := brokertest.Start(t, func(c *broker.Config) { c.NoSync = true })
	nc, err := nats.Connect(b.ClientURL())
	must(t, err)
	t.Cleanup(nc.Close)
	s := &scene{t: t, signer: fleetsim.NewEd25519Signer(1), another: fleetsim.NewEd25519Signer(2), nc: nc, served: fstest.MapFS{}}
	s.clock.Store(time.Date(2026, 5, 1, 3, 0, 0, 0, time.UTC).UnixMilli())
	s.setReady(follower.ErrStarting)
	s.name, err = events.ParseFleetName("prod")
	must(t, err)
	writer, err := events.NewWriter(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32)))
	must(t, err)
	_, err = eventlog.Provision(t.Context(), nc, eventlog.Place{Fleet: s.name}, eventlog.Provisioning{
		Limits:  eventlog.Limits{Events: 64 << 20, Artifacts: 64 << 20, Replicas: 1},
		Opening: events.Opening{Writer: writer, Writers: []events.PublicKey{writer.Public()}},
		Now:     s.now(), Random: uuid.NewRandom,
	})
	must(t, err)
	s.startPoller(writer)
	s.startReducer()
	return s
}

func quiet() *logrus.Logger {
	log := logrus.New()
	log.SetOutput(&bytes.Buffer{})
	log.SetLevel(logrus.PanicLevel)
	return log
}

func (s *scene) now() time.Time { return time.UnixMilli(s.clock.Load()).UTC() }

func (s *scene) later(d time.Duration) { s.clock.Add(d.Milliseconds()) }

func (s *scene) setReady(err error) { s.ready.Store(&err) }

func (s *scene) open(ctx context.Context) (*eventlog.Log, error) {
	return eventlog.Open(ctx, s.nc, eventlog.Place{Fleet: s.name})
}

func (s *scene) startPoller(writer *events.Writer) {
	s.poller = producers.NewPoller(producers.Config{
		Poll: &producers.Poll{
			Source: producers.NewDirectory(served{s}), Window: window, Concurrency: 2,
			Trust: func() ([]byte, error) { return s.bothKeys(), nil },
		},
		Open: s.open, Terms: events.Terms{Writer: writer, RestateEvery: time.Hour},
		Interval: interval, TickTimeout: time.Minute, Standby: -1, MaxClockSkew: 100 * 365 * 24 * time.Hour,
		Clock: s.now, NewTickID: uuid.NewV7, Log: quiet(), Ready: func(error) {},
	})
}

// startReducer follows and serves until the test ends.
func (s *scene) startReducer() {
	directory, err := state.Open(s.t.TempDir())
	must(s.t, err)
	s.reducer, err = follower.NewReducer(follower.Config{
		Open:  func(ctx context.Context, _ []events.PublicKey) (*eventlog.Log, error) { return s.open(ctx) },
		State: directory, Window: window, Clock: s.now, Log: quiet(), Ready: s.setReady,
		Trust: func() ([]byte, error) { return s.signer.Trust(), nil },
	})
	must(s.t, err)
	ctx, cancel := context.WithCancel(s.t.Context())
	ran := make(chan error, 1)
	go func() { ran <- s.reducer.Run(ctx) }()
	watch := &web.Watch{Log: s.reducer.Followed, Clock: s.now}
	server := &web.Server{
		Source: s.reducer, Policy: manifest.Policy{Window: window}, Clock: s.now, Ready: func() error { return *s.ready.Load() },
		Log: s.reducer.Followed, Fleet: s.name.String(), Look: watch.Look,
	}
	listening := httptest.NewServer(server.Handler(http.NotFoundHandler()))
	s.url = listening.URL
	s.t.Cleanup(func() {
		cancel()
		listening.CloseClientConnections()
		listening.Close()
		must(s.t, <-ran)
		must(s.t, directory.Close())
	})
}

// bothKeys is a trust file that names both signers.
func (s *scene) bothKeys() []byte {
	key := bytes.TrimPrefix(s.another.Trust(), []byte(`{"ciReleaseKey":{"current":`))
	key = key[:bytes.IndexByte(key, '}')+1]
	return bytes.Replace(s.signer.Trust(), []byte(`"ciReleaseKey":{`), []byte(`"ciReleaseKey":{"previous":`+string(key)+`,`), 1)
}

// served is what the release directory holds at the moment.
type served struct{ *scene }

func (s served) Open(name string) (fs.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.served.Open(name)
}

// sign serves a new release of that commit.
func (s *scene) sign(commit string) {
	s.t.Helper()
	f := fleetsim.Fleet{Hosts: 24, Channels: 3, Idle: 1, Commit: commit, SignedAt: s.now()}
	release, err := f.Sign(s.signer)
	must(s.t, err)
	release = s.named(release["fleet.resolved.json"].Data)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.served = release
}

// named is the release with the names of people for its channels.
func (s *scene) named(fleet []byte) fleetsim.Release {
	s.t.Helper()
	for n, name := range channels {
		fleet = bytes.ReplaceAll(fleet, []byte(fleetsim.ChannelName(n)), []byte(name))
	}
	must(s.t, (*jsontext.Value)(&fleet).Canonicalize())
	trust, err := manifest.ParseTrust(s.signer.Trust())
	must(s.t, err)
	release := fleetsim.Release{}
	put := func(name string, body []byte) manifest.Received {
		received, err := s.signer.Sign(body)
		must(s.t, err)
		release[name], release[name+".sig"] = &fstest.MapFile{Data: received.Body}, &fstest.MapFile{Data: received.Signature}
		return received
	}
	verified, err := manifest.VerifyFleet(put("fleet.resolved.json", fleet), manifest.Policy{Trust: trust, Now: s.now()})
	must(s.t, err)
	for _, p := range manifest.Project(verified, manifest.SchemeOf(verified.Value())) {
		if !p.Idle {
			put("rollouts/"+p.ID.String()+".json", p.Manifest())
		}
	}
	return release
}

// resign signs the manifest of the channel with the other key.
func (s *scene) resign(name string) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	received, err := s.another.Sign(s.served[name].Data)
	must(s.t, err)
	s.served[name+".sig"] = &fstest.MapFile{Data: received.Signature}
}

// without serves what is served, but for the files whose names have that in
// them; serve puts it back.
func (s *scene) without(part string) (serve func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.served
	s.served = maps.Clone(all)
	maps.DeleteFunc(s.served, func(name string, _ *fstest.MapFile) bool { return strings.Contains(name, part) })
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.served = all
	}
}

// tick records a tick an interval later, and waits until it is served.
func (s *scene) tick() {
	s.t.Helper()
	s.later(interval)
	recorded, err := s.poller.Once(s.t.Context())
	must(s.t, err)
	s.until("tick is served", func() bool {
		_, at := s.reducer.Current()
		return at.Sequence == recorded.Tick.Head.Seq && *s.ready.Load() == nil
	})
}

// patience bounds waiting.
const patience = time.Minute

func (s *scene) until(what string, holds func() bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	beat := time.NewTicker(5 * time.Millisecond)
	defer beat.Stop()
	for !holds() {
		select {
		case <-beat.C:
		case <-ctx.Done():
			s.t.Fatalf("%s: not within %s", what, patience)
		}
	}
}
