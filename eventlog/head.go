package eventlog

import (
	"context"
	"errors"
	"fmt"

	"fleetlog/events"
	"fleetlog/manifest"
)

// Head reads the last valid tick from any copy of the log.
func (l *Log) Head(ctx context.Context) (events.Head, error) {
	tick, err := l.newest(ctx, anyCopy{l.events, l}, l.opening.Seq)
	if errors.Is(err, ErrNoTick) {
		return l.opening, nil
	}
	if err != nil {
		return events.Head{}, err
	}
	return tick.Head, nil
}

// newest reads the last valid tick behind the sequence above, stepping back from
// the newest message on the TickCompleted subject. Error: [ErrNoTick],
// [*GapError], [*events.UnknownTypeError].
func (l *Log) newest(ctx context.Context, from source, above uint64) (*events.Tick, error) {
	seq, err := from.last(ctx, l.ends())
	if errors.Is(err, ErrNoMessage) {
		return nil, ErrNoTick
	}
	if err != nil {
		return nil, fmt.Errorf("read the last tick: %w", err)
	}
	return l.tickAtOrBefore(ctx, from, seq, above)
}

// tickAtOrBefore reads the newest valid tick that ends at or before seq, but
// behind above. Noise is stepped over. The tick's predecessor need not be read:
// an accepted writer signed its digest.
func (l *Log) tickAtOrBefore(ctx context.Context, from source, seq, above uint64) (*events.Tick, error) {
	for ; seq > above; seq-- {
		m, err := from.message(ctx, seq)
		if err != nil {
			return nil, l.lost(err, seq)
		}
		head, err := l.chain().End(seq, m)
		if err == nil {
			var tick *events.Tick
			if tick, err = l.completeTick(ctx, from, head, m); err == nil {
				return tick, nil
			}
		}
		if stops(err) || ctx.Err() != nil {
			return nil, err
		}
	}
	return nil, ErrNoTick
}

// stops tells what a reader must not step over from what makes noise.
func stops(err error) bool {
	var unknown *events.UnknownTypeError
	var gap *GapError
	return errors.As(err, &unknown) || errors.As(err, &gap) || errors.Is(err, ErrUnavailable)
}

// ends is the subject of the messages that end ticks.
func (l *Log) ends() string { return l.place.Fleet.EventSubject("TickCompleted") }

// lost gives the absence of a message that has been stored its meaning.
func (l *Log) lost(err error, seq uint64) error {
	if errors.Is(err, ErrNoMessage) {
		return &GapError{l.place.Fleet.EventsStream(), seq, seq}
	}
	return err
}

// chain judges messages by themselves, whatever tick they follow.
func (l *Log) chain() *events.Chain {
	return events.NewChain(l.place.Fleet, l.writers, l.opening)
}

// readTick reads the messages first to last and judges them as one tick.
func (l *Log) readTick(ctx context.Context, from source, first, last uint64) (*events.Tick, error) {
	messages, err := l.readMessages(ctx, from, first, last)
	if err != nil {
		return nil, err
	}
	return events.ReadTick(l.place.Fleet, l.writers, l.Lineage(), first, messages)
}

// completeTick reads the findings of the tick that ends in the message.
func (l *Log) completeTick(ctx context.Context, from source, head events.Head, end events.Message) (*events.Tick, error) {
	first := head.Seq - uint64(head.Completed.Index)
	messages, err := l.readMessages(ctx, from, first, head.Seq-1)
	if err != nil {
		return nil, err
	}
	return events.ReadTick(l.place.Fleet, l.writers, l.Lineage(), first, append(messages, end))
}

func (l *Log) readMessages(ctx context.Context, from source, first, last uint64) ([]events.Message, error) {
	messages := make([]events.Message, 0, last+2-first)
	for seq := first; seq <= last; seq++ {
		m, err := from.message(ctx, seq)
		if err != nil {
			return nil, l.lost(err, seq)
		}
		messages = append(messages, m)
	}
	return messages, nil
}

// Statement reads the tick whose findings are stored at first to last, from any
// copy. Error: [*GapError], [*events.UnknownTypeError], [ErrUnavailable], or what
// is wrong with it.
func (l *Log) Statement(ctx context.Context, first, last uint64) (*events.Tick, error) {
	return l.statementFrom(ctx, anyCopy{l.events, l}, first, last)
}

func (l *Log) statementFrom(ctx context.Context, from source, first, last uint64) (*events.Tick, error) {
	tick, err := l.readTick(ctx, from, first, last+1)
	if err != nil {
		return nil, fmt.Errorf("read statement at %d to %d: %w", first, last, err)
	}
	return tick, nil
}

// sum is the SHA-256 of a stored body, as the chain names it.
func sum(m events.Message) manifest.Digest { return manifest.Sum(m.Body) }

// HeadAt reads the head that a reader stopped at: LogOpened, or the tick that
// ends at seq, whose findings the reader has read. Errors: [ErrAhead] when there
// is another message, [*events.UnknownTypeError], [ErrUnavailable].
func (l *Log) HeadAt(ctx context.Context, seq uint64) (events.Head, error) {
	if seq == l.opening.Seq {
		return l.opening, nil
	}
	info, err := l.infoFrom(ctx, seq)
	if err != nil {
		return events.Head{}, err
	}
	if last := info.State.LastSeq; last < seq {
		return events.Head{}, fmt.Errorf("%w: its end is %d, before sequence %d", ErrAhead, last, seq)
	}
	m, err := l.Message(ctx, seq)
	if err != nil {
		return events.Head{}, lags(err, seq)
	}
	head, err := l.chain().End(seq, m)
	if err != nil && !stops(err) {
		err = fmt.Errorf("%w: sequence %d: %w", ErrAhead, seq, err)
	}
	return head, err
}
