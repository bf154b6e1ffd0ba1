package producers_test

import (
	"errors"
	"testing"
	"time"

	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/broker/brokertest"
	"fleetlog/internal/fleetsim"
	"fleetlog/manifest"
	"fleetlog/producers"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"
)

// TestFloorAheadIsRefused: a fleet from further ahead than the slack is never
// accepted, so a floor that claims one would keep every fleet out for ever.
func TestFloorAheadIsRefused(t *testing.T) {
	w := writerKey(t, 1)
	for _, c := range []struct {
		ahead time.Duration // of the floor before the tick
		want  error
	}{{time.Minute, nil}, {time.Minute + time.Nanosecond, producers.ErrFloorAhead}} {
		floor := &events.Floor{SignedAt: manifest.InstantOf(signedAt.Add(c.ahead))}
		log := newLog(t, brokertest.Start(t), w)
		writer, err := log.NewWriter(t.Context(), func(uint64, uint64) {})
		if err != nil {
			t.Fatal(err)
		}
		draft := events.Draft{
			Tick: uuid.Must(uuid.NewV7()).String(), Time: events.TimeOf(signedAt), Floor: floor, Interval: time.Second,
			Findings: []events.Finding{&events.FleetRejected{Stage: events.StageFetch, Reason: events.Timeout}},
		}
		if _, err := writer.Append(t.Context(), func(base events.Base, first uint64) ([]events.Message, error) {
			return events.Compose(base, draft, events.Terms{Writer: w}, first)
		}); err != nil {
			t.Fatal(err)
		}
		config := log.config(producers.NewDirectory(sign(t, fleet())), w)
		if _, err := producers.NewPoller(config).Once(t.Context()); !errors.Is(err, c.want) {
			t.Errorf("floor %s ahead of its tick: %v, want %v", c.ahead, err, c.want)
		}
	}
}

// TestTrustThatComesBack is refused or replaced when a poller starts, and right
// again before a tick has said so in the log: the set is what it was.
func TestTrustThatComesBack(t *testing.T) {
	w := writerKey(t, 1)
	for name, trust := range map[string][]byte{
		"refused": []byte("{"), "replaced": fleetsim.NewEd25519Signer(2).Trust(),
	} {
		t.Run(name, func(t *testing.T) {
			log := newLog(t, brokertest.Start(t), w)
			config := log.config(producers.NewDirectory(sign(t, fleet())), w)
			first := log.once(t, config).Completed
			s := &served{release: fleetsim.Release{}}
			config.Poll.Source = producers.NewDirectory(s)
			config.Poll.Trust = func() ([]byte, error) { return trust, nil }
			config.MaxClockSkew = -1
			poller := producers.NewPoller(config)
			if _, err := poller.Once(t.Context()); !errors.Is(err, producers.ErrClockSkew) {
				t.Fatalf("tick under a wrong clock: %v", err)
			}
			trust, poller.MaxClockSkew = signer.Trust(), 100*365*24*time.Hour
			recorded, err := poller.Once(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			got := recorded.Tick.Completed
			if got.Outcome != events.Skipped || got.Set == nil || got.Set.Digest != first.Set.Digest || got.Set.Without != nil {
				t.Errorf("skipped tick has set %+v, want the first tick's", got.Set)
			}
		})
	}
}

// TestClockSetBack judges by the last tick's time.
func TestClockSetBack(t *testing.T) {
	w := writerKey(t, 1)
	log := newLog(t, brokertest.Start(t), w)
	config := log.config(producers.NewDirectory(sign(t, fleet())), w)
	clock := &standing{}
	config.Clock = clock.now
	clock.advance(2 * time.Hour) // the release is stale then
	stale := log.once(t, config)
	clock.advance(-2 * time.Hour)
	again := log.once(t, config)
	if again.Head.Time != stale.Head.Time || again.Completed.Outcome != events.Skipped {
		t.Errorf("tick after the clock was set back: %s at %s, want skipped at %s",
			again.Completed.Outcome, again.Head.Time, stale.Head.Time)
	}
}

// TestSuspendedMachine sleeps while it fetches, by the wall clock alone.
func TestSuspendedMachine(t *testing.T) {
	w := writerKey(t, 1)
	log := newLog(t, brokertest.Start(t), w)
	clock := &standing{}
	s := &served{release: sign(t, fleet()), before: once(func() { clock.advance(time.Hour) })}
	config := log.config(producers.NewDirectory(s), w)
	config.Clock = clock.now
	if _, err := producers.NewPoller(config).Once(t.Context()); !errors.Is(err, producers.ErrOverrun) {
		t.Errorf("tick of an hour ago: %v, want ErrOverrun", err)
	}
	if last, err := log.LastSequence(t.Context()); err != nil || last != 1 {
		t.Errorf("log ends at %d (%v), want 1", last, err)
	}
}

// TestRunEndsWithItsLog deletes, or makes anew, the stream under a poller.
func TestRunEndsWithItsLog(t *testing.T) {
	w := writerKey(t, 1)
	for name, c := range map[string]struct {
		anew bool
		want error
	}{"deleted": {false, eventlog.ErrMissing}, "made anew": {true, eventlog.ErrAhead}} {
		t.Run(name, func(t *testing.T) {
			b := brokertest.Start(t)
			log := newLog(t, b, w)
			js, err := jetstream.New(log.nc)
			if err != nil {
				t.Fatal(err)
			}
			config, points := log.config(producers.NewDirectory(sign(t, fleet())), w), 0
			config.Alive = func() {
				if points++; points != 2 {
					return
				}
				if err := js.DeleteStream(t.Context(), log.Fleet().EventsStream()); err != nil {
					t.Error(err)
				}
				if c.anew {
					newLog(t, b, w)
				}
			}
			if err := producers.NewPoller(config).Run(t.Context()); !errors.Is(err, c.want) {
				t.Errorf("run: %v, want %v", err, c.want)
			}
		})
	}
}
