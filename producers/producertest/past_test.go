package producertest_test

import (
	"bytes"
	"crypto/ed25519"
	"io/fs"
	"testing"
	"time"

	"fleetlog/consumers/check"
	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/broker"
	"fleetlog/internal/broker/brokertest"
	"fleetlog/internal/fleetsim"
	"fleetlog/producers/producertest"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
)

// TestPastIsAGoodLog: the checker finds nothing wrong with a past in which a
// release comes once in a while and the source is away for some ticks.
func TestPastIsAGoodLog(t *testing.T) {
	b := brokertest.Start(t, func(c *broker.Config) { c.NoSync = true })
	nc, err := nats.Connect(b.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	fleet, err := events.ParseFleetName("prod")
	if err != nil {
		t.Fatal(err)
	}
	writer, err := events.NewWriter(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	log, err := eventlog.Provision(t.Context(), nc, eventlog.Place{Fleet: fleet}, eventlog.Provisioning{
		Limits:  eventlog.DefaultLimits(),
		Opening: events.Opening{Writer: writer, Writers: []events.PublicKey{writer.Public()}}, Now: begin, Random: uuid.NewRandom,
	})
	if err != nil {
		t.Fatal(err)
	}
	signer := fleetsim.NewEd25519Signer(1)
	const ticks, releaseEvery, awayFor = 1000, 100, 10
	outcomes, stated := map[events.Outcome]int{}, map[events.Stated]int{}
	err = producertest.Append(t.Context(), nc, log, producertest.Past{
		Writer: writer, Trust: signer.Trust(), Begin: begin, Interval: 30 * time.Second, Ticks: ticks, Window: 3600, Restate: 10 * time.Minute,
		Serve: func(number int, at time.Time) (fs.FS, error) {
			switch number % releaseEvery {
			case 1:
				return fleetsim.Fleet{Hosts: 3, Channels: 2, Closures: number, Commit: "aaaa", SignedAt: at}.Sign(signer)
			case releaseEvery - awayFor:
				return fleetsim.Release{}, nil
			}
			return nil, nil
		},
		Written: func(tick *events.Tick) {
			outcomes[tick.Completed.Outcome]++
			stated[tick.Completed.Stated]++
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if away := ticks / releaseEvery * (awayFor + 1); outcomes[events.Skipped] != away || outcomes[events.Verified] != ticks-away {
		t.Errorf("outcomes %v, want %d skipped", outcomes, away)
	}
	if stated[events.Changed] != 2*ticks/releaseEvery || stated[events.Restated] == 0 || stated[events.Unchanged] == 0 {
		t.Errorf("stated %v", stated)
	}
	report, err := check.Check(t.Context(), log, check.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if report.Found > 0 || report.Noise > 0 || report.Ticks != ticks {
		t.Errorf("%d ticks, want %d; %d broken, %d noise: %+v", report.Ticks, ticks, report.Found, report.Noise, report.Findings)
	}
}
