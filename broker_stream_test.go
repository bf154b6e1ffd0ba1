package fleetlog_test

import (
	"errors"
	"testing"

	"fleetlog/consumers/follower"
	"fleetlog/eventlog"
	"fleetlog/manifest"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/sirupsen/logrus"
)

const (
	eventsStream    = "nixfleet-prod-events"
	artifactsStream = "nixfleet-prod-artifacts"
)

// backup is what a stream held.
type backup struct {
	config   jetstream.StreamConfig
	messages []*nats.Msg
}

// save reads a stream as far as that sequence.
func (o *outage) save(name string, last uint64) backup {
	o.t.Helper()
	stream, err := o.admin().Stream(o.t.Context(), name)
	o.must(err)
	b := backup{config: stream.CachedInfo().Config}
	for seq := uint64(1); seq <= min(last, stream.CachedInfo().State.LastSeq); seq++ {
		m, err := stream.GetMsg(o.t.Context(), seq)
		o.must(err)
		header := nats.Header{}
		for key, values := range m.Header {
			if key[0] != 'N' { // what the server has added
				header[key] = values
			}
		}
		b.messages = append(b.messages, &nats.Msg{Subject: m.Subject, Header: header, Data: m.Data})
	}
	return b
}

// restore puts a stream in the place of whatever is there.
func (o *outage) restore(b backup) {
	o.t.Helper()
	js := o.admin()
	if err := js.DeleteStream(o.t.Context(), b.config.Name); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		o.t.Fatal(err)
	}
	_, err := js.CreateStream(o.t.Context(), b.config)
	o.must(err)
	for _, m := range b.messages {
		_, err := js.PublishMsg(o.t.Context(), m)
		o.must(err)
	}
}

func (o *outage) deleteStreams(names ...string) {
	o.t.Helper()
	for _, name := range names {
		o.must(o.admin().DeleteStream(o.t.Context(), name))
	}
}

// ends waits until the poller has ended by itself, for that reason.
func (r *running) ends(o *outage, want error, words ...string) {
	o.t.Helper()
	if err := r.wait(); !errors.Is(err, want) || !holdsAll(err.Error(), words) {
		o.t.Errorf("the poller ended with %v, want it to say %q", err, words)
	}
}

// TestStreamDeleted: the poller ends and says what is missing; the reducer serves
// what it has and goes on when the log is put back.
func TestStreamDeleted(t *testing.T) {
	for _, name := range []string{eventsStream, artifactsStream} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOutage(t, nil)
			poller, reducer := o.runPoller(), o.runReducer(o.at)
			o.reaches()
			before := o.served()
			o.deleteStreams(name)
			const whatToDo = "stream does not exist: make the log with fleetlog provision, or correct --fleet or --nats-domain"
			poller.ends(o, eventlog.ErrMissing, name, whatToDo)
			o.until("reducer not ready", func() bool { return o.reads.unready(name, whatToDo) })
			o.holds(before)
			o.must(reducer.stop())
		})
	}
}

// TestStreamMadeAnew: the poller ends and says so. The reducer serves what it has,
// and follows the new log only when it is told to; the floor holds. When the old
// log is put back instead, it goes on by itself.
func TestStreamMadeAnew(t *testing.T) {
	t.Parallel()
	o := newOutage(t, nil)
	poller, reducer := o.runPoller(), o.runReducer(o.at)
	o.reaches()
	o.grows(3)
	before, old := o.served(), []backup{o.save(eventsStream, 1<<60), o.save(artifactsStream, 1<<60)}
	o.betweenTicks(func() {
		o.deleteStreams(eventsStream, artifactsStream)
		o.provision()
	})
	poller.ends(o, eventlog.ErrAhead, "put back from an older copy, cut short, or made anew")
	hint := "if that is right, start once with --accept-lineage " + o.log.Lineage()
	o.until("reducer not ready", func() bool { return o.reads.unready("log is another one", hint) })
	if !o.reads.comesToSay(logrus.ErrorLevel, "following stopped; the last set stays served", hint) {
		t.Errorf("the reducer says:\n%s", o.reads.all())
	}
	older := o.fleet
	older.Commit, older.SignedAt = "0000", older.SignedAt.Add(-1e9)
	o.publish(older)
	poller = o.runPoller()
	o.grows(2)
	o.holds(before)
	o.must(poller.stop())

	// The old log comes back.
	anew := []backup{o.save(eventsStream, 1<<60), o.save(artifactsStream, 1<<60)}
	for _, b := range old {
		o.restore(b)
	}
	o.until("ready again", o.reads.isReady)
	o.holds(before)
	for _, b := range anew {
		o.restore(b)
	}
	o.until("not ready again", func() bool { return o.reads.unready(hint) })
	o.must(reducer.stop())

	// Now it is right.
	reducer = o.runReducer(o.at, func(c *follower.Config) { c.AcceptLineage = o.log.Lineage() })
	o.until("ready with the new log", o.reads.isReady)
	o.holds(before) // what is older than the floor stays out
	poller = o.runPoller()
	o.renew("bbbb")
	o.reaches()
	o.must(poller.stop())
	o.until("all folded", func() bool { _, p := o.reducer.Current(); return p.Sequence == o.head().Seq })
	o.must(reducer.stop())
	o.checked(0)
}

// TestStreamCutShort puts back an older copy, or takes a tail away, in the middle
// of a tick too: the poller ends, and the next one goes on from what is there; the
// reducer sets its checkpoint aside, keeps its set and floor, and follows.
func TestStreamCutShort(t *testing.T) {
	for name, less := range map[string]uint64{"by some ticks": 2, "in the middle of a tick": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOutage(t, nil)
			reducer := o.runReducer(o.at)
			first := o.tick()
			o.tick()
			o.renew("bbbb")
			last := o.tick()
			o.reaches()
			held := o.digest()
			copied := o.save(eventsStream, last.Head.Seq-1)
			if less > 0 {
				copied = o.save(eventsStream, first.Head.Seq)
			}
			poller := o.runPoller()
			o.grows(2)
			o.betweenTicks(func() { o.restore(copied) })
			poller.ends(o, eventlog.ErrAhead, "stream does not hold the position read before", "cut short")
			o.until("log folded anew", func() bool {
				_, p := o.reducer.Current()
				return o.reads.said(logrus.WarnLevel, "folding the log anew: it does not hold the event of the checkpoint any more") &&
					o.reads.isReady() && p.Sequence < last.Head.Seq
			})
			if !o.reads.comesToSay(logrus.ErrorLevel, "own set is not the one that the writer holds") {
				t.Errorf("the reducer says:\n%s", o.reads.all())
			}
			if o.digest() != held {
				t.Error("the reducer serves another set than before")
			}
			noise := uint64(len(copied.messages)) - first.Head.Seq - min(1, uint64(len(copied.messages))-first.Head.Seq)
			poller = o.runPoller()
			o.renew("cccc")
			o.reaches()
			o.must(poller.stop())
			o.until("all folded", func() bool { _, p := o.reducer.Current(); return p.Sequence == o.head().Seq })
			o.must(reducer.stop())
			o.checked(noise)
			if noise > 0 && !o.poll.comesToSay(logrus.WarnLevel, "foreign messages in the log", "messages:") {
				t.Errorf("the poller says:\n%s", o.poll.all())
			}
		})
	}
}

// holds demands what the reducer serves.
func (o *outage) holds(want string) {
	o.t.Helper()
	current, _ := o.reducer.Current()
	if got := describeSet(current.Set); got != want {
		o.t.Errorf("the reducer serves %s, want %s", got, want)
	}
}

// digest is the identity of what the reducer serves.
func (o *outage) digest() manifest.Digest {
	current, _ := o.reducer.Current()
	if current.Set == nil {
		return manifest.Digest{}
	}
	return current.Set.Digest()
}
