package eventlog

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"fleetlog/events"

	"github.com/nats-io/nats.go/jetstream"
)

// Delivery is one thing that following a log brings: a valid tick, noise, or
// the news that everything stored so far has been delivered.
type Delivery struct {
	Tick     *events.Tick
	Noise    []events.Noise
	CaughtUp bool   // nothing is stored behind this
	Seq      uint64 // of the newest message taken in
}

// pullMessages is how many messages are asked for ahead: enough to keep the
// connection busy, and far below what makes a server cut a slow client.
const pullMessages = 2000

// idleCheck is how long nothing may come before the stream is asked whether it
// still holds what was read.
const idleCheck = 15 * time.Second

// Follow yields the valid ticks behind head in order, and goes on until the
// context ends or an error is yielded; the error is the last thing yielded. It
// never yields part of a tick. Errors: [ErrAhead] when the stream does not hold
// head, [*GapError], [*events.UnknownTypeError], [ErrUnavailable].
func (l *Log) Follow(ctx context.Context, head events.Head) iter.Seq2[Delivery, error] {
	return l.follow(ctx, events.NewChain(l.place.Fleet, l.writers, head))
}

func (l *Log) follow(ctx context.Context, chain *events.Chain) iter.Seq2[Delivery, error] {
	return func(yield func(Delivery, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		f := &following{log: l, chain: chain, next: chain.Head().Seq + 1}
		if err := f.run(ctx, yield); err != nil {
			yield(Delivery{}, err)
		}
	}
}

type following struct {
	log   *Log
	chain *events.Chain
	next  uint64 // sequence expected
}

// errStopped ends a following whose caller wants no more.
var errStopped = errors.New("caller stopped")

func (f *following) run(ctx context.Context, yield func(Delivery, error) bool) error {
	last, err := f.holds(ctx)
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
	incoming := make(chan received)
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
	if f.next > last && !yield(Delivery{CaughtUp: true, Seq: last}, nil) {
		return nil
	}
	err = f.consume(ctx, incoming, yield)
	if errors.Is(err, errStopped) {
		return nil
	}
	return err
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
	idle := time.NewTicker(idleCheck)
	defer idle.Stop()
	quiet := false
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-idle.C:
			if quiet {
				if _, err := f.holds(ctx); err != nil && !errors.Is(err, ErrUnavailable) {
					return err
				}
			}
			quiet = true
		case r := <-incoming:
			quiet = false
			if r.err != nil {
				return apiError("follow "+f.log.place.Fleet.EventsStream(), r.err)
			}
			delivery, err := f.take(r.message)
			if err != nil {
				return err
			}
			if (delivery.Tick != nil || len(delivery.Noise) > 0 || delivery.CaughtUp) && !yield(delivery, nil) {
				return errStopped
			}
		}
	}
}

// take pushes one message through the chain.
func (f *following) take(m jetstream.Msg) (Delivery, error) {
	meta, err := m.Metadata()
	if err != nil {
		return Delivery{}, fmt.Errorf("follow %s: %w", f.log.place.Fleet.EventsStream(), err)
	}
	seq := meta.Sequence.Stream
	if seq != f.next {
		return Delivery{}, &GapError{f.log.place.Fleet.EventsStream(), f.next, seq - 1}
	}
	f.next = seq + 1
	tick, noise, err := f.chain.Push(seq, events.Message{Subject: m.Subject(), Header: m.Headers(), Body: m.Data()})
	if err != nil {
		return Delivery{}, err
	}
	caughtUp := meta.NumPending == 0 && !f.chain.Open()
	return Delivery{Tick: tick, Noise: noise, CaughtUp: caughtUp, Seq: seq}, nil
}

// holds checks that the stream still is the log that was read: the same
// opening, an end not before what was read, and the same last tick. A consumer
// that starts beyond the end would wait there in silence.
func (f *following) holds(ctx context.Context) (last uint64, err error) {
	head := f.chain.Head()
	if last, err = f.log.LastSequence(ctx); err != nil {
		return 0, err
	}
	opening, err := f.log.Message(ctx, 1)
	if err != nil {
		return 0, err
	}
	if sum(opening) != f.log.opening.Digest {
		return 0, fmt.Errorf("%w: it begins with another LogOpened", ErrAhead)
	}
	if last < head.Seq {
		return 0, fmt.Errorf("%w: its end is %d, read was up to %d", ErrAhead, last, head.Seq)
	}
	m, err := f.log.Message(ctx, head.Seq)
	if err != nil {
		return 0, err
	}
	if sum(m) != head.Digest {
		return 0, fmt.Errorf("%w: sequence %d holds another message", ErrAhead, head.Seq)
	}
	return last, nil
}
