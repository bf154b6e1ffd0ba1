package check_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"io/fs"
	"strings"
	"testing"
	"time"

	"fleetlog/consumers/check"
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

const (
	window          = manifest.Window(3600)
	eventsStream    = "nixfleet-prod-events"
	artifactsStream = "nixfleet-prod-artifacts"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// scene is a broker with a log, and a poller that writes it one tick at a time.
type scene struct {
	t        testing.TB
	nc       *nats.Conn
	js       jetstream.JetStream
	key      ed25519.PrivateKey
	log      *eventlog.Log
	poller   *producers.Poller
	now      time.Time
	trust    []byte // in force for the poller
	served   fleetsim.Release
	signed   time.Time
	closures int
	ticks    []*events.Tick
}

// connect starts a broker without a log.
func connect(t testing.TB) *scene {
	t.Helper()
	b := brokertest.Start(t, func(c *broker.Config) { c.NoSync = true })
	nc, err := nats.Connect(b.ClientURL())
	must(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	must(t, err)
	return &scene{t: t, nc: nc, js: js}
}

func newScene(t testing.TB) *scene {
	t.Helper()
	s := connect(t)
	s.now, s.trust = epoch, bothKeys(t)
	s.key = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))
	s.provision()
	return s
}

// bothKeys is a trust file that names both signers.
func bothKeys(t testing.TB) []byte {
	t.Helper()
	key := bytes.TrimPrefix(another.Trust(), []byte(`{"ciReleaseKey":{"current":`))
	key = key[:bytes.IndexByte(key, '}')+1]
	return bytes.Replace(signer.Trust(), []byte(`"ciReleaseKey":{`), []byte(`"ciReleaseKey":{"previous":`+string(key)+`,`), 1)
}

func (s *scene) place() eventlog.Place {
	name, err := events.ParseFleetName("prod")
	must(s.t, err)
	return eventlog.Place{Fleet: name}
}

func (s *scene) readTrust() ([]byte, error) { return s.trust, nil }

func (s *scene) clock() time.Time { return s.now }

func (s *scene) open(ctx context.Context) (*eventlog.Log, error) {
	return eventlog.Open(ctx, s.nc, s.place())
}

// provision makes a log, and a poller for it.
func (s *scene) provision() {
	s.t.Helper()
	writer, err := events.NewWriter(s.key)
	must(s.t, err)
	s.log, err = eventlog.Provision(s.t.Context(), s.nc, s.place(), eventlog.Provisioning{
		Limits:  eventlog.Limits{Events: 64 << 20, Artifacts: 64 << 20, Replicas: 1},
		Opening: events.Opening{Writer: writer, Writers: []events.PublicKey{writer.Public()}},
		Now:     s.now, Random: uuid.NewRandom,
	})
	must(s.t, err)
	s.start(writer)
}

// start makes a poller, which goes on from what the log says.
func (s *scene) start(writer *events.Writer) {
	quiet, _ := logtest.NewNullLogger()
	s.poller = producers.NewPoller(producers.Config{
		Poll: &producers.Poll{
			Source: producers.NewDirectory(serving{s}), Window: window, Concurrency: 2, Trust: s.readTrust,
		},
		Open:     s.open,
		Terms:    events.Terms{Writer: writer, RestateEvery: time.Hour},
		Interval: 30 * time.Second, TickTimeout: time.Minute, Standby: -1, MaxClockSkew: 100 * 365 * 24 * time.Hour,
		Clock: s.clock, NewTickID: uuid.NewV7, Log: quiet, Ready: func(error) {},
	})
}

// serving is what the release directory holds at the moment.
type serving struct{ *scene }

func (s serving) Open(name string) (fs.File, error) { return s.served.Open(name) }

// sign serves a new release, signed now.
func (s *scene) sign(hosts, channels int) {
	s.t.Helper()
	s.signAt(hosts, channels, s.now)
}

// signAt serves a new release of so many hosts and channels, and one idle
// channel.
func (s *scene) signAt(hosts, channels int, at time.Time) {
	s.t.Helper()
	s.closures++
	release, err := fleetsim.Fleet{
		Hosts: hosts, Channels: channels, Idle: 1, Closures: s.closures, Commit: "aaaa", SignedAt: at,
	}.Sign(signer)
	must(s.t, err)
	s.served, s.signed = release, at
}

// resign signs one channel's manifest with the other key.
func (s *scene) resign(n int) {
	name := rolloutFile(n)
	received, err := another.Sign(s.served[name].Data)
	must(s.t, err)
	s.served[name+".sig"].Data = received.Signature
}

func rolloutFile(n int) string { return "rollouts/" + fleetsim.ChannelName(n) + "@aaaa.json" }

// tick moves the clock by half a minute and records a tick.
func (s *scene) tick() *events.Tick {
	s.t.Helper()
	s.now = s.now.Add(30 * time.Second)
	recorded, err := s.poller.Once(s.t.Context())
	must(s.t, err)
	s.ticks = append(s.ticks, recorded.Tick)
	return recorded.Tick
}

// The ticks of [scene.live], by what is special about them.
const (
	tickFirst = iota
	tickUnchanged
	tickCarried
	tickRejected
	tickRemoved
	tickResigned
	tickWithout
	tickRetained
	tickNoSet
	tickLarge
	tickRestated
	tickLast
	liveTicks
)

// Hosts of the large fleet of [scene.live]: so many that its artifact has several
// parts, and so few that nobody waits for them.
const (
	manyHosts = 3500
	someHosts = 7
)

// live writes a log in which everything happens that can; large is how many hosts
// its large fleet has.
func (s *scene) live(large int) {
	s.t.Helper()
	s.sign(6, 3)
	s.tick()
	s.tick()
	delete(s.served, rolloutFile(1))
	s.tick()
	s.served[rolloutFile(2)+".sig"].Data = bytes.Repeat([]byte{7}, 64)
	s.tick()
	s.sign(6, 2)
	s.tick()
	s.sign(6, 2)
	s.resign(1)
	s.tick()
	s.trust, s.served = signer.Trust(), fleetsim.Release{}
	s.tick()
	s.tick()
	s.trust = another.Trust()
	s.tick()
	s.trust = bothKeys(s.t)
	s.sign(large, 2)
	s.tick()
	s.now = s.now.Add(59*time.Minute + 45*time.Second)
	s.tick()
	s.now = s.now.Add(2 * time.Minute)
	s.sign(6, 3)
	s.tick()
}

// junk stores three messages that are noise: no event, a copy of a tick, and
// the beginning of one.
func (s *scene) junk() {
	s.t.Helper()
	_, err := s.js.Publish(s.t.Context(), "nixfleet.prod.event.TickCompleted", []byte("junk"))
	must(s.t, err)
	for _, seq := range []uint64{s.ticks[0].Head.Seq, s.ticks[0].Completed.Statement.FirstSeq} {
		m, err := s.log.Message(s.t.Context(), seq)
		must(s.t, err)
		s.publish(m)
	}
}

// publish stores a message as it was stored before.
func (s *scene) publish(m events.Message) {
	s.t.Helper()
	again := &nats.Msg{Subject: m.Subject, Header: nats.Header{}, Data: m.Body}
	for name, values := range m.Header {
		if !strings.HasPrefix(name, "Nats-") {
			again.Header[name] = values
		}
	}
	_, err := s.js.PublishMsg(s.t.Context(), again)
	must(s.t, err)
}

// check opens the log and checks it with the state directory, if one is given.
func (s *scene) check(stateDir string) *check.Report {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	log, err := s.open(ctx)
	must(s.t, err)
	report, err := check.Check(ctx, log, check.Options{StateDir: stateDir})
	must(s.t, err)
	return report
}
