package fleetlog_test

import (
	"fmt"
	"testing"

	"github.com/sirupsen/logrus"
)

// TestJunk publishes into both streams while poller and reducer run: each says
// where and how much, nobody applies it, and ticks go on.
func TestJunk(t *testing.T) {
	t.Parallel()
	o := newOutage(t, nil)
	poller, reducer := o.runPoller(), o.runReducer(o.at)
	o.reaches()
	o.grows(1)
	before := o.digest()
	js, ctx := o.admin(), t.Context()
	var first, firstArtifact uint64
	leaves := []string{"TickCompleted", "FleetFetched", "RolloutVerified.channel-000", "LogOpened", "Unheard"}
	o.betweenTicks(func() {
		for i, leaf := range leaves {
			ack, err := js.Publish(ctx, "nixfleet.prod.event."+leaf, []byte(`{"junk":`))
			o.must(err)
			part, err := js.Publish(ctx, "nixfleet-artifact.prod.fleet", []byte("junk"))
			o.must(err)
			if i == 0 {
				first, firstArtifact = ack.Sequence, part.Sequence
			}
		}
	})
	o.grows(3)
	for _, says := range [][]string{
		{"foreign messages in the log, part of no tick: someone else publishes into it", fmt.Sprint("messages:", len(leaves)), fmt.Sprint("seq:", first)},
		{"foreign messages in the artifacts stream: someone else publishes into it", fmt.Sprint("messages:", len(leaves)), fmt.Sprint("seq:", firstArtifact)},
	} {
		if !o.poll.comesToSay(logrus.WarnLevel, says...) {
			t.Errorf("the poller says:\n%s\nwant %q", o.poll.all(), says)
		}
	}
	o.until("reducer has folded on", func() bool { _, p := o.reducer.Current(); return p.Sequence > first+uint64(len(leaves)) })
	if !o.reads.comesToSay(logrus.WarnLevel, "noise in the log, not applied", fmt.Sprint("seq:", first)) ||
		!o.reads.comesToSay(logrus.WarnLevel, "noise in the log, not applied", fmt.Sprint("total:", len(leaves))) {
		t.Errorf("the reducer says:\n%s", o.reads.all())
	}
	if o.digest() != before || !o.reads.isReady() || !o.poll.isReady() {
		t.Errorf("the set is %s, was %s; reducer %v, poller %v", o.digest(), before, o.reads.reason(), o.poll.reason())
	}
	o.renew("bbbb")
	o.reaches()
	o.must(poller.stop())
	o.until("all folded", func() bool { _, p := o.reducer.Current(); return p.Sequence == o.head().Seq })
	o.must(reducer.stop())
	o.checked(uint64(len(leaves)))
}
