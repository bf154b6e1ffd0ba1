package eventlog_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"testing"
	"time"

	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/broker"
	"fleetlog/internal/broker/brokertest"
	"fleetlog/manifest"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// followed is a log that is followed while something happens to it.
type followed struct {
	*eventlog.Log
	nc     *nats.Conn
	js     jetstream.JetStream
	key    *events.Writer
	writer *eventlog.Writer
}

func newFollowed(t *testing.T) *followed {
	t.Helper()
	f := &followed{nc: dial(t, brokertest.Start(t)), key: writerKey(t, 1)}
	var err error
	if f.js, err = jetstream.New(f.nc); err != nil {
		t.Fatal(err)
	}
	f.Log = provision(t, f.nc, f.key)
	f.writer = newWriter(t, f.Log)
	return f
}

func (f *followed) tick(t *testing.T, n uint64) *events.Tick {
	t.Helper()
	tick, err := appendTick(t.Context(), f.writer, f.key, draft(n, uint32(n), 2))
	if err != nil {
		t.Fatal(err)
	}
	return tick
}

// follow calls with every delivery until that returns false or following ends,
// which gives the error.
func (f *followed) follow(t *testing.T, take func(eventlog.Delivery) bool) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for d, err := range f.FollowChecking(ctx, f.Opening(), 20*time.Millisecond) {
		if err != nil || !take(d) {
			return err
		}
	}
	return errors.New("following ended without an error")
}

// TestCaughtUpBehindWhatLooksLikeATick: the last message looks like the first of
// a tick whose others are still on their way.
func TestCaughtUpBehindWhatLooksLikeATick(t *testing.T) {
	f := newFollowed(t)
	tick := f.tick(t, 1)
	finding, err := f.Message(t.Context(), tick.Completed.Statement.FirstSeq)
	if err != nil {
		t.Fatal(err)
	}
	copied := &nats.Msg{Subject: finding.Subject, Header: nats.Header{}, Data: finding.Body}
	for name := range finding.Header {
		if name[0] != 'N' { // what the server has added
			copied.Header[name] = finding.Header[name]
		}
	}
	if _, err := f.js.PublishMsg(t.Context(), copied); err != nil {
		t.Fatal(err)
	}
	if err := f.follow(t, func(d eventlog.Delivery) bool { return !d.CaughtUp }); err != nil {
		t.Error(err)
	}
	// The next tick is not hidden by it.
	f.tick(t, 2)
	if ticks, noise := collect(t, f.Log); len(ticks) != 2 || noise != 1 {
		t.Errorf("%d ticks and %d foreign messages, want 2 and 1", len(ticks), noise)
	}
}

// TestFollowNoticesReplacedStream makes the stream anew, with a longer history,
// while it is followed.
func TestFollowNoticesReplacedStream(t *testing.T) {
	f := newFollowed(t)
	f.tick(t, 1)
	err := f.follow(t, func(d eventlog.Delivery) bool {
		if !d.CaughtUp {
			return true
		}
		if err := f.js.DeleteStream(t.Context(), fleetName(t).EventsStream()); err != nil {
			t.Fatal(err)
		}
		f.writer = newWriter(t, provision(t, f.nc, f.key))
		for n := range uint64(9) {
			f.tick(t, n+1)
		}
		return true
	})
	if !errors.Is(err, eventlog.ErrAhead) {
		t.Errorf("following: %v, want ErrAhead", err)
	}
}

// TestFollowNoticesLostBeginning lets an administrator's new limit eat the oldest
// events.
func TestFollowNoticesLostBeginning(t *testing.T) {
	f := newFollowed(t)
	for n := range uint64(5) {
		f.tick(t, n+1)
	}
	err := f.follow(t, func(d eventlog.Delivery) bool {
		if d.CaughtUp {
			stream, err := f.js.Stream(t.Context(), fleetName(t).EventsStream())
			if err != nil {
				t.Fatal(err)
			}
			config := stream.CachedInfo().Config
			config.MaxMsgs = 5
			config.Discard = jetstream.DiscardOld
			if _, err := f.js.UpdateStream(t.Context(), config); err != nil {
				t.Fatal(err)
			}
		}
		return true
	})
	var gap *eventlog.GapError
	if !errors.As(err, &gap) || gap.First != 1 {
		t.Errorf("following: %v, want the gap from sequence 1 on", err)
	}
}

// TestFollowNoticesSilence: a line that is up and brings nothing must not look
// like a log in which nothing happens.
func TestFollowNoticesSilence(t *testing.T) {
	b := brokertest.Start(t, func(c *broker.Config) { c.NoSync = true })
	proxy, key := brokertest.NewProxy(t, b), writerKey(t, 1)
	provision(t, dial(t, b), key)
	log, err := eventlog.Open(t.Context(), proxy.Dial(t), eventlog.Place{Fleet: fleetName(t)})
	if err != nil {
		t.Fatal(err)
	}
	log.Hasten(50 * time.Millisecond)
	f := &followed{Log: log}
	var resume func()
	unanswered := 0
	err = f.follow(t, func(d eventlog.Delivery) bool {
		switch {
		case resume == nil:
			resume = proxy.Stall()
		case d.Checked:
			unanswered++
		}
		return true
	})
	resume()
	if !errors.Is(err, eventlog.ErrUnavailable) || unanswered != 1 {
		t.Errorf("following: %v behind %d unanswered checks, want ErrUnavailable behind one", err, unanswered)
	}
}

// TestFollowNoticesStall: the broker answers, and delivers nothing of what it has.
func TestFollowNoticesStall(t *testing.T) {
	f := newFollowed(t)
	f.tick(t, 1)
	stalled := false
	err := f.follow(t, func(d eventlog.Delivery) bool {
		if !d.CaughtUp || stalled {
			return true
		}
		stalled = true
		stream, err := f.js.Stream(t.Context(), fleetName(t).EventsStream())
		if err != nil {
			t.Fatal(err)
		}
		for name := range stream.ConsumerNames(t.Context()).Name() {
			if _, err := stream.PauseConsumer(t.Context(), name, time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		f.tick(t, 2)
		return true
	})
	const says = "broker unavailable: sequences 6 to 9 of stream nixfleet-prod-events are stored and do not arrive: check that this user may make consumers there"
	if !errors.Is(err, eventlog.ErrUnavailable) || err.Error() != says {
		t.Errorf("following: %v, want %s", err, says)
	}
}

// TestFollowNoticesDrift, in either stream.
func TestFollowNoticesDrift(t *testing.T) {
	for _, name := range []string{fleetName(t).EventsStream(), fleetName(t).ArtifactsStream()} {
		f := newFollowed(t)
		f.tick(t, 1)
		err := f.follow(t, func(d eventlog.Delivery) bool {
			if d.CaughtUp {
				stream, err := f.js.Stream(t.Context(), name)
				if err != nil {
					t.Fatal(err)
				}
				config := stream.CachedInfo().Config
				config.MaxAge = time.Hour
				if _, err := f.js.UpdateStream(t.Context(), config); err != nil {
					t.Fatal(err)
				}
			}
			return true
		})
		var drift *eventlog.DriftError
		if !errors.As(err, &drift) || drift.Stream != name {
			t.Errorf("following: %v, want what is wrong with %s", err, name)
		}
	}
}

// TestFollowOutlivesItsConsumer has somebody else, who may end consumers, end that of
// a reader: it makes another one and goes on.
func TestFollowOutlivesItsConsumer(t *testing.T) {
	f := newFollowed(t)
	f.tick(t, 1)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ended, newest := 0, uint64(0)
	for d, err := range f.Follow(ctx, f.Opening()) {
		if err != nil {
			t.Fatal(err)
		}
		if d.Tick != nil {
			newest = d.Tick.Head.Number
		}
		if newest == 2 {
			break
		}
		if !d.CaughtUp || ended > 0 {
			continue
		}
		for name := range f.consumers(ctx, t) {
			ended++
			if err := f.js.DeleteConsumer(ctx, fleetName(t).EventsStream(), name); err != nil {
				t.Fatal(err)
			}
		}
		f.tick(t, 2)
	}
	if ended != 1 || newest != 2 {
		t.Errorf("%d consumers were ended, and tick %d was the last that came; want 1 and 2", ended, newest)
	}
}

// consumers are the names of those that follow.
func (f *followed) consumers(ctx context.Context, t *testing.T) <-chan string {
	t.Helper()
	stream, err := f.js.Stream(ctx, fleetName(t).EventsStream())
	if err != nil {
		t.Fatal(err)
	}
	return stream.ConsumerNames(ctx).Name()
}

// TestFollowForgedTick: a tick that would be the next but is not signed by whom
// it names is noise, wherever in the log it is: last of all, or before the one
// that has its place.
func TestFollowForgedTick(t *testing.T) {
	for _, behind := range []uint64{0, 1, 20} {
		t.Run(fmt.Sprintf("%d ticks behind it", behind), func(t *testing.T) {
			f := newFollowed(t)
			for n := uint64(1); n <= 10; n++ {
				f.tick(t, n)
			}
			f.forge(t)
			for n := uint64(11); n <= 10+behind; n++ {
				f.tick(t, n)
			}
			ticks, noise := collect(t, f.Log)
			if uint64(len(ticks)) != 10+behind || noise != 4 {
				t.Errorf("%d ticks and %d noise, want %d and 4", len(ticks), noise, 10+behind)
			}
			for _, tick := range ticks {
				if tick.Completed.TookMs == forgedTook {
					t.Errorf("tick %d is the forged one", tick.Head.Number)
				}
			}
		})
	}
}

const forgedTook = 12345

// forge stores a whole next tick under another's signature.
func (f *followed) forge(t *testing.T) {
	t.Helper()
	base := f.writer.Base()
	d := draft(11, 11, 2)
	d.TookMs = forgedTook
	messages, err := events.Compose(base, d, events.Terms{Writer: f.key, RestateEvery: time.Hour}, base.Head.Seq+1)
	if err != nil {
		t.Fatal(err)
	}
	last := messages[len(messages)-1]
	signed := fmt.Sprintf("fleetlog/v1\n%s\n%s", f.Lineage(), manifest.Sum(last.Body))
	other := ed25519.Sign(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, 32)), []byte(signed))
	last.Header[events.SignatureHeader] = []string{base64.StdEncoding.EncodeToString(other)}
	for _, m := range messages {
		if _, err := f.js.PublishMsg(t.Context(), &nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Body}); err != nil {
			t.Fatal(err)
		}
	}
}
