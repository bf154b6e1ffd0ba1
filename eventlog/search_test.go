package eventlog_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/broker"
	"fleetlog/internal/broker/brokertest"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// history writes a log without waiting for each tick, as a long past would have
// left it.
type history struct {
	log  *eventlog.Log
	js   jetstream.JetStream
	key  *events.Writer
	base events.Base
	seq  uint64
	last []events.Head
}

func newHistory(t testing.TB) *history {
	t.Helper()
	nc := dial(t, brokertest.Start(t, func(c *broker.Config) { c.NoSync = true }))
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(1000))
	if err != nil {
		t.Fatal(err)
	}
	key := writerKey(t, 1)
	log := provision(t, nc, key)
	return &history{log: log, js: js, key: key, base: events.Base{Fleet: fleetName(t), Head: log.Opening()}, seq: 1}
}

// tick adds one with as many findings as the draft has when anything changed.
func (h *history) tick(t testing.TB, d events.Draft) {
	t.Helper()
	messages, err := events.Compose(h.base, d, events.Terms{Writer: h.key, RestateEvery: 1 << 62}, h.seq+1)
	if err != nil {
		t.Fatal(err)
	}
	chain := events.NewChain(h.base.Fleet, h.log.Writers(), h.base.Head)
	for _, m := range messages {
		h.publish(t, m)
		tick, noise, err := chain.Push(h.seq, m)
		if err != nil || len(noise) > 0 {
			t.Fatal(noise, err)
		}
		if tick != nil {
			h.base.Head = tick.Head
			if len(tick.Findings) > 0 {
				h.base.Last, h.base.LastVerified = tick.Findings, tick.Findings
			}
		}
	}
	h.last = append(h.last, h.base.Head)
}

func (h *history) publish(t testing.TB, m events.Message) {
	t.Helper()
	h.seq++
	if _, err := h.js.PublishMsgAsync(&nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Body}, jetstream.WithStallWait(time.Minute)); err != nil {
		t.Fatal(err)
	}
}

// junk adds messages that are no part of a tick.
func (h *history) junk(t testing.TB, leaf string, n int) {
	t.Helper()
	for range n {
		h.publish(t, events.Message{Subject: h.base.Fleet.EventSubject(leaf), Body: []byte("junk")})
	}
}

// settle waits until everything is stored where it was meant to be.
func (h *history) settle(t testing.TB) {
	t.Helper()
	select {
	case <-h.js.PublishAsyncComplete():
	case <-t.Context().Done():
	}
	if last, err := h.log.LastSequence(t.Context()); err != nil || last != h.seq {
		t.Fatalf("log ends at %d (%v), want %d", last, err, h.seq)
	}
}

// draftAt is a draft of that moment; its tick's id holds the same moment.
func draftAt(at time.Time, n uint32, channels int) events.Draft {
	d := draft(0, n, channels)
	d.Time = events.TimeOf(at)
	id := uuid.Must(uuid.NewV7())
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(at.UnixMilli()))
	copy(id[:6], ms[2:])
	d.Tick = id.String()
	return d
}

// The history of TestLookBackIsCheap.
const (
	pastTicks  = 1500
	bigTick    = 500 // has many findings
	bigSize    = 1200
	outage     = 1000 // the tick before the poller's outage of a week
	outageJunk = 1500 // messages on the TickCompleted subject meanwhile
)

func longPast(t *testing.T) *history {
	t.Helper()
	h, at := newHistory(t), epoch
	for n := 1; n <= pastTicks; n++ {
		channels := 2
		switch {
		case n == bigTick:
			channels = bigSize
		case n == outage+1:
			h.junk(t, "TickCompleted", outageJunk)
			h.junk(t, "FleetFetched", 5*outageJunk)
			at = at.AddDate(0, 0, 7)
		case n%10 == 0:
			h.junk(t, "TickCompleted", 1)
		case n%7 == 0:
			h.junk(t, "LogOpened", 3)
		}
		at = at.Add(time.Duration(1000+n%5*100) * time.Millisecond)
		h.tick(t, draftAt(at, uint32(n/500), channels))
	}
	h.settle(t)
	return h
}

// TestLookBackIsCheap finds ticks by time, number, sequence and id in a log with
// a very large statement, noise everywhere, and an outage full of noise, and
// bounds what is read for it.
func TestLookBackIsCheap(t *testing.T) {
	h := longPast(t)
	random := rand.New(rand.NewPCG(1, 2))
	worst, total, looks := 0, 0, 0
	at := func(text string, want events.Head, bound int) {
		t.Helper()
		point, err := eventlog.ParsePoint(text, epoch)
		if err != nil {
			t.Fatal(err)
		}
		tick, reads, err := h.log.AtCounting(t.Context(), point, nil)
		if err != nil || tick.Head.Digest != want.Digest {
			t.Fatalf("%s: %v, %v; want tick %d", text, tick, err, want.Number)
		}
		reads -= tick.Completed.Index // the answer itself
		if reads > bound {
			t.Errorf("%s: %d reads, want at most %d", text, reads, bound)
		}
		worst, total, looks = max(worst, reads), total+reads, looks+1
	}
	const usual = 120
	places := []int{0, 1, bigTick - 2, bigTick - 1, bigTick, outage - 1, outage, pastTicks - 1}
	for range 12 {
		places = append(places, random.IntN(pastTicks))
	}
	for _, i := range places {
		head := h.last[i]
		at(head.Time.String(), head, usual)
		at(fmt.Sprintf("tick:%d", head.Number), head, usual)
		at(fmt.Sprintf("seq:%d", head.Seq), head, usual)
		at("tick:"+head.Tick, head, 4*usual)
	}
	before := h.last[outage-1]
	t.Logf("%d looks: %d reads in the mean, %d at worst", looks, total/looks, worst)
	if total > 40*looks {
		t.Errorf("%d reads in the mean, want at most 40", total/looks)
	}
	at(before.Time.Time().AddDate(0, 0, 3).Format(time.RFC3339), before, usual)
	at(fmt.Sprintf("seq:%d", before.Seq+outageJunk/2), before, usual)
	at(fmt.Sprintf("seq:%d", h.last[bigTick-1].Seq-1), h.last[bigTick-2], usual)
}

// TestLookBackThroughNoise hides every tick in a hundred messages that look like
// one: what is read stays far below what is stored.
func TestLookBackThroughNoise(t *testing.T) {
	const ticks, each = 150, 100
	h := newHistory(t)
	for n := range ticks {
		h.junk(t, "TickCompleted", each)
		h.tick(t, draftAt(epoch.Add(time.Duration(n+1)*time.Second), 0, 1))
	}
	h.settle(t)
	worst := 0
	for i := 0; i < ticks; i += 13 {
		point, err := eventlog.ParsePoint(h.last[i].Time.String(), epoch)
		if err != nil {
			t.Fatal(err)
		}
		tick, reads, err := h.log.AtCounting(t.Context(), point, nil)
		if err != nil || tick.Head.Digest != h.last[i].Digest {
			t.Fatalf("tick %d: %v, %v", i+1, tick, err)
		}
		worst = max(worst, reads)
	}
	t.Logf("%d reads at worst in a log of %d messages", worst, h.seq)
	if want := ticks * each / 30; worst > want {
		t.Errorf("%d reads, want at most %d", worst, want)
	}
}

// TestLookBackFindsByID finds every tick of a second's interval by its id.
func TestLookBackFindsByID(t *testing.T) {
	h := newHistory(t)
	for n := range 200 {
		h.tick(t, draftAt(epoch.Add(time.Duration(n+1)*time.Second), 0, 1))
	}
	h.settle(t)
	for _, head := range h.last {
		lookBack(t, h.log, "tick:"+head.Tick, &events.Tick{Head: head})
	}
	point, err := eventlog.ParsePoint("tick:"+draftAt(epoch.Add(time.Minute), 0, 1).Tick, epoch)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.log.At(t.Context(), point); !errors.Is(err, eventlog.ErrNoTick) {
		t.Errorf("an id that no tick has: %v, want ErrNoTick", err)
	}
}

// TestLookBackNoticesLostTicks: an answer must not hide that ticks are missing
// where it was looked for.
func TestLookBackNoticesLostTicks(t *testing.T) {
	h := newHistory(t)
	for n := range 60 {
		h.tick(t, draftAt(epoch.Add(time.Duration(n+1)*time.Second), uint32(n/20), 3))
	}
	h.settle(t)
	lost := map[uint64]bool{}
	for _, head := range h.last[30:33] {
		lost[head.Seq] = true
	}
	stated := h.last[20].Completed.Statement.FirstSeq
	for name, c := range map[string]struct {
		text string
		lost map[uint64]bool
		gap  bool
	}{
		"in the gap":               {h.last[31].Time.String(), lost, true},
		"number in the gap":        {"tick:32", lost, true},
		"before it":                {h.last[29].Time.String(), lost, true},
		"well before it":           {h.last[10].Time.String(), lost, false},
		"behind it":                {h.last[40].Time.String(), lost, false},
		"findings of the answer":   {"tick:21", map[uint64]bool{stated: true}, true},
		"findings of another tick": {"tick:24", map[uint64]bool{stated: true}, false},
	} {
		t.Run(name, func(t *testing.T) {
			point, err := eventlog.ParsePoint(c.text, epoch)
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = h.log.AtCounting(t.Context(), point, c.lost)
			var gap *eventlog.GapError
			if errors.As(err, &gap) != c.gap || err != nil && gap == nil {
				t.Errorf("%s: %v, want a gap %v", c.text, err, c.gap)
			}
		})
	}
}

// TestLookBackInRandomLogs compares with looking at every tick.
func TestLookBackInRandomLogs(t *testing.T) {
	for seed := range uint64(2) {
		random := rand.New(rand.NewPCG(seed, 7))
		h, at := newHistory(t), epoch
		for range 150 {
			if random.IntN(3) > 0 { // else the clock stands, or was set back
				at = at.Add(time.Duration(random.Int64N(1 << uint(random.IntN(40)))))
			}
			h.junk(t, []string{"TickCompleted", "FleetFetched"}[random.IntN(2)], random.IntN(1<<uint(random.IntN(7))))
			h.tick(t, draftAt(at, uint32(len(h.last)/20), random.IntN(6)))
		}
		h.settle(t)
		first, last := h.last[0].Time.Time(), h.last[len(h.last)-1].Time.Time()
		for range 60 {
			when := first.Add(time.Duration(random.Int64N(int64(last.Sub(first)) + 2)))
			if random.IntN(2) == 0 {
				when = h.last[random.IntN(len(h.last))].Time.Time()
			}
			lookBack(t, h.log, when.Format(time.RFC3339Nano), newestAt(h.last, func(head events.Head) bool {
				return !head.Time.Time().After(when)
			}))
			seq := h.last[0].Seq + uint64(random.IntN(int(h.seq-h.last[0].Seq)+3))
			lookBack(t, h.log, fmt.Sprintf("seq:%d", seq), newestAt(h.last, func(head events.Head) bool { return head.Seq <= seq }))
		}
	}
}

func newestAt(heads []events.Head, reached func(events.Head) bool) *events.Tick {
	i := slices.IndexFunc(heads, func(h events.Head) bool { return !reached(h) })
	if i < 0 {
		i = len(heads)
	}
	return &events.Tick{Head: heads[i-1]}
}

// TestLookBackStopsAtUnknown: the tick of a newer version may be the answer.
func TestLookBackStopsAtUnknown(t *testing.T) {
	key, nc := writerKey(t, 1), dial(t, brokertest.Start(t))
	log := provision(t, nc, key)
	if _, err := appendTick(context.WithoutCancel(t.Context()), newWriter(t, log), key, draft(1, 1, 1)); err != nil {
		t.Fatal(err)
	}
	publishSigned(t, nc, log, `{"type":"TickCompleted.v2"}`)
	var unknown *events.UnknownTypeError
	if _, err := log.At(t.Context(), eventlog.Point{}); !errors.As(err, &unknown) {
		t.Errorf("newest: %v, want UnknownTypeError", err)
	}
}
