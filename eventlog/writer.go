package eventlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"fleetlog/events"
	"fleetlog/manifest"

	"github.com/cenkalti/backoff/v5"
	"github.com/nats-io/nats.go/jetstream"
)

// maxRebuilds is how often a tick is composed anew because noise came before
// it.
const maxRebuilds = 5

// Writer appends ticks. It is used by one goroutine. It holds what the next
// tick is composed on, read from the stream's leader; nothing that it holds is
// needed after a restart.
type Writer struct {
	log      *Log
	base     events.Base
	end      uint64                   // of the stream, when base was read
	broker   time.Time                // the broker's clock, when base was read
	attempts map[manifest.Digest]bool // own ticks whose fate is not known
	noise    func(count uint64)
}

// NewWriter reads the last valid tick, its statement and the newest verified
// statement. noise is told how many foreign messages came before a tick.
func (l *Log) NewWriter(ctx context.Context, noise func(count uint64)) (*Writer, error) {
	w := &Writer{log: l, noise: noise}
	w.base.Fleet, w.base.Head = l.place.Fleet, l.opening
	if _, err := w.Refresh(ctx); err != nil {
		return nil, err
	}
	return w, nil
}

// Base is what the next tick is composed on.
func (w *Writer) Base() events.Base { return w.base }

// Refresh reads the end of the log anew, and tells whether another writer has
// appended since.
func (w *Writer) Refresh(ctx context.Context) (other bool, err error) {
	if err := w.readEnd(ctx); err != nil {
		return false, err
	}
	head, err := w.log.headFrom(ctx, leader{w.log})
	if err != nil {
		return false, err
	}
	if head.Digest == w.base.Head.Digest {
		return false, nil
	}
	other = !w.attempts[head.Digest]
	return other, w.rebase(ctx, head)
}

// readEnd asks for the end before the head is read: a tick that comes between
// the two is then seen as the head, and one that comes later meets the fence.
func (w *Writer) readEnd(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	info, err := w.log.events.Info(ctx)
	if err != nil {
		return apiError("look up stream "+w.log.place.Fleet.EventsStream(), err)
	}
	if end := info.State.LastSeq; end < w.base.Head.Seq {
		return fmt.Errorf("%w: its end is %d, before tick %d at %d", ErrAhead, end, w.base.Head.Number, w.base.Head.Seq)
	}
	w.end, w.broker = info.State.LastSeq, info.TimeStamp
	return nil
}

// BrokerTime is the broker's clock at the last [Writer.Refresh].
func (w *Writer) BrokerTime() time.Time { return w.broker }

// rebase makes head the tick that the next one follows.
func (w *Writer) rebase(ctx context.Context, head events.Head) error {
	base := events.Base{Fleet: w.log.place.Fleet, Head: head}
	from := leader{w.log}
	if t := head.Completed; t != nil {
		stated, err := w.log.statementFrom(ctx, from, t.Statement.FirstSeq, t.Statement.LastSeq)
		if err != nil {
			return err
		}
		if stated.Completed.Statement.Digest != t.Statement.Digest {
			return fmt.Errorf("statement at %d has another digest than tick %d names", t.Statement.FirstSeq, t.Number)
		}
		base.Last = stated.Findings
		if base.LastVerified, err = w.log.lastVerified(ctx, from, t, stated); err != nil {
			return err
		}
	}
	w.base, w.attempts = base, nil
	w.end = max(w.end, head.Seq) // it may have come after the end was read
	return nil
}

// lastVerified reads the findings of the newest verified tick at or before t,
// whose statement is stated. While trust covers no set at all, that is a walk
// from statement to statement.
func (l *Log) lastVerified(ctx context.Context, from source, t *events.TickCompleted, stated *events.Tick) ([]events.Finding, error) {
	if t.Outcome == events.Skipped && t.Set != nil {
		verified, err := l.statementFrom(ctx, from, t.Set.FirstSeq, t.Set.LastSeq)
		if err != nil {
			return nil, err
		}
		return verified.Findings, nil
	}
	for stated.Completed.Outcome == events.Skipped {
		before, err := l.tickAtOrBefore(ctx, from, stated.Completed.Statement.FirstSeq-1)
		if errors.Is(err, ErrNoTick) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		s := before.Completed.Statement
		if stated, err = l.statementFrom(ctx, from, s.FirstSeq, s.LastSeq); err != nil {
			return nil, err
		}
	}
	return stated.Findings, nil
}

// Build composes the messages of a tick on base from firstSeq on. It is called
// again with a later firstSeq when noise came first, and must use the same
// tick id.
type Build func(base events.Base, firstSeq uint64) ([]events.Message, error)

// Append stores one tick, whole or not at all, directly behind the stream's
// end. When it returns a tick, the tick is durable as the stream's settings
// have it, and is the writer's new base. Errors: [*OtherWriterError] (the base
// is then the other's tick), [ErrUnavailable] (the tick may still be stored;
// [Writer.Refresh] tells), [ErrLogFull], [ErrBatchTooLarge], [ErrContention].
func (w *Writer) Append(ctx context.Context, build Build) (*events.Tick, error) {
	for range maxRebuilds + 1 {
		messages, err := build(w.base, w.end+1)
		if err != nil {
			return nil, err
		}
		tick, err := w.validate(messages)
		if err != nil {
			return nil, err
		}
		moved, err := w.commit(ctx, messages, tick)
		if err != nil {
			return nil, err
		}
		if !moved {
			return tick, nil
		}
	}
	return nil, fmt.Errorf("append tick: %w", ErrContention)
}

// validate judges the composed tick by the readers' own rule, so that nothing
// is ever stored that a reader would take for noise.
func (w *Writer) validate(messages []events.Message) (*events.Tick, error) {
	chain := events.NewChain(w.log.place.Fleet, w.log.writers, w.base.Head)
	for i, m := range messages {
		tick, noise, err := chain.Push(w.end+1+uint64(i), m)
		if err != nil {
			return nil, fmt.Errorf("append tick: %w", err)
		}
		if len(noise) > 0 {
			return nil, fmt.Errorf("append tick: composed an invalid tick: %w", noise[0].Why)
		}
		if tick != nil && i == len(messages)-1 {
			return tick, nil
		}
	}
	return nil, errors.New("append tick: composed an incomplete tick")
}

// commit publishes until the tick's fate is known. moved says that noise came
// first and the tick must be composed anew.
func (w *Writer) commit(ctx context.Context, messages []events.Message, tick *events.Tick) (moved bool, err error) {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 50*time.Millisecond, 2*time.Second
	for {
		published := w.log.publishFenced(ctx, messages, w.end)
		if published == nil {
			w.committed(tick)
			return false, nil
		}
		if w.attempts == nil {
			w.attempts = make(map[manifest.Digest]bool)
		}
		w.attempts[tick.Head.Digest] = true
		end := w.end
		mine, err := w.fate(ctx, tick)
		switch {
		case errors.Is(err, ErrUnavailable):
		case err != nil:
			return false, err
		case mine:
			return false, nil
		case w.end != end:
			w.noise(w.end - end)
			return true, nil
		case isFinal(published):
			return false, published
		}
		select {
		case <-ctx.Done():
			return false, fmt.Errorf("append tick: %w: %w", ErrUnavailable, context.Cause(ctx))
		case <-time.After(pause.NextBackOff()):
		}
	}
}

// isFinal tells refusals that the same bytes would meet again.
func isFinal(err error) bool {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		switch api.ErrorCode {
		case codeWrongLastSequence, codeExpectationRaced, codeBatchIncomplete, codeTooManyBatches, codeNoLeader:
			return false
		}
	}
	return !errors.Is(err, ErrUnavailable)
}

// fate reads what has become of the tick after an error.
func (w *Writer) fate(ctx context.Context, tick *events.Tick) (mine bool, err error) {
	before := w.base.Head.Digest
	if err := w.readEnd(ctx); err != nil {
		return false, err
	}
	head, err := w.log.headFrom(ctx, leader{w.log})
	if err != nil {
		return false, err
	}
	switch head.Digest {
	case tick.Head.Digest:
		w.committed(tick)
		return true, nil
	case before:
		return false, nil
	}
	own := w.attempts[head.Digest]
	if err := w.rebase(ctx, head); err != nil {
		return false, err
	}
	if own {
		return false, fmt.Errorf("append tick: an earlier attempt was stored meanwhile: %w", ErrContention)
	}
	return false, &OtherWriterError{head}
}

// committed makes the stored tick the new base without reading it again.
func (w *Writer) committed(tick *events.Tick) {
	w.base.Head, w.end = tick.Head, tick.Head.Seq
	if len(tick.Findings) > 0 {
		w.base.Last = tick.Findings
		if tick.Completed.Outcome == events.Verified {
			w.base.LastVerified = tick.Findings
		}
	}
	w.attempts = nil
}
