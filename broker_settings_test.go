package fleetlog_test

import (
	"errors"
	"testing"
	"time"

	"fleetlog/eventlog"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/sirupsen/logrus"
)

// TestSettingsWeakened lets an administrator change one setting while poller and
// reducer run: the poller ends and names the difference; the reducer names it,
// serves what it has, and goes on by itself once it is set right.
func TestSettingsWeakened(t *testing.T) {
	for name, c := range map[string]struct {
		stream string
		weaken func(*jetstream.StreamConfig)
		says   string
	}{
		"age":     {eventsStream, func(c *jetstream.StreamConfig) { c.MaxAge = 24 * time.Hour }, "max age is 24h0m0s, want 0s"},
		"count":   {eventsStream, func(c *jetstream.StreamConfig) { c.MaxMsgs = 1000 }, "max messages is 1000, want -1"},
		"discard": {eventsStream, func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardOld }, "discard is DiscardOld, want DiscardNew"},
		"subjects": {eventsStream, func(c *jetstream.StreamConfig) { c.Subjects = append(c.Subjects, "other.>") },
			"subjects is [nixfleet.prod.event.> other.>], want [nixfleet.prod.event.>]"},
		"size":                 {eventsStream, func(c *jetstream.StreamConfig) { c.MaxMsgSize = 1000 }, "max message size is 1000, want "},
		"no limit":             {eventsStream, func(c *jetstream.StreamConfig) { c.MaxBytes = -1 }, "max bytes is unlimited, want an explicit limit"},
		"batches":              {eventsStream, func(c *jetstream.StreamConfig) { c.AllowAtomicPublish = false }, "atomic publish is false, want true"},
		"age of artifacts":     {artifactsStream, func(c *jetstream.StreamConfig) { c.MaxAge = 24 * time.Hour }, "max age is 24h0m0s, want 0s"},
		"discard of artifacts": {artifactsStream, func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardOld }, "discard is DiscardOld, want DiscardNew"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOutage(t, nil)
			poller, reducer := o.runPoller(), o.runReducer(o.at)
			o.reaches()
			before := o.served()
			var right jetstream.StreamConfig
			o.betweenTicks(func() {
				o.setStream(c.stream, func(config *jetstream.StreamConfig) {
					right = *config
					c.weaken(config)
				})
			})
			says := []string{"stream " + c.stream + " would lose history: ", c.says, "; correct its settings"}
			var drift *eventlog.DriftError
			if err := poller.wait(); !errors.As(err, &drift) || !holdsAll(err.Error(), says) {
				t.Errorf("the poller ended with %v, want %q", err, says)
			}
			o.until("reducer not ready", func() bool { return o.reads.unready(says...) })
			if !o.reads.comesToSay(logrus.WarnLevel, append(says, "not ready")...) {
				t.Errorf("the reducer says:\n%s", o.reads.all())
			}
			o.holds(before)
			o.setStream(c.stream, func(config *jetstream.StreamConfig) { *config = right })
			poller = o.runPoller()
			o.renew("bbbb")
			o.reaches()
			o.must(poller.stop())
			o.until("all folded", func() bool { _, p := o.reducer.Current(); return p.Sequence == o.head().Seq })
			o.must(reducer.stop())
			o.checked(0)
		})
	}
}

// TestBeginningEaten: a limit has already taken the oldest events. Nobody can read
// the log any more, and everybody says so; the reducer serves what it has.
func TestBeginningEaten(t *testing.T) {
	t.Parallel()
	o := newOutage(t, nil)
	poller, reducer := o.runPoller(), o.runReducer(o.at)
	o.reaches()
	o.grows(3)
	before := o.served()
	o.betweenTicks(func() {
		o.setStream(eventsStream, func(c *jetstream.StreamConfig) { c.MaxMsgs, c.Discard = 3, jetstream.DiscardOld })
	})
	var drift *eventlog.DriftError
	if err := poller.wait(); !errors.As(err, &drift) {
		t.Errorf("the poller ended with %v, want the difference", err)
	}
	o.until("reducer not ready", func() bool { return o.reads.unready("would lose history", "max messages is 3, want -1") })
	o.setStream(eventsStream, func(c *jetstream.StreamConfig) { c.MaxMsgs, c.Discard = -1, jetstream.DiscardNew })
	var gap *eventlog.GapError
	if err := o.runPoller().wait(); !errors.As(err, &gap) || !holdsAll(err.Error(), []string{"read the log's opening: stream nixfleet-prod-events has lost sequences 1 to "}) {
		t.Errorf("the next poller ended with %v, want the gap", err)
	}
	o.until("reducer not ready", func() bool {
		return o.reads.unready("has lost sequences 1 to ", "the log's opening among them; put it back from a backup, or make a new log and start once with its --accept-lineage")
	})
	o.holds(before)
	o.must(reducer.stop())
}
