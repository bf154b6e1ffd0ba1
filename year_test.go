package fleetlog_test

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"fleetlog/consumers/past"
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

// The year: a tick every thirty seconds, signed anew every four hours, restated
// every hour.
const (
	yearTicks    = 1_051_200
	yearInterval = 30 * time.Second
	yearSigning  = 480 // ticks
	yearRestate  = time.Hour
	yearWindow   = 5 * 3600
)

// year is a log of that length, and the set of every release in it.
type year struct {
	log   *eventlog.Log
	begun time.Time
	sets  []manifest.Digest
}

func newYear(b *testing.B) *year {
	b.Helper()
	must := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	server := brokertest.Start(b, func(c *broker.Config) { c.NoSync = true })
	nc, err := nats.Connect(server.ClientURL())
	must(err)
	b.Cleanup(nc.Close)
	writer, err := events.NewWriter(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32)))
	must(err)
	fleet, err := events.ParseFleetName("prod")
	must(err)
	y := &year{begun: time.Date(2025, 5, 1, 0, 0, 0, 0, time.UTC)}
	y.log, err = eventlog.Provision(b.Context(), nc, eventlog.Place{Fleet: fleet}, eventlog.Provisioning{
		Limits:  eventlog.Limits{Events: 6 << 30, Artifacts: 2 << 30, Replicas: 1},
		Opening: events.Opening{Writer: writer, Writers: []events.PublicKey{writer.Public()}}, Now: y.begun, Random: uuid.NewRandom,
	})
	must(err)
	must(producertest.Append(b.Context(), nc, y.log, producertest.Past{
		Writer: writer, Trust: signerA.Trust(), Begin: y.begun, Interval: yearInterval, Ticks: yearTicks, Window: yearWindow, Restate: yearRestate,
		Serve: func(number int, at time.Time) (fs.FS, error) {
			if number%yearSigning != 1 {
				return nil, nil
			}
			n := number / yearSigning / 6 // a new commit a day
			return fleetsim.Fleet{Hosts: 12, Channels: 3, Idle: 1, Closures: n, Commit: fmt.Sprintf("%08x", n), SignedAt: at}.Sign(signerA)
		},
		Written: func(tick *events.Tick) {
			if tick.Completed.Stated == events.Changed {
				y.sets = append(y.sets, tick.Completed.Set.Digest)
			}
		},
	}))
	return y
}

// at is the time of the n-th tick, from 0.
func (y *year) at(n int) time.Time { return y.begun.Add(time.Duration(n) * yearInterval) }

// BenchmarkShowAtInAYear shows the set of 1,000 random instants of a year, as the
// log says and verified, and one history, and prints what it took.
func BenchmarkShowAtInAYear(b *testing.B) {
	begun := time.Now()
	y := newYear(b)
	b.Logf("%d ticks, %d releases, in %s", yearTicks, len(y.sets), time.Since(begun).Round(time.Second))
	trusted, err := manifest.ParseTrust(signerA.Trust())
	if err != nil {
		b.Fatal(err)
	}
	for name, policy := range map[string]manifest.Policy{"said": {}, "verified": {Trust: trusted, Window: yearWindow}} {
		b.Run(name, func(b *testing.B) {
			r := &past.Reader{Log: y.log, Policy: policy}
			random := rand.New(rand.NewPCG(1, 2))
			var took []time.Duration
			for b.Loop() {
				for range 1000 {
					n := random.IntN(yearTicks)
					start := time.Now()
					look(b, r, y, n, y.at(n).Add(time.Duration(random.Int64N(int64(yearInterval)))))
					took = append(took, time.Since(start))
				}
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "median-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
			b.ReportMetric(float64(took[len(took)-1].Microseconds()), "max-µs")
		})
	}
	b.Run("history", func(b *testing.B) { benchmarkHistory(b, y) })
}

// look shows one instant and checks the answer.
func look(b *testing.B, r *past.Reader, y *year, n int, when time.Time) {
	b.Helper()
	point, err := eventlog.ParsePoint(when.Format(time.RFC3339Nano), when)
	if err != nil {
		b.Fatal(err)
	}
	tick, err := r.Log.At(b.Context(), point)
	if err != nil {
		b.Fatal(err)
	}
	set, err := r.Set(b.Context(), tick)
	if err != nil {
		b.Fatal(err)
	}
	if tick.Head.Number != uint64(n+1) || *set.SetDigest != y.sets[n/yearSigning] || len(set.Rollouts) != 3 {
		b.Fatalf("at %s: tick %d with set %s, want tick %d with %s", when, tick.Head.Number, set.SetDigest, n+1, y.sets[n/yearSigning])
	}
}

func benchmarkHistory(b *testing.B, y *year) {
	last, err := y.log.At(b.Context(), eventlog.Point{})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		ticks := 0
		for _, err := range (&past.Reader{Log: y.log}).History(b.Context(), past.Span{Last: last}) {
			if err != nil {
				b.Fatal(err)
			}
			ticks++
		}
		if ticks != len(y.sets) {
			b.Fatalf("the history has %d ticks, want %d", ticks, len(y.sets))
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/history")
}
