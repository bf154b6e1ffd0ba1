package producers_test

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/broker/brokertest"
	"fleetlog/internal/fleetsim"
	"fleetlog/manifest"
	"fleetlog/producers"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"
)

// standing is a clock that stands until it is moved.
type standing struct{ ahead atomic.Int64 }

func (s *standing) now() time.Time { return signedAt.Add(time.Duration(s.ahead.Load())) }

func (s *standing) advance(d time.Duration) { s.ahead.Add(int64(d)) }

// TestWhatIsMissed keeps ticks out of the log in every way, and demands what the
// first one that is recorded says of them.
func TestWhatIsMissed(t *testing.T) {
	const passed = 3 // points of the grid
	for name, c := range map[string]struct {
		keep func(t *testing.T, c *producers.Config, clock *standing, s *served) // out of the log what comes first
		at   int                                                                 // the tick that is looked at
		want *events.Missed
	}{
		"nothing": {func(*testing.T, *producers.Config, *standing, *served) {}, 0, nil},
		"points that a slow tick has passed": {func(_ *testing.T, c *producers.Config, clock *standing, s *served) {
			s.before = once(func() { clock.advance(c.Interval*passed + c.Interval/2) })
		}, 1, &events.Missed{Ticks: passed, Reason: events.Overrun}},
		"a tick that the machine slept through": {func(_ *testing.T, c *producers.Config, clock *standing, s *served) {
			s.before = once(func() { clock.advance(c.TickTimeout + 1); clock.advance(-c.TickTimeout % c.Interval) })
			c.TickTimeout = c.Interval / 2
		}, 0, &events.Missed{Ticks: 1, Reason: events.Overrun}},
		"an event that no message can hold": {func(t *testing.T, _ *producers.Config, _ *standing, s *served) {
			good, f := s.release, fleet()
			f.Commit = strings.Repeat("a", 1<<16)
			s.release = sign(t, f)
			s.before = func(name string, nth int) {
				if name == "fleet.resolved.json" && nth == 2 {
					s.release = good
				}
			}
		}, 0, &events.Missed{Ticks: 2, Reason: events.BatchTooLarge}},
		"a clock that was wrong": {func(_ *testing.T, c *producers.Config, _ *standing, _ *served) {
			var asked atomic.Int64
			right := c.Clock
			c.MaxClockSkew = 100 * 365 * 24 * time.Hour
			c.Clock = func() time.Time {
				if asked.Add(1) < 40 {
					return right().AddDate(-200, 0, 0)
				}
				return right()
			}
		}, 0, nil}, // see below
	} {
		if name == "a clock that was wrong" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			w := writerKey(t, 1)
			log := newLog(t, brokertest.Start(t), w)
			clock, s := &standing{}, &served{release: sign(t, fleet())}
			config := log.config(producers.NewDirectory(s), w)
			config.Clock, config.Interval = clock.now, 20*time.Millisecond
			c.keep(t, &config, clock, s)
			ticks := log.run(t, config, uint64(c.at+1))
			if diff := cmp.Diff(c.want, ticks[c.at].Completed.Missed); diff != "" {
				t.Errorf("missed (-want +got):\n%s", diff)
			}
		})
	}
}

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

var _ = context.Background
var _ = errors.New
var _ fs.FS
var _ eventlog.Point
var _ fleetsim.Release
var _ manifest.Digest
var _ uuid.UUID
var _ jetstream.JetStream
