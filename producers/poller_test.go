package producers_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/broker"
	"fleetlog/internal/broker/brokertest"
	"fleetlog/internal/fleetsim"
	"fleetlog/producers"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/sirupsen/logrus"
)

func writerKey(t testing.TB, seed byte) *events.Writer {
	t.Helper()
	w, err := events.NewWriter(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// theLog is a provisioned log on a broker of its own.
type theLog struct {
	*eventlog.Log
	nc *nats.Conn
}

func newLog(t testing.TB, b *broker.Broker, writers ...*events.Writer) theLog {
	t.Helper()
	return openLog(t, b, openingBy(writers))
}

// openingBy names the writers, the first of whom opens the log.
func openingBy(writers []*events.Writer) events.Opening {
	opening := events.Opening{Writer: writers[0]}
	for _, w := range writers {
		opening.Writers = append(opening.Writers, w.Public())
	}
	return opening
}

func openLog(t testing.TB, b *broker.Broker, opening events.Opening) theLog {
	t.Helper()
	nc, err := nats.Connect(b.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return provision(t, nc, opening, signedAt)
}

func provision(t testing.TB, nc *nats.Conn, opening events.Opening, now time.Time) theLog {
	t.Helper()
	fleet, err := events.ParseFleetName("prod")
	if err != nil {
		t.Fatal(err)
	}
	log, err := eventlog.Provision(t.Context(), nc, eventlog.Place{Fleet: fleet}, eventlog.Provisioning{
		Limits:  eventlog.Limits{Events: 256 << 20, Artifacts: 256 << 20, Replicas: 1},
		Opening: opening, Now: now, Random: uuid.NewRandom,
	})
	if err != nil {
		t.Fatal(err)
	}
	return theLog{log, nc}
}

// config is a poller's that never stands by, with a clock at signedAt that runs.
func (l theLog) config(source producers.Source, writer *events.Writer) producers.Config {
	began := time.Now()
	quiet := logrus.New()
	quiet.SetOutput(io.Discard)
	return producers.Config{
		Poll: &producers.Poll{
			Source: source, Window: 3600, Concurrency: 4,
			Trust: func() ([]byte, error) { return signer.Trust(), nil },
		},
		Open:     func(context.Context) (*eventlog.Log, error) { return l.Log, nil },
		Terms:    events.Terms{Writer: writer, RestateEvery: time.Hour},
		Interval: time.Millisecond, TickTimeout: 30 * time.Second, Standby: -1, MaxClockSkew: 100 * 365 * 24 * time.Hour,
		Clock:     func() time.Time { return signedAt.Add(time.Since(began)) },
		NewTickID: uuid.NewV7, Log: quiet, Ready: func(error) {},
	}
}

func (l theLog) once(t *testing.T, c producers.Config) *events.Tick {
	t.Helper()
	recorded, err := producers.NewPoller(c).Once(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return recorded.Tick
}

// TestPollerRemembersThroughTheLog starts a new poller for every tick: what one
// must know of the past it reads from the log.
func TestPollerRemembersThroughTheLog(t *testing.T) {
	w := writerKey(t, 1)
	log := newLog(t, brokertest.Start(t), w)
	f := fleet()
	release := sign(t, f)
	from := func(r fleetsim.Release) producers.Config { return log.config(producers.NewDirectory(r), w) }

	first := log.once(t, from(release)).Completed
	if first.Outcome != events.Verified || first.Set == nil {
		t.Fatalf("first tick %+v", first)
	}
	skipped := log.once(t, from(fleetsim.Release{})).Completed
	if skipped.Outcome != events.Skipped || skipped.Set == nil || skipped.Set.Digest != first.Set.Digest {
		t.Errorf("tick without a release: %s with set %+v, want the first tick's", skipped.Outcome, skipped.Set)
	}
	carried := log.once(t, from(edit(release, rolloutFile(t, release, c0), nil)))
	if carried.Completed.Counts.Verified != 2 || carried.Completed.Set.Digest != first.Set.Digest {
		t.Errorf("one manifest away: %+v", carried.Completed)
	}
	older := f
	older.SignedAt = signedAt.Add(-time.Minute)
	refused := log.once(t, from(sign(t, older)))
	if r, ok := refused.Findings[0].(*events.FleetRejected); !ok || r.Reason != events.Rollback {
		t.Errorf("an older release: %+v", refused.Findings[0])
	}
	same := log.once(t, from(release))
	if same.Completed.Set.Digest != first.Set.Digest || same.Head.Number != 5 {
		t.Errorf("the release again: %+v", same.Completed)
	}
	if again := log.once(t, from(release)); len(again.Findings) != 0 || again.Completed.Stated != events.Unchanged {
		t.Errorf("an unchanged release: %d findings, %s", len(again.Findings), again.Completed.Stated)
	}
	restated := from(release)
	restated.Terms.RestateEvery = 0
	if again := log.once(t, restated); len(again.Findings) == 0 || again.Completed.Stated != events.Restated {
		t.Errorf("restated: %d findings, %s", len(again.Findings), again.Completed.Stated)
	}
}

// TestPollerUnderOtherTrust replaces the key: the set goes, and stays away over
// a restart.
func TestPollerUnderOtherTrust(t *testing.T) {
	w := writerKey(t, 1)
	log := newLog(t, brokertest.Start(t), w)
	config := log.config(producers.NewDirectory(sign(t, fleet())), w)
	log.once(t, config)
	config.Poll.Trust = func() ([]byte, error) { return []byte("{"), nil }
	if got := log.once(t, config).Completed; got.Set == nil {
		t.Error("a broken trust file took the set")
	}
	config.Poll.Trust = func() ([]byte, error) { return fleetsim.NewEd25519Signer(2).Trust(), nil }
	for range 2 {
		if got := log.once(t, config).Completed; got.Set != nil || got.Floor == nil {
			t.Errorf("under another key: set %+v, floor %+v", got.Set, got.Floor)
		}
	}
	config.Poll.Trust = func() ([]byte, error) { return signer.Trust(), nil }
	if got := log.once(t, config).Completed; got.Set == nil {
		t.Error("the set did not come back with its key")
	}
}

// TestTicksThatAreNotRecorded demands of each that nothing is written.
func TestTicksThatAreNotRecorded(t *testing.T) {
	w := writerKey(t, 1)
	log := newLog(t, brokertest.Start(t), w)
	release := producers.NewDirectory(sign(t, fleet()))
	boom := errors.New("no broker")
	for what, c := range map[string]struct {
		change func(*producers.Config)
		want   error
	}{
		"clock differs from the broker's": {func(c *producers.Config) { c.MaxClockSkew = time.Minute }, producers.ErrClockSkew},
		"tick takes too long":             {func(c *producers.Config) { c.TickTimeout = time.Nanosecond }, producers.ErrOverrun},
		"foreign writer":                  {func(c *producers.Config) { c.Terms.Writer = writerKey(t, 2) }, producers.ErrNotWriter},
		"log cannot be opened": {func(c *producers.Config) {
			c.Open = func(context.Context) (*eventlog.Log, error) { return nil, boom }
		}, boom},
	} {
		t.Run(what, func(t *testing.T) {
			config := log.config(release, w)
			c.change(&config)
			if _, err := producers.NewPoller(config).Once(t.Context()); !errors.Is(err, c.want) {
				t.Errorf("error %v, want %v", err, c.want)
			}
			if last, err := log.LastSequence(t.Context()); err != nil || last != 1 {
				t.Errorf("log ends at %d (%v), want 1", last, err)
			}
		})
	}
}

// TestMissedTicksAreReported keeps the broker away for some ticks.
func TestMissedTicksAreReported(t *testing.T) {
	w := writerKey(t, 1)
	log := newLog(t, brokertest.Start(t), w)
	config := log.config(producers.NewDirectory(sign(t, fleet())), w)
	config.Clock = new(standing).now
	var tries atomic.Int64
	var told atomic.Bool
	config.Open = func(context.Context) (*eventlog.Log, error) {
		if tries.Add(1) <= 3 {
			return nil, fmt.Errorf("open: %w", eventlog.ErrUnavailable)
		}
		return log.Log, nil
	}
	config.Ready = func(err error) { told.Store(told.Load() || err != nil) }
	first := log.run(t, config, 1)[0]
	if m := first.Completed.Missed; m == nil || m.Ticks != 3 || m.Reason != events.BrokerUnavailable {
		t.Errorf("missed %+v, want 3 for want of a broker", m)
	}
	if !told.Load() {
		t.Error("the poller was ready all the time")
	}
}

// run runs a poller until n ticks are recorded, and returns all that the log
// has then.
func (l theLog) run(t *testing.T, c producers.Config, n uint64) []*events.Tick {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- producers.NewPoller(c).Run(ctx)
		cancel()
	}()
	ticks, err := l.ticks(ctx, func(tick *events.Tick) bool { return tick.Head.Number >= n })
	cancel()
	if err := errors.Join(<-ended, err); err != nil {
		t.Fatal(err)
	}
	return ticks
}

// until follows the log from its beginning until a tick is the last one wanted.
func (l theLog) until(t *testing.T, last func(*events.Tick) bool) []*events.Tick {
	t.Helper()
	ticks, err := l.ticks(t.Context(), last)
	if err != nil {
		t.Fatal(err)
	}
	return ticks
}

func (l theLog) ticks(ctx context.Context, last func(*events.Tick) bool) (ticks []*events.Tick, err error) {
	for d, err := range l.Follow(ctx, l.Opening()) {
		if err != nil {
			return nil, err
		}
		if d.Tick == nil {
			continue
		}
		ticks = append(ticks, d.Tick)
		if last(d.Tick) {
			break
		}
	}
	return ticks, nil
}

// TestRunStops drops the tick under way when it is told to stop.
func TestRunStops(t *testing.T) {
	w := writerKey(t, 1)
	log := newLog(t, brokertest.Start(t), w)
	ctx, cancel := context.WithCancel(t.Context())
	s := &served{release: sign(t, fleet()), before: func(string, int) { cancel() }}
	if err := producers.NewPoller(log.config(producers.NewDirectory(s), w)).Run(ctx); err != nil {
		t.Error(err)
	}
	if last, err := log.LastSequence(t.Context()); err != nil || last != 1 {
		t.Errorf("log ends at %d (%v), want 1", last, err)
	}
}
