package fleetlog_test

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/broker"
	"fleetlog/internal/broker/brokertest"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/sirupsen/logrus"
)

// TestStreamFull: a stream takes no more. The poller says which and what to raise,
// nothing of the tick is stored, and the next one that is says what was missed.
func TestStreamFull(t *testing.T) {
	for stream, what := range map[string]string{eventsStream: "append tick to ", artifactsStream: "store artifact in "} {
		t.Run(stream, func(t *testing.T) {
			t.Parallel()
			o := newOutage(t, nil)
			poller, reducer := o.runPoller(), o.runReducer(o.at)
			o.reaches()
			before := o.served()
			var last events.Head
			o.betweenTicks(func() {
				last = o.head()
				o.setStream(stream, func(c *jetstream.StreamConfig) {
					c.MaxBytes = int64(o.bytes(stream)) + 100
				})
				o.renew("bbbb")
			})
			says := what + stream + ": log is full: maximum bytes exceeded: raise the stream's max bytes, or make room on the server's disk"
			o.until("poller not ready", func() bool { return o.poll.unready(says) })
			if !o.poll.comesToSay(logrus.WarnLevel, "tick not recorded: "+says) {
				t.Errorf("the poller says:\n%s", o.poll.all())
			}
			if end, err := o.log.LastSequence(t.Context()); err != nil || end != last.Seq {
				t.Errorf("the log ends at %d (%v), want %d: part of a tick is stored", end, err, last.Seq)
			}
			o.holds(before)
			if !o.reads.isReady() {
				t.Errorf("the reducer is not ready because of %v", o.reads.reason())
			}
			o.setStream(stream, func(c *jetstream.StreamConfig) { c.MaxBytes = 32 << 20 })
			o.reaches()
			o.must(poller.stop())
			o.missed(last, events.LogFull)
			o.until("all folded", func() bool { _, p := o.reducer.Current(); return p.Sequence == o.head().Seq })
			o.must(reducer.stop())
			o.checked(0)
		})
	}
}

// bytes are how many a stream holds.
func (o *outage) bytes(stream string) uint64 {
	o.t.Helper()
	s, err := o.admin().Stream(o.t.Context(), stream)
	o.must(err)
	return s.CachedInfo().State.Bytes
}

// missed demands that the tick behind last says that ticks were missed.
func (o *outage) missed(last events.Head, why events.Reason) {
	o.t.Helper()
	for d, err := range o.log.Follow(o.t.Context(), last) {
		o.must(err)
		if d.Tick == nil {
			continue
		}
		if m := d.Tick.Completed.Missed; m == nil || m.Reason != why || m.Ticks == 0 {
			o.t.Errorf("tick %d behind %d says that it missed %+v, want some for %s", d.Tick.Head.Number, last.Number, m, why)
		}
		return
	}
}

// TestServerFull lets the server's own limit be below those of the streams, which
// it must not be: a tick is then stored in part. The poller says what to raise,
// nobody takes the part for a tick, and everything goes on once it is raised.
func TestServerFull(t *testing.T) {
	t.Parallel()
	var limit int64
	o := newOutage(t, func(c *broker.Config) { c.MaxStore = limit })
	reducer := o.runReducer(o.at)
	last := o.tick()
	o.reaches()
	before := o.served()
	artifacts := o.bytes(artifactsStream) // the next release's need as many
	limit = int64(o.bytes(eventsStream) + 2*artifacts + 1000)
	o.down()
	o.up()
	o.renew("bbbb")
	poller := o.runPoller()
	const says = "append tick to nixfleet-prod-events: log is full: insufficient resources: " +
		"raise max_file of the account or max_file_store of the server, above the sum of all streams' max bytes"
	o.until("poller not ready", func() bool { return o.poll.unready(says) })
	if !o.poll.comesToSay(logrus.WarnLevel, "tick not recorded: "+says) || !o.poll.comesToSay(logrus.WarnLevel, "foreign messages in the log", "stored a tick in part", fmt.Sprint("seq:", last.Head.Seq+1)) {
		t.Errorf("the poller says:\n%s", o.poll.all())
	}
	if head := o.head(); head.Number != last.Head.Number {
		t.Errorf("the log is at tick %d, want %d", head.Number, last.Head.Number)
	}
	o.holds(before)
	end, err := o.log.LastSequence(t.Context())
	o.must(err)
	if end == last.Head.Seq || end >= last.Head.Seq+uint64(len(last.Findings)+1) {
		t.Errorf("the log ends at %d behind the tick at %d: no tick was stored in part", end, last.Head.Seq)
	}
	limit = 0
	o.down()
	o.up() // which may complete the part
	o.reaches()
	o.must(poller.stop())
	o.until("all folded", func() bool { _, p := o.reducer.Current(); return p.Sequence == o.head().Seq })
	o.must(reducer.stop())
	second, err := o.log.Message(t.Context(), last.Head.Seq+1)
	o.must(err)
	noise := end - last.Head.Seq
	if strings.Contains(string(second.Body), fmt.Sprintf(`"tick":%q`, o.tickNumbered(2).Head.Tick)) {
		noise = 0
	}
	o.checked(noise)
}

func (o *outage) tickNumbered(number uint64) *events.Tick {
	o.t.Helper()
	tick, err := o.log.At(o.t.Context(), eventlog.PointOfNumber(number))
	o.must(err)
	return tick
}

// TestProvisionNeedsRoom: streams that may grow beyond what the server stores are
// refused when they are made.
func TestProvisionNeedsRoom(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, func(c *broker.Config) { c.MaxStore = 100 << 20 })
	nc, err := nats.Connect(b.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	name, err := events.ParseFleetName("prod")
	if err != nil {
		t.Fatal(err)
	}
	writer, err := events.NewWriter(ed25519.NewKeyFromSeed(make([]byte, 32)))
	if err != nil {
		t.Fatal(err)
	}
	_, err = eventlog.Provision(t.Context(), nc, eventlog.Place{Fleet: name}, eventlog.Provisioning{
		Limits:  eventlog.Limits{Events: 60 << 20, Artifacts: 60 << 20, Replicas: 1},
		Opening: events.Opening{Writer: writer, Writers: []events.PublicKey{writer.Public()}}, Now: time.Now(), Random: uuid.NewRandom,
	})
	says := "create stream nixfleet-prod-artifacts: log is full: insufficient storage resources available: " +
		"raise max_file of the account or max_file_store of the server, above the sum of all streams' max bytes"
	if !errors.Is(err, eventlog.ErrLogFull) || err.Error() != says {
		t.Errorf("provision: %v, want %s", err, says)
	}
}
