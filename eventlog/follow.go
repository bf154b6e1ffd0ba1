package eventlog

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"fleetlog/events"

	"github.com/nats-io/nats.go/jetstream"
)

// Delivery is one thing that following a log brings: a valid tick, noise, the
// news that everything stored so far has been delivered, or that the streams were
// asked after.
type Delivery struct {
	Tick     *events.Tick
	Noise    []events.Noise
	CaughtUp bool   // nothing is stored behind this
	Checked  bool   // the streams were asked whether they are still the log, and answered in time or not
	Seq      uint64 // of the newest message taken in
	Stored   uint64 // of the newest message stored, as far as is known
}

// pullMessages is how many messages are asked for ahead: enough to keep the
// connection busy, and far below what makes a server cut a slow client.
const pullMessages = 2000

// chunkMessages is how many messages are judged together, at most: one signature
// covers the ticks of all of them.
const chunkMessages = 256

// CheckEvery is how often the streams are asked whether they still hold what was
// read and keep it, because a consumer does not notice that its stream was
// replaced or weakened.
const CheckEvery = 15 * time.Second

// maxUnproved is behind how many checks in a row without an answer, or without a
// message although some are stored, following ends.
const maxUnproved = 2

// Follow yields the valid ticks behind head in order, and goes on until the
// context ends or an error is yielded; the error is the last thing yielded. It
// never yields part of a tick. Errors: [ErrAhead] when the stream does not hold,
// or no longer holds, what was read, [ErrMissing], [*GapError], [*DriftError],
// [*events.UnknownTypeError], and [ErrUnavailable], which while following comes
// when for two checks, half a minute, nothing has shown that the stream is where
// it was and brings what it has.
func (l *Log) Follow(ctx context.Context, head events.Head) iter.Seq2[Delivery, error] {
	return l.FollowChecking(ctx, head, CheckEvery)
}

// FollowChecking is Follow with another time between checks.
func (l *Log) FollowChecking(ctx context.Context, head events.Head, check time.Duration) iter.Seq2[Delivery, error] {
	return func(yield func(Delivery, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		chain := events.NewChain(l.place.Fleet, l.writers, head)
		f := &following{log: l, chain: chain, next: head.Seq + 1, check: check}
		if err := f.run(ctx, yield); err != nil {
			yield(Delivery{}, err)
		}
	}
}

type following struct {
	log   *Log
	chain *events.Chain
	next  uint64 // sequence expected
	check time.Duration

	settled  events.Head // at the last check
	seen     uint64      // what was expected at the last check
	unproved int         // checks in a row

	chunk      []received // that is judged now
	deliveries []Delivery // that it brings
}

// errStopped ends a following whose caller wants no more.
var errStopped = errors.New("caller stopped")

func (f *following) run(ctx context.Context, yield func(Delivery, error) bool) error {
	last, err := f.log.holds(ctx, f.chain.Head())
	if err != nil {
		return err
	}
	consumer, err := f.log.js.OrderedConsumer(ctx, f.log.place.Fleet.EventsStream(), jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: f.next,
	})
	if err != nil {
		return apiError("follow "+f.log.place.Fleet.EventsStream(), err)
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(pullMessages))
	if err != nil {
		return apiError("follow "+f.log.place.Fleet.EventsStream(), err)
	}
	incoming := make(chan received, chunkMessages)
	done := make(chan struct{})
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		defer close(done)
		receive(ctx, messages, incoming)
	}()
	defer func() {
		cancel(errStopped)
		messages.Stop()
		<-done
	}()
	if f.next > last && !yield(Delivery{CaughtUp: true, Seq: last, Stored: last}, nil) {
		return nil
	}
	if err = f.consume(ctx, incoming, yield); !errors.Is(err, errStopped) {
		yield(Delivery{}, err) // now: without a broker, stopping the consumer takes its time
	}
	return nil
}

type received struct {
	message jetstream.Msg
	err     error
}

// receive moves messages to the channel; Next is called without a deadline of
// its own, because a short one would hide a lost consumer.
func receive(ctx context.Context, messages jetstream.MessagesContext, to chan<- received) {
	for {
		m, err := messages.Next()
		select {
		case to <- received{m, err}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

func (f *following) consume(ctx context.Context, incoming <-chan received, yield func(Delivery, error) bool) error {
	check := time.NewTicker(f.check)
	defer check.Stop()
	f.settled, f.seen = f.chain.Head(), f.next
	for {
		var deliveries []Delivery
		var err error
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-check.C:
			deliveries, err = f.look(ctx)
		case r := <-incoming:
			f.chunk = arrived(f.chunk[:0], r, incoming)
			deliveries, err = f.take(f.chunk)
		}
		for _, d := range deliveries {
			if !yield(d, nil) {
				return errStopped
			}
		}
		if err != nil {
			return err
		}
	}
}

// arrived appends what has come by now, beginning with the first.
func arrived(chunk []received, first received, incoming <-chan received) []received {
	chunk = append(chunk, first)
	for len(chunk) < chunkMessages {
		select {
		case r := <-incoming:
			chunk = append(chunk, r)
		default:
			return chunk
		}
	}
	return chunk
}

// says tells whether there is anything to yield.
func (d Delivery) says() bool {
	return d.Tick != nil || len(d.Noise) > 0 || d.CaughtUp || d.Checked
}

// look checks that the streams are still those that were read up to the last
// check: what came since, a copy may not have yet. When nothing has come since,
// and nothing is stored behind what was read, the beginning of a tick that was
// read last is none: ticks are stored whole.
func (f *following) look(ctx context.Context) ([]Delivery, error) {
	settled, seen := f.settled, f.seen
	f.settled, f.seen = f.chain.Head(), f.next
	last, err := f.log.intact(ctx, settled)
	if err == nil && last >= f.next && seen == f.next {
		err = fmt.Errorf("%w: sequences %d to %d of stream %s are stored and do not arrive: check that this user may make consumers there",
			ErrUnavailable, f.next, last, f.log.place.Fleet.EventsStream())
	}
	if !errors.Is(err, ErrUnavailable) {
		f.unproved = 0
		caughtUp := err == nil && f.chain.Open() && seen == f.next && last == f.next-1
		return []Delivery{{CaughtUp: caughtUp, Checked: true, Seq: f.next - 1, Stored: last}}, err
	}
	if f.unproved++; f.unproved < maxUnproved {
		return []Delivery{{Checked: true, Seq: f.next - 1}}, nil // the consumer waits for the broker too
	}
	return nil, err
}

// take judges messages. One signature covers all ticks before it, so that only
// the last one's is looked at; each by itself where that does not hold, or where
// not everything is a tick.
func (f *following) take(chunk []received) ([]Delivery, error) {
	chain, next := f.chain.Deferring(), f.next
	deliveries, err := f.judge(chain, chunk)
	var unknown *events.UnknownTypeError
	noise := slices.ContainsFunc(deliveries, func(d Delivery) bool { return len(d.Noise) > 0 })
	moved := chain.Head().Seq > f.chain.Head().Seq
	if noise || errors.As(err, &unknown) || moved && !chain.HeadHolds() {
		f.next = next
		return f.judge(f.chain, chunk)
	}
	f.chain = chain.Proved()
	return deliveries, err
}

// judge pushes messages through the chain. The deliveries, of which each says
// something, hold until it is called again.
func (f *following) judge(chain *events.Chain, chunk []received) (deliveries []Delivery, err error) {
	defer func() { f.deliveries = deliveries }()
	deliveries = f.deliveries[:0]
	for _, r := range chunk {
		if r.err != nil {
			return deliveries, apiError("follow "+f.log.place.Fleet.EventsStream(), r.err)
		}
		meta, err := r.message.Metadata()
		if err != nil {
			return deliveries, fmt.Errorf("follow %s: %w", f.log.place.Fleet.EventsStream(), err)
		}
		seq := meta.Sequence.Stream
		if seq != f.next {
			return deliveries, &GapError{f.log.place.Fleet.EventsStream(), f.next, seq - 1}
		}
		f.next = seq + 1
		tick, noise, err := chain.Push(seq, events.Message{Subject: r.message.Subject(), Header: r.message.Headers(), Body: r.message.Data()})
		if err != nil {
			return deliveries, err
		}
		caughtUp := meta.NumPending == 0 && !chain.Open()
		if d := (Delivery{Tick: tick, Noise: noise, CaughtUp: caughtUp, Seq: seq, Stored: seq + meta.NumPending}); d.says() {
			deliveries = append(deliveries, d)
		}
	}
	return deliveries, nil
}

// intact is holds, of a log whose streams keep history.
func (l *Log) intact(ctx context.Context, head events.Head) (last uint64, err error) {
	if last, err = l.holds(ctx, head); err != nil {
		return 0, err
	}
	if err := drift(eventsConfig(l.place.Fleet, Limits{}), l.events.CachedInfo().Config); err != nil {
		return 0, err
	}
	_, err = l.artifactsInfo(ctx)
	return last, err
}

// holds checks that the stream is the log that was read up to head: the same
// opening, an end not before head, and head where it was. A consumer that starts
// beyond the end would wait there in silence.
func (l *Log) holds(ctx context.Context, head events.Head) (last uint64, err error) {
	info, err := l.infoFrom(ctx, head.Seq)
	if err != nil {
		return 0, err
	}
	state := info.State
	if state.LastSeq < head.Seq {
		return 0, fmt.Errorf("%w: its end is %d, read was up to %d", ErrAhead, state.LastSeq, head.Seq)
	}
	if state.FirstSeq > l.opening.Seq {
		return 0, &GapError{l.place.Fleet.EventsStream(), l.opening.Seq, state.FirstSeq - 1}
	}
	for _, read := range []events.Head{l.opening, head} {
		m, err := l.Message(ctx, read.Seq)
		if err != nil {
			return 0, lags(err, read.Seq)
		}
		if sum(m) != read.Digest {
			return 0, fmt.Errorf("%w: sequence %d holds another message", ErrAhead, read.Seq)
		}
	}
	return state.LastSeq, nil
}

// lags gives the absence of a message that is before the stream's end its
// meaning: the copy that answered does not have it yet. Were it lost, following
// would meet the gap.
func lags(err error, seq uint64) error {
	if errors.Is(err, ErrNoMessage) {
		return fmt.Errorf("%w: the copy that answered lags behind sequence %d", ErrUnavailable, seq)
	}
	return err
}
