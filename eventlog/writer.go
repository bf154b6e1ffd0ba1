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
	end      uint64                   // of the stream; no tick behind base ends up to it
	attempts map[manifest.Digest]bool // own ticks whose fate is not known
	noise    func(first, count uint64)
	chain    *events.Chain // that the last tick was judged by
	signs    bool          // a tick that this writer composed was signed as it says
}

// NewWriter reads the last valid tick, its statement and the newest verified
// statement. noise is told once of foreign messages behind the last tick: the
// sequence of the first, and how many.
func (l *Log) NewWriter(ctx context.Context, noise func(first, count uint64)) (*Writer, error) {
	w := &Writer{
		log: l, base: events.Base{Fleet: l.place.Fleet, Head: l.opening}, end: l.opening.Seq, noise: noise,
		chain: events.NewChain(l.place.Fleet, l.writers, l.opening),
	}
	if _, err := w.Refresh(ctx); err != nil {
		return nil, err
	}
	return w, nil
}

// Base is what the next tick is composed on.
func (w *Writer) Base() events.Base { return w.base }

// Refresh reads the end of the log anew, and tells whether another writer has
// appended since. Errors: [ErrAhead] when the stream is not the one that was
// read before, [ErrMissing], [*GapError], [*DriftError],
// [*events.UnknownTypeError], [ErrUnavailable].
func (w *Writer) Refresh(ctx context.Context) (other bool, err error) {
	end, err := w.readEnd(ctx)
	if err != nil || end == w.end {
		return false, err
	}
	tick, err := w.log.newest(ctx, w.leader(), w.end)
	if errors.Is(err, ErrNoTick) {
		w.extend(w.end, end)
		return false, nil
	}
	if err != nil {
		return false, err
	}
	other = !w.attempts[tick.Head.Digest]
	if err := w.rebase(ctx, tick); err != nil {
		return false, err
	}
	w.extend(tick.Head.Seq, max(end, tick.Head.Seq)) // the tick may have come after the end was read
	return other, nil
}

// extend takes note of the stream's end; what is behind read is noise.
func (w *Writer) extend(read, end uint64) {
	if w.end = end; end > read {
		w.noise(read+1, end-read)
	}
}

// leader reads the events where a writer decides.
func (w *Writer) leader() leader { return leader{w.log, w.log.place.Fleet.EventsStream()} }

// readEnd asks for the end before a newer tick is looked for: one that comes
// between the two is then seen, and one that comes later meets the fence. The
// stream must still hold the base where it was.
func (w *Writer) readEnd(ctx context.Context) (uint64, error) {
	info, err := w.log.infoFrom(ctx, w.base.Head.Seq)
	if err == nil {
		err = drift(eventsConfig(w.base.Fleet, Limits{}), info.Config)
	}
	if err != nil {
		return 0, err
	}
	base, end := w.base.Head, info.State.LastSeq
	if end < base.Seq {
		return 0, fmt.Errorf("%w: its end is %d, before tick %d at %d", ErrAhead, end, base.Number, base.Seq)
	}
	m, err := w.leader().message(ctx, base.Seq)
	if err != nil {
		return 0, w.log.lost(err, base.Seq)
	}
	if sum(m) != base.Digest {
		return 0, fmt.Errorf("%w: sequence %d holds another message than tick %d", ErrAhead, base.Seq, base.Number)
	}
	return end, nil
}

// Surroundings is what a writer must know beside the events.
type Surroundings struct {
	BrokerTime time.Time
	Artifacts  uint64 // sequence of the newest message of the artifacts stream
}

// Surroundings asks for the broker's clock and the end of the artifacts stream.
// Errors: [ErrMissing], [*DriftError], [ErrUnavailable].
func (w *Writer) Surroundings(ctx context.Context) (Surroundings, error) {
	info, err := w.log.artifactsInfo(ctx)
	if err != nil {
		return Surroundings{}, err
	}
	return Surroundings{info.TimeStamp, info.State.LastSeq}, nil
}

// Age is how long ago the broker stored the last tick, by its own clock. Errors:
// [ErrNoMessage], [ErrUnavailable].
func (w *Writer) Age(ctx context.Context) (time.Duration, error) {
	stored, err := w.leader().get(ctx, messageRequest{Seq: w.base.Head.Seq})
	if err != nil {
		return 0, err
	}
	info, err := w.log.eventsInfo(ctx)
	if err != nil {
		return 0, err
	}
	return info.TimeStamp.Sub(stored.Message.Time), nil
}

// rebase makes the tick the one that the next one follows. Statements that the
// base before it holds are not read again.
func (w *Writer) rebase(ctx context.Context, tick *events.Tick) error {
	t, before := tick.Completed, w.base.Head.Completed
	stated := tick.Findings
	switch {
	case len(stated) > 0:
	case before != nil && before.Statement.FirstSeq == t.Statement.FirstSeq:
		stated = w.base.Last
	default:
		statement, err := w.log.statementFrom(ctx, w.leader(), t.Statement.FirstSeq, t.Statement.LastSeq)
		if err != nil {
			return err
		}
		if statement.Completed.Statement.Digest != t.Statement.Digest {
			return fmt.Errorf("statement at %d has another digest than tick %d names", t.Statement.FirstSeq, t.Number)
		}
		stated = statement.Findings
	}
	verified := stated
	if t.Outcome == events.Skipped {
		var err error
		if verified, err = w.lastVerified(ctx, t); err != nil {
			return err
		}
	}
	w.base = events.Base{Fleet: w.base.Fleet, Head: tick.Head, Last: stated, LastVerified: verified}
	w.attempts = nil
	return nil
}

// lastVerified reads the findings of the newest verified tick before t, which is
// skipped. While trust covers no set at all, that is a walk from statement to
// statement.
func (w *Writer) lastVerified(ctx context.Context, t *events.TickCompleted) ([]events.Finding, error) {
	if before := w.base.Head.Completed; t.Set != nil && before != nil && before.Set != nil && before.Set.FirstSeq == t.Set.FirstSeq {
		return w.base.LastVerified, nil
	}
	if t.Set != nil {
		verified, err := w.log.statementFrom(ctx, w.leader(), t.Set.FirstSeq, t.Set.LastSeq)
		if err != nil {
			return nil, err
		}
		return verified.Findings, nil
	}
	for first := t.Statement.FirstSeq; ; {
		before, err := w.log.tickAtOrBefore(ctx, w.leader(), first-1, w.log.opening.Seq)
		if errors.Is(err, ErrNoTick) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		s := before.Completed.Statement
		if before.Completed.Outcome == events.Verified {
			stated, err := w.log.statementFrom(ctx, w.leader(), s.FirstSeq, s.LastSeq)
			if err != nil {
				return nil, err
			}
			return stated.Findings, nil
		}
		first = s.FirstSeq
	}
}

// SetArtifacts reads from the leader the bytes that the newest verified statement
// names, which the set is made of. Errors: [*ArtifactError], [ErrUnavailable].
func (w *Writer) SetArtifacts(ctx context.Context) (*StatementArtifacts, error) {
	return readArtifacts(ctx, leader{w.log, w.log.place.Fleet.ArtifactsStream()}, w.base.LastVerified, nil)
}

// Build composes the messages of a tick on base from firstSeq on. It is called
// for every attempt to store the tick, must use the same tick id each time, and
// must give the same bytes for the same arguments. Its error ends the attempts.
type Build func(base events.Base, firstSeq uint64) ([]events.Message, error)

// Append stores one tick, whole or not at all, directly behind the stream's
// end. When it returns a tick, the tick is durable as the stream's settings
// have it, and is the writer's new base. Errors: [*OtherWriterError] (the base
// is then the other's tick), [ErrUnavailable] (the tick may still be stored;
// [Writer.Refresh] tells), [ErrLogFull], [ErrBatchTooLarge], [ErrContention].
func (w *Writer) Append(ctx context.Context, build Build) (*events.Tick, error) {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 50*time.Millisecond, 2*time.Second
	for rebuilds := 0; rebuilds <= maxRebuilds; {
		end := w.end
		tick, err := w.try(ctx, build)
		if err == nil || tick == nil {
			return tick, err
		}
		refused := err
		mine, err := w.learnFate(ctx, tick, pause)
		switch {
		case err != nil:
			return nil, err
		case mine:
			return tick, nil
		case w.end != end:
			rebuilds++
			continue
		case isFinal(refused):
			return nil, refused
		}
		if err := rest(ctx, pause); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("append tick: %w", ErrContention)
}

// try composes the tick for the end that is known, and publishes it. With an
// error it returns the tick when that was published and may be stored.
func (w *Writer) try(ctx context.Context, build Build) (*events.Tick, error) {
	messages, err := build(w.base, w.end+1)
	if err != nil {
		return nil, err
	}
	tick, err := w.validate(messages)
	if err != nil {
		return nil, err
	}
	holds := make(chan bool, 1)
	go func() { holds <- w.chain.HeadHolds() }()
	err = w.log.publishFenced(ctx, messages, w.end)
	if w.signs = <-holds; w.signs && err == nil {
		w.committed(tick)
		return tick, nil
	}
	if w.attempts == nil {
		w.attempts = make(map[manifest.Digest]bool)
	}
	w.attempts[tick.Head.Digest] = true
	if !w.signs {
		return nil, errors.Join(err, errUnsigned)
	}
	return tick, err
}

// errUnsigned ends the attempt of a writer whose key once signed well and does no
// longer: what it stored is noise. The next attempt stores nothing unless it is signed.
var errUnsigned = errors.New("append tick: its signature does not hold: check the writer key's device or memory")

// validate judges the composed tick by the readers' own rule, so that nothing
// is stored that a reader would take for noise. The signature of a writer that has
// once signed is left to be looked at while the server stores the tick.
func (w *Writer) validate(messages []events.Message) (*events.Tick, error) {
	chain := w.chain.Behind(w.base.Head)
	if w.signs {
		chain.DeferSignatures()
	}
	for i, m := range messages {
		tick, noise, err := chain.Push(w.end+1+uint64(i), m)
		if err != nil {
			return nil, fmt.Errorf("append tick: %w", err)
		}
		if len(noise) > 0 {
			return nil, fmt.Errorf("append tick: composed an invalid tick: %w", noise[0].Why)
		}
		if tick != nil && i == len(messages)-1 {
			w.chain = chain
			return tick, nil
		}
	}
	return nil, errors.New("append tick: composed an incomplete tick")
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
