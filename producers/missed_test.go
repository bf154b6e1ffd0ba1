package producers_test

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
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

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

// standing is a clock that stands until it is moved.
type standing struct{ ahead atomic.Int64 }

func (s *standing) now() time.Time { return signedAt.Add(time.Duration(s.ahead.Load())) }

func (s *standing) advance(d time.Duration) { s.ahead.Add(int64(d)) }

// once is a hook that acts at the first read.
func once(act func()) func(string, int) {
	done := false
	return func(string, int) {
		if !done {
			done = true
			act()
		}
	}
}

// TestWhatIsMissed demands what the first tick that is recorded says of those
// that were not.
func TestWhatIsMissed(t *testing.T) {
	const passed = 3 // points of the grid
	w := writerKey(t, 1)
	for name, c := range map[string]struct {
		keepOut func(t *testing.T, c *producers.Config, clock *standing, s *served)
		batch   int    // messages that the server takes at once; 0: any number
		tick    uint64 // that is looked at
		want    *events.Missed
	}{
		"nothing": {func(*testing.T, *producers.Config, *standing, *served) {}, 0, 2, nil},
		"points that a slow tick has passed": {func(_ *testing.T, c *producers.Config, clock *standing, s *served) {
			s.before = once(func() { clock.advance(c.Interval*passed + c.Interval/2) })
		}, 0, 2, &events.Missed{Ticks: passed, Reason: events.Overrun}},
		"points that a tick has passed which failed": {func(t *testing.T, c *producers.Config, clock *standing, s *served) {
			f := fleet()
			f.Idle = 20
			s.serveFirst(sign(t, f), 1)
			then := s.before
			s.before = func(name string, nth int) {
				then(name, nth)
				if name == "fleet.resolved.json" && nth == 0 {
					clock.advance(c.Interval*passed + c.Interval/2)
				}
			}
		}, 10, 1, &events.Missed{Ticks: 1 + passed, Reason: events.BatchTooLarge}},
		"an event that no message can hold": {func(t *testing.T, _ *producers.Config, _ *standing, s *served) {
			f := fleet()
			f.Commit = strings.Repeat("a", 1<<16)
			s.serveFirst(sign(t, f), 2)
		}, 0, 1, &events.Missed{Ticks: 2, Reason: events.BatchTooLarge}},
		"more messages than the server takes": {func(t *testing.T, _ *producers.Config, _ *standing, s *served) {
			f := fleet()
			f.Idle = 20
			s.serveFirst(sign(t, f), 2)
		}, 10, 1, &events.Missed{Ticks: 2, Reason: events.BatchTooLarge}},
	} {
		t.Run(name, func(t *testing.T) {
			log := newLog(t, brokertest.Start(t, func(b *broker.Config) { b.MaxBatch = c.batch }), w)
			clock, s := &standing{}, &served{release: sign(t, fleet())}
			config := log.config(producers.NewDirectory(s), w)
			config.Clock, config.Interval = clock.now, 20*time.Millisecond
			c.keepOut(t, &config, clock, s)
			ticks := log.run(t, config, c.tick)
			if diff := cmp.Diff(c.want, ticks[c.tick-1].Completed.Missed); diff != "" {
				t.Errorf("missed (-want +got):\n%s", diff)
			} else if c.want != nil {
				provoked.note(c.want.Reason)
			}
		})
	}
}

// serveFirst serves another release for so many ticks.
func (s *served) serveFirst(other fs.FS, ticks int) {
	then := s.release
	s.release = other
	s.before = func(name string, nth int) {
		if name == "fleet.resolved.json" && nth == ticks {
			s.release = then
		}
	}
}

// TestTickStoredLateIsNotMissed loses the broker's answer to a tick until its
// deadline: it is in the log all the same, and the next one says so.
func TestTickStoredLateIsNotMissed(t *testing.T) {
	w, b := writerKey(t, 1), brokertest.Start(t)
	log := newLog(t, b, w)
	proxy := brokertest.NewProxy(t, b)
	config := log.config(producers.NewDirectory(sign(t, fleet())), w)
	config.Clock, config.Interval, config.TickTimeout = new(standing).now, 20*time.Millisecond, 2*time.Second
	nc := proxy.Dial(t)
	config.Open = func(ctx context.Context) (*eventlog.Log, error) {
		return eventlog.Open(ctx, nc, eventlog.Place{Fleet: log.Fleet()})
	}
	met := proxy.Cut("TickCompleted", true, nil)
	ticks := log.run(t, config, 2)
	<-met
	if m := ticks[1].Completed.Missed; m != nil {
		t.Errorf("second tick: missed %+v, want none: the first one is recorded", m)
	}
	if ticks[1].Completed.Stated != events.Unchanged {
		t.Errorf("second tick is %s: the poller has not remembered the first", ticks[1].Completed.Stated)
	}
}

// TestContinuedLogWaitsForFleet: the first tick of a log that continues another
// one must be verified, and ticks before it were not to be recorded.
func TestContinuedLogWaitsForFleet(t *testing.T) {
	w := writerKey(t, 1)
	floor := &events.Floor{SignedAt: manifest.InstantOf(signedAt.Add(-time.Hour)), FleetHash: manifest.Sum(nil)}
	log := openLog(t, brokertest.Start(t), events.Opening{
		Writer: w, Writers: []events.PublicKey{w.Public()},
		Continues: &events.Continues{Lineage: uuid.NewString(), Number: 9, Digest: manifest.Sum(nil), Floor: floor},
	})
	s := &served{release: sign(t, fleet())}
	s.serveFirst(fleetsim.Release{}, 3)
	config := log.config(producers.NewDirectory(s), w)
	config.Clock, config.Interval = new(standing).now, 20*time.Millisecond
	var reasons []string
	config.Ready = func(err error) { reasons = append(reasons, fmt.Sprint(err)) }
	first := log.run(t, config, 1)[0]
	if first.Completed.Outcome != events.Verified || first.Completed.Missed != nil {
		t.Errorf("first tick is %s, missed %+v; want verified, and none", first.Completed.Outcome, first.Completed.Missed)
	}
	if len(reasons) < 3 || !strings.Contains(reasons[0], events.ErrContinuedUnverified.Error()) {
		t.Errorf("readiness %q, want three times why not", reasons)
	}
}

// TestPollerShowsThatItIsAlive, also while it waits for the next point of the
// grid.
func TestPollerShowsThatItIsAlive(t *testing.T) {
	w := writerKey(t, 1)
	log := newLog(t, brokertest.Start(t), w)
	config := log.config(producers.NewDirectory(sign(t, fleet())), w)
	config.Interval, config.AliveEvery = time.Hour, time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	signs := 0
	config.Alive = func() {
		if signs++; signs == 5 {
			cancel()
		}
	}
	if err := producers.NewPoller(config).Run(ctx); err != nil {
		t.Error(err)
	}
	if signs < 5 {
		t.Errorf("%d signs of life", signs)
	}
}

// TestStuckPollerIsNotAlive: while a tick does not end, not even when its time is
// over, there is no sign of life.
func TestStuckPollerIsNotAlive(t *testing.T) {
	inBubble(t, writerKeys(t, 1), func(b *bubble) {
		release := make(chan struct{})
		var stuck atomic.Bool
		b.source = late{b.source, func() time.Duration {
			if stuck.Load() {
				<-release
			}
			return 0
		}}
		var last atomic.Int64 // nanoseconds since 1970
		k := b.start(writerKey(t, 1), func(c *producers.Config) {
			c.AliveEvery = time.Second
			c.Alive = func() { last.Store(time.Now().UnixNano()) }
		})
		pass(interval - time.Second/2)
		if still := time.Since(time.Unix(0, last.Load())); still > time.Second {
			t.Errorf("no sign of life for %s although it waits", still)
		}
		stuck.Store(true)
		pass(10 * interval)
		if still := time.Since(time.Unix(0, last.Load())); still < 9*interval {
			t.Errorf("the last sign of life is %s old although nothing moves", still)
		}
		stuck.Store(false)
		close(release)
		pass(time.Second)
		if still := time.Since(time.Unix(0, last.Load())); still > time.Second {
			t.Errorf("no sign of life for %s although it goes on", still)
		}
		k.kill()
	})
}
