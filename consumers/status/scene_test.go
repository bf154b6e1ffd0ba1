package status_test

import (
	"bytes"
	"crypto/ed25519"
	"testing"
	"time"

	"fleetlog/consumers/past"
	"fleetlog/consumers/status"
	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/broker"
	"fleetlog/internal/broker/brokertest"
	"fleetlog/internal/fleetsim"
	"fleetlog/manifest"
	"fleetlog/producers/producertest"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
)

var begin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

const (
	interval = 30 * time.Second
	window   = manifest.Window(4 * 3600)
)

// scene is a broker with the logs of several fleets.
type scene struct {
	t      *testing.T
	nc     *nats.Conn
	signer *fleetsim.Signer
	fleets int
}

func newScene(t *testing.T) *scene {
	t.Helper()
	b := brokertest.Start(t, func(c *broker.Config) { c.NoSync = true })
	nc, err := nats.Connect(b.ClientURL())
	must(t, err)
	t.Cleanup(nc.Close)
	return &scene{t: t, nc: nc, signer: fleetsim.NewEd25519Signer(1)}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// told is a log and its ticks.
type told struct {
	*scene
	log   *eventlog.Log
	ticks []*events.Tick
}

// log makes the log of a fleet of its own.
func (s *scene) log(p producertest.Past) *told {
	s.t.Helper()
	s.fleets++
	fleet, err := events.ParseFleetName("prod-" + string(rune('a'+s.fleets)))
	must(s.t, err)
	p.Writer, err = events.NewWriter(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32)))
	must(s.t, err)
	log, err := eventlog.Provision(s.t.Context(), s.nc, eventlog.Place{Fleet: fleet}, eventlog.Provisioning{
		Limits: eventlog.Limits{Events: 64 << 20, Artifacts: 64 << 20, Replicas: 1}, Now: begin, Random: uuid.NewRandom,
		Opening: events.Opening{Writer: p.Writer, Writers: []events.PublicKey{p.Writer.Public()}},
	})
	must(s.t, err)
	l := &told{scene: s, log: log}
	p.Trust, p.Begin, p.Interval, p.Window = s.signer.Trust(), begin, interval, window
	p.Written = func(tick *events.Tick) { l.ticks = append(l.ticks, tick) }
	if p.Ticks > 0 {
		must(s.t, producertest.Append(s.t.Context(), s.nc, log, p))
	}
	return l
}

// release is what is served, of two channels; without drops manifests.
func (s *scene) release(n int, at time.Time, without ...string) fleetsim.Release {
	s.t.Helper()
	release, err := fleetsim.Fleet{Hosts: 4, Channels: 2, Closures: n, Commit: string(rune('a'+n%26)) + "0000000", SignedAt: at}.Sign(s.signer)
	must(s.t, err)
	for name := range release {
		for _, part := range without {
			if len(name) > 9+len(part) && name[9:9+len(part)] == part {
				delete(release, name)
			}
		}
	}
	return release
}

func (l *told) last() *events.Tick { return l.ticks[len(l.ticks)-1] }

// reader reads the log, verifying.
func (l *told) reader() *status.Reader {
	l.t.Helper()
	trust, err := manifest.ParseTrust(l.signer.Trust())
	must(l.t, err)
	return &status.Reader{
		Past:   &past.Reader{Log: l.log, Policy: manifest.Policy{Trust: trust, Window: window}},
		Recent: 3, Outages: 4,
	}
}

// status is that of the log so long after its newest tick.
func (l *told) status(after time.Duration) *status.Status {
	l.t.Helper()
	now := begin
	if len(l.ticks) > 0 {
		now = l.last().Head.Time.Time()
	}
	s, err := l.reader().Status(l.t.Context(), now.Add(after))
	must(l.t, err)
	return s
}

func (l *told) at(number int) events.Time { return l.ticks[number-1].Head.Time }
