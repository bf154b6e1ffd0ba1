package producertest

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"io/fs"
	"time"

	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/fleetsim"
	"fleetlog/manifest"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
)

// Quiet is a log in which little happens: a tick every half minute, statements
// written out every hour, a new release now and then.
type Quiet struct {
	Fleet    events.FleetName
	Key      ed25519.PrivateKey // of the writer
	Signer   *fleetsim.Signer   // of the releases
	Begin    time.Time
	Ticks    int
	Release  int // ticks from one release to the next
	Hosts    int
	Channels int
}

// Year is the log of a small fleet over a year, with two releases a day.
func Year(fleet events.FleetName, key ed25519.PrivateKey, signer *fleetsim.Signer) Quiet {
	return Quiet{
		Fleet: fleet, Key: key, Signer: signer, Begin: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		Ticks: 365 * 24 * 120, Release: 12 * 120, Hosts: 6, Channels: 3,
	}
}

// Write makes the log on the broker, and its streams.
func (q Quiet) Write(ctx context.Context, nc *nats.Conn) (*eventlog.Log, error) {
	writer, err := events.NewWriter(q.Key)
	if err != nil {
		return nil, err
	}
	log, err := eventlog.Provision(ctx, nc, eventlog.Place{Fleet: q.Fleet}, eventlog.Provisioning{
		Limits:  eventlog.DefaultLimits(),
		Opening: events.Opening{Writer: writer, Writers: []events.PublicKey{writer.Public()}},
		Now:     q.Begin, Random: uuid.NewRandom,
	})
	if err != nil {
		return nil, err
	}
	return log, Append(ctx, nc, log, Past{
		Writer: writer, Trust: q.Signer.Trust(), Begin: q.Begin, Interval: 30 * time.Second, Ticks: q.Ticks,
		Window: manifest.Unlimited, Restate: time.Hour, Serve: q.serve,
	})
}

func (q Quiet) serve(number int, at time.Time) (fs.FS, error) {
	if (number-1)%q.Release != 0 {
		return nil, nil
	}
	n := number / q.Release
	return fleetsim.Fleet{
		Hosts: q.Hosts, Channels: q.Channels, Closures: n, Commit: fmt.Sprintf("%040x", n), SignedAt: at,
	}.Sign(q.Signer)
}
