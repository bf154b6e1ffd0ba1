package main

import (
	"slices"
	"testing"
	"time"

	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/broker"
	"fleetlog/manifest"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	followed  = 1_000_000 // messages
	lookedUp  = 1_000_000 // ticks
	stateEach = 10        // ticks from one that is written out to the next
)

// BenchmarkFollow follows a long log to the end that it has, judging and decoding
// every event, beside a consumer that only takes the messages. Nine ticks in ten
// are unchanged; the tenth states a fleet and twelve channels, one of them anew.
func BenchmarkFollow(b *testing.B) {
	s := newScene(b, func(c *broker.Config) { c.NoSync = true })
	end := s.write(long(writing{messages: followed}))
	inTurns(b, 1, func() { s.follow(end) }, func() { s.consume(end) }).report(b, "ns", true)
}

// follow reads the ticks up to the end.
func (s *scene) follow(end uint64) {
	for d, err := range s.log.Follow(s.Context(), s.log.Opening()) {
		s.must(err)
		if len(d.Noise) > 0 {
			s.Fatalf("noise at %d: %v", d.Noise[0].Seq, d.Noise[0].Why)
		}
		if d.Seq == end {
			return
		}
	}
	s.Fatal("following ended early")
}

// consume takes the messages up to the end.
func (s *scene) consume(end uint64) {
	js, err := jetstream.New(s.nc)
	s.must(err)
	consumer, err := js.OrderedConsumer(s.Context(), s.log.Fleet().EventsStream(), jetstream.OrderedConsumerConfig{})
	s.must(err)
	messages, err := consumer.Messages(jetstream.PullMaxMessages(2000))
	s.must(err)
	defer messages.Stop()
	for {
		m, err := messages.Next()
		s.must(err)
		meta, err := m.Metadata()
		s.must(err)
		if meta.Sequence.Stream == end {
			return
		}
	}
}

// writing says what a log is filled with.
type writing struct {
	channels int
	restate  time.Duration // how old a statement gets
	interval time.Duration // from tick to tick
	anew     int           // ticks from one channel that is signed anew to the next; 0: none is
	messages int           // up to which it is filled; 0: ticks say
	ticks    int
}

// long is a log of so many messages or ticks, of which each tenth states something
// new.
func long(w writing) writing {
	w.channels, w.restate, w.interval, w.anew = 12, 24*time.Hour, time.Second, stateEach
	return w
}

// write fills the log, and returns its end.
func (s *scene) write(w writing) (end uint64) {
	js, err := jetstream.New(s.nc, jetstream.WithPublishAsyncMaxPending(4000))
	s.must(err)
	result := s.poll(10*w.channels, w.channels)
	base := events.Base{Fleet: s.log.Fleet(), Head: s.log.Opening()}
	terms := events.Terms{Writer: s.writer, RestateEvery: w.restate}
	end = base.Head.Seq
	for number := 0; number < w.ticks || end < uint64(w.messages); number++ {
		s.now = s.now.Add(w.interval)
		if w.anew > 0 && number%w.anew == 0 {
			s.signAnew(result.Findings, number/w.anew)
		}
		messages, err := events.Compose(base, s.draft(result), terms, end+1)
		s.must(err)
		for _, m := range messages {
			_, err := js.PublishMsgAsync(&nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Body}, jetstream.WithStallWait(time.Minute))
			s.must(err)
		}
		s.committed(&base, end+1, messages)
		end += uint64(len(messages))
	}
	select {
	case <-js.PublishAsyncComplete():
	case <-s.Context().Done():
		s.must(s.Context().Err())
	}
	return end
}

// signAnew gives one channel another manifest.
func (s *scene) signAnew(findings []events.Finding, n int) {
	verified := slices.DeleteFunc(slices.Clone(findings), func(f events.Finding) bool {
		_, is := f.(*events.RolloutVerified)
		return !is
	})
	r := verified[n%len(verified)].(*events.RolloutVerified)
	r.ManifestHash = manifest.Sum([]byte{byte(n), byte(n >> 8), byte(n >> 16)})
}

// committed makes the messages the base of the next tick.
func (s *scene) committed(base *events.Base, first uint64, messages []events.Message) {
	if len(messages) > 1 {
		tick, err := events.ReadTick(base.Fleet, []events.PublicKey{s.writer.Public()}, base.Head.Lineage, first, messages)
		s.must(err)
		base.Head, base.Last, base.LastVerified = tick.Head, tick.Findings, tick.Findings
		return
	}
	event, err := events.Decode(messages[0].Body)
	s.must(err)
	t := event.(*events.TickCompleted)
	base.Head = events.Head{
		Lineage: t.Lineage, Seq: t.Seq, Digest: manifest.Sum(messages[0].Body), Tick: t.Tick, Number: t.Number, Time: t.Time, Completed: t,
	}
}

// BenchmarkAt looks up the tick of a random moment of a long log, what set it
// has and where its statement is, beside one direct read.
func BenchmarkAt(b *testing.B) {
	s := newScene(b, func(c *broker.Config) { c.NoSync = true })
	end := s.write(long(writing{ticks: lookedUp}))
	stream, err := jetstream.New(s.nc)
	s.must(err)
	raw, err := stream.Stream(s.Context(), s.log.Fleet().EventsStream())
	s.must(err)
	begun := s.log.Opening().Time.Time()
	at := func() {
		moment := begun.Add(time.Duration(s.random.Int64N(int64(s.now.Sub(begun)))))
		point, err := eventlog.ParsePoint(moment.Format(time.RFC3339Nano), moment)
		s.must(err)
		tick, err := s.log.At(s.Context(), point)
		s.must(err)
		if tick.Completed.Set == nil || tick.Completed.Statement.LastSeq == 0 {
			s.Fatal("tick names no set")
		}
	}
	direct := func() {
		_, err := raw.GetMsg(s.Context(), 1+s.random.Uint64N(end))
		s.must(err)
	}
	inTurns(b, 200, at, direct).report(b, "ns", false)
}
