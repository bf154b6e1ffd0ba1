package audit_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"testing"
	"time"

	"fleetlog/consumers/audit"
	"fleetlog/consumers/check"
	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/broker"
	"fleetlog/internal/broker/brokertest"
	"fleetlog/internal/fleetsim"
	"fleetlog/manifest"
	"fleetlog/producers/producertest"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

var signer = fleetsim.NewEd25519Signer(1)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// quiet writes a quiet log of so many ticks.
func quiet(t testing.TB, ticks int) (*nats.Conn, *eventlog.Log) {
	t.Helper()
	b := brokertest.Start(t, func(c *broker.Config) { c.NoSync = true })
	nc, err := nats.Connect(b.ClientURL())
	must(t, err)
	t.Cleanup(nc.Close)
	fleet, err := events.ParseFleetName("prod")
	must(t, err)
	q := producertest.Year(fleet, ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32)), signer)
	q.Ticks = ticks
	log, err := q.Write(t.Context(), nc)
	must(t, err)
	return nc, log
}

// options are those of an audit that checks everything.
func options(t testing.TB) audit.Options {
	t.Helper()
	trust, err := manifest.ParseTrust(signer.Trust())
	must(t, err)
	return audit.Options{Options: check.Options{
		Trust: check.Trust{{Trust: trust}}, Policy: manifest.Policy{Window: manifest.Window(13 * 3600)},
	}}
}

// yearTicks is a tick every half minute.
const yearTicks = 365 * 24 * 120

// BenchmarkAuditYear audits a year of ticks, and prints its rate beside that of
// reading the same stream without a look at it, in the same run.
func BenchmarkAuditYear(b *testing.B) {
	nc, log := quiet(b, yearTicks)
	js, err := jetstream.New(nc)
	must(b, err)
	var raw, audited time.Duration
	var read uint64
	for b.Loop() {
		began := time.Now()
		read += replay(b, js)
		raw += time.Since(began)
		began = time.Now()
		report, err := audit.Log(b.Context(), log, check.Whole(log), options(b))
		must(b, err)
		audited += time.Since(began)
		if report.Verdict != audit.Clean || report.Read.Ticks != yearTicks {
			b.Fatalf("%+v", report)
		}
	}
	b.ReportMetric(float64(read)/raw.Seconds(), "raw-events/s")
	b.ReportMetric(float64(read)/audited.Seconds(), "audited-events/s")
	b.ReportMetric(raw.Seconds()/audited.Seconds(), "audit/raw")
}

// replay reads the events stream once.
func replay(t testing.TB, js jetstream.JetStream) (read uint64) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	consumer, err := js.OrderedConsumer(ctx, "nixfleet-prod-events", jetstream.OrderedConsumerConfig{})
	must(t, err)
	messages, err := consumer.Messages(jetstream.PullMaxMessages(4000))
	must(t, err)
	defer messages.Stop()
	for {
		m, err := messages.Next()
		must(t, err)
		read++
		if meta, err := m.Metadata(); err != nil || meta.NumPending == 0 {
			must(t, err)
			return read
		}
	}
}

// TestQuietLog finds nothing in what the generator of long logs writes.
func TestQuietLog(t *testing.T) {
	const ticks = 3000
	_, log := quiet(t, ticks)
	for _, every := range []bool{false, true} {
		o := options(t)
		o.EverySignature = every
		report, err := audit.Log(t.Context(), log, check.Whole(log), o)
		must(t, err)
		if report.Verdict != audit.Clean || report.Read.Ticks != ticks || report.Read.Noise > 0 {
			t.Errorf("every signature %v: %+v", every, report)
		}
		if want := map[bool]uint64{false: 2, true: ticks + 1}[every]; report.Read.Signatures != want {
			t.Errorf("every signature %v: %d signatures, want %d", every, report.Read.Signatures, want)
		}
	}
}
