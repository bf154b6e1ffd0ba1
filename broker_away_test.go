package fleetlog_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"fleetlog/events"
	"fleetlog/manifest"
	"fleetlog/producers"

	"github.com/sirupsen/logrus"
)

const notConnected = "broker unavailable: not connected to it"

// TestBrokerAwayAtStart starts poller and reducer before the broker: they say why
// they are not ready, and go on by themselves when it comes.
func TestBrokerAwayAtStart(t *testing.T) {
	t.Parallel()
	o := newOutage(t, nil)
	o.down()
	o.pollVia(o.at)
	poller, reducer := o.runPoller(), o.runReducer(o.at)
	o.until("both wait", func() bool { return o.poll.unready(notConnected) && o.reads.unready(notConnected) })
	for who, t := range map[string]*told{"poller": o.poll, "reducer": o.reads} {
		if !t.said(logrus.WarnLevel, "no broker answers yet, trying on", o.at) {
			o.t.Errorf("the %s says:\n%s", who, t.all())
		}
	}
	o.holds("none")
	o.up()
	o.reaches()
	o.until("poller ready", o.poll.isReady)
	o.must(poller.stop())
	o.until("all folded", func() bool { _, p := o.reducer.Current(); return p.Sequence == o.head().Seq })
	o.must(reducer.stop())
	o.checked(0)
}

// slowly moves a clock by almost the interval at each tick, so that an hour of
// ticks takes no time.
type slowly struct {
	producers.Source
	ticks *atomic.Int64
	clock *atomic.Int64
}

const tickTakes = 30*time.Second - 100*time.Microsecond

func (s slowly) Fleet(ctx context.Context, known manifest.Received) (manifest.Received, error) {
	s.ticks.Add(1)
	s.clock.Add(int64(tickTakes))
	return s.Source.Fleet(ctx, known)
}

// TestBrokerAwayForAnHour: the poller polls on, and the first tick that is stored
// says how many were not, with the newest findings. The reducer serves what it
// has, is not ready, and goes on by itself.
func TestBrokerAwayForAnHour(t *testing.T) {
	t.Parallel()
	o := newOutage(t, nil)
	var ticks, clock atomic.Int64
	began := time.Now()
	o.config.Clock = func() time.Time { return began.Add(time.Duration(clock.Load())) }
	o.config.Interval, o.config.TickTimeout = 30*time.Second, time.Minute
	o.config.Poll.Source = slowly{o.source(), &ticks, &clock}
	reducer := o.runReducer(o.at)
	poller := o.runPoller()
	o.reaches()
	before := o.served()

	o.betweenTicks(func() {
		o.down()
		o.until("line lost", func() bool { return o.poll.said(logrus.WarnLevel, "connection to the broker lost") })
	})
	away := ticks.Load()
	o.until("an hour of ticks", func() bool { return ticks.Load() >= away+120 })
	if !o.poll.unready(notConnected) || !o.poll.comesToSay(logrus.WarnLevel, "tick not recorded: ", "broker unavailable") {
		t.Errorf("the poller is not ready because of %v, and says:\n%s", o.poll.reason(), o.poll.all())
	}
	o.until("reducer not ready", func() bool { return o.reads.unready(notConnected) })
	o.holds(before)
	f := o.fleet
	f.Commit, f.SignedAt = "bbbb", began.Add(time.Duration(clock.Load())).Truncate(time.Millisecond)
	o.publish(f)
	o.ahead.Store(clock.Load())
	o.up()
	o.reaches()
	o.must(poller.stop())
	o.must(reducer.stop())

	var first *events.Tick
	for d, err := range o.log.Follow(t.Context(), o.log.Opening()) {
		o.must(err)
		if first = d.Tick; first != nil && first.Completed.Missed != nil || d.CaughtUp {
			break
		}
	}
	missed := first.Completed.Missed
	if missed == nil || missed.Reason != events.BrokerUnavailable || missed.Ticks < 120 || missed.Ticks > uint64(ticks.Load()-away) {
		t.Errorf("tick %d says that it missed %+v of %d polls", first.Head.Number, missed, ticks.Load()-away)
	}
	if first.Completed.Stated != events.Changed || len(said(first)) != 0 || *first.Findings[0].(*events.FleetFetched).CICommit != "bbbb" {
		t.Errorf("tick %d is %s: %v", first.Head.Number, first.Completed.Stated, said(first))
	}
	o.checked(0)
}
