package fleetlog_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"fleetlog/consumers/check"
	"fleetlog/consumers/follower"
	"fleetlog/events"

	"github.com/sirupsen/logrus"
)

// damage flips one bit of the stored message that holds the text, while the broker
// is down.
func (o *outage) damage(stream, text string) {
	o.t.Helper()
	files, err := filepath.Glob(filepath.Join(o.store, "jetstream", "*", "streams", stream, "msgs", "*.blk"))
	o.must(err)
	o.down()
	for _, name := range files {
		data, err := os.ReadFile(name)
		o.must(err)
		if at := bytes.Index(data, []byte(text)); at >= 0 {
			data[at] ^= 1
			o.must(os.WriteFile(name, data, 0o600))
			o.up()
			return
		}
	}
	o.t.Fatalf("no block in %q holds %s", files, text)
}

// TestEventDamaged: a stored event is no longer readable. A reducer that needs it
// stops before it and names it, and goes on behind it when it is told to; the
// poller goes on.
func TestEventDamaged(t *testing.T) {
	t.Parallel()
	o := newOutage(t, nil)
	reducer := o.runReducer(o.at)
	first := o.tick()
	o.reaches()
	before := o.served()
	o.must(reducer.stop())
	o.renew("bbbb")
	second := o.tick()
	lost := second.Head.Seq - 1
	o.damage(eventsStream, fmt.Sprintf(`"tick":%q,"number":2,"index":%d,`, second.Head.Tick, second.Completed.Index-1))

	reducer = o.runReducer(o.at)
	says := fmt.Sprintf("stream %s has lost sequences %d to %d; to go on without them, start once with --accept-gap %d", eventsStream, lost, lost, lost)
	o.until("reducer not ready", func() bool { return o.reads.unready(says) })
	if !o.reads.comesToSay(logrus.ErrorLevel, "following stopped; the last set stays served", says) {
		t.Errorf("the reducer says:\n%s", o.reads.all())
	}
	o.renew("cccc")
	o.until("poller goes on", func() bool { _, err := o.once(); return err == nil })
	o.holds(before)
	if _, p := o.reducer.Current(); p.Sequence != first.Head.Seq || !o.reads.unready(says) {
		t.Errorf("the reducer is at %+v, not ready because of %v", p, o.reads.reason())
	}
	o.must(reducer.stop())
	o.checked(uint64(second.Completed.Index-1), check.CodeGap, check.CodeIncomplete) // the rest of the tick is no tick

	reducer = o.runReducer(o.at, func(c *follower.Config) { c.AcceptGap = lost })
	o.reaches()
	if !o.reads.comesToSay(logrus.WarnLevel, "going on behind lost messages, as accepted", fmt.Sprintf("has lost sequences %d to %d", lost, lost)) {
		t.Errorf("the reducer says:\n%s", o.reads.all())
	}
	o.must(reducer.stop())
}

// TestArtifactDamaged: a stored artifact is no longer readable. A reducer that
// needs it holds the tick and names it; the next poller stores it anew.
func TestArtifactDamaged(t *testing.T) {
	t.Parallel()
	o := newOutage(t, nil)
	reducer := o.runReducer(o.at)
	o.tick()
	o.reaches()
	before := o.served()
	o.must(reducer.stop())
	o.renew("bbbb")
	second := o.tick()
	lost := ^uint64(0) // the first one of the release
	for _, f := range second.Findings {
		if a := events.ArtifactOf(f); a != nil {
			lost = min(lost, a.Parts[0])
		}
	}
	o.damage(artifactsStream, `"ciCommit":"bbbb"`)

	reducer = o.runReducer(o.at)
	says := []string{
		"tick 2 waits: artifact ", fmt.Sprintf("read sequence %d of %s: no such message", lost, artifactsStream),
		fmt.Sprintf("if that is lost, start once with --accept-gap %d", second.Head.Seq),
	}
	o.until("reducer not ready", func() bool {
		o.ahead.Add(int64(time.Minute))
		return o.reads.unready(says...)
	})
	if !o.reads.comesToSay(logrus.WarnLevel, append(says, "not ready")...) {
		t.Errorf("the reducer says:\n%s", o.reads.all())
	}
	o.holds(before)
	o.poller = nil // a new one reads the set that the log names
	o.until("stored anew", func() bool {
		tick, err := o.once()
		return err == nil && tick.Completed.Stated == events.Restated
	})
	if !o.poll.comesToSay(logrus.ErrorLevel, "an artifact of the last set is lost: storing all of them anew",
		fmt.Sprintf("read sequence %d from the leader of %s: no such message", lost, artifactsStream)) {
		t.Errorf("the poller says:\n%s", o.poll.all())
	}
	o.holds(before)
	o.must(reducer.stop())
	o.checked(0, check.CodeArtifact)

	reducer = o.runReducer(o.at, func(c *follower.Config) { c.AcceptGap = second.Head.Seq })
	o.reaches()
	if !o.reads.comesToSay(logrus.WarnLevel, "tick is passed over, as accepted", "tick:2") {
		t.Errorf("the reducer says:\n%s", o.reads.all())
	}
	o.must(reducer.stop())
}
