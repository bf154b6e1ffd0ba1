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
	return l.headFrom(ctx, anyCopy{l})
}

// headFrom finds the last valid tick: the newest message on the TickCompleted
// subject that is one by itself. Noise on that subject is stepped over. The
// tick's predecessor need not be read: an accepted writer signed its digest.
func (l *Log) headFrom(ctx context.Context, from source) (events.Head, error) {
	seq, err := from.last(ctx, l.place.Fleet.EventSubject("TickCompleted"))
	if errors.Is(err, ErrNoMessage) {
		return l.opening, nil
	}
	if err != nil {
		return events.Head{}, fmt.Errorf("read the last tick: %w", err)
	}
	tick, err := l.tickAtOrBefore(ctx, from, seq)
	if errors.Is(err, ErrNoTick) {
		return l.opening, nil
	}
	if err != nil {
		return events.Head{}, fmt.Errorf("read the last tick: %w", err)
	}
	return tick.Head, nil
}

// tickAtOrBefore reads the newest valid tick that is stored at or before seq.
// Error: [ErrNoTick], [*GapError], [*events.UnknownTypeError].
func (l *Log) tickAtOrBefore(ctx context.Context, from source, seq uint64) (*events.Tick, error) {
	for seq > l.opening.Seq {
		m, err := from.message(ctx, seq)
		if errors.Is(err, ErrNoMessage) {
			return nil, &GapError{l.place.Fleet.EventsStream(), seq, seq}
		}
		if err != nil {
			return nil, err
		}
		findings, ends := l.ends(m, seq)
		if ends {
			tick, err := l.readTick(ctx, from, seq-findings, seq)
			var unknown *events.UnknownTypeError
			if err == nil || errors.As(err, &unknown) || errors.Is(err, ErrUnavailable) || ctx.Err() != nil {
				return tick, err
			}
		}
		seq--
	}
	return nil, ErrNoTick
}

// ends tells whether m may end a tick here, and how many findings it then has.
func (l *Log) ends(m events.Message, seq uint64) (findings uint64, ok bool) {
	if m.Subject != l.place.Fleet.EventSubject("TickCompleted") {
		return 0, false
	}
	event, err := events.Decode(m.Body)
	if err != nil {
		return 0, false
	}
	completed, ok := event.(*events.TickCompleted)
	if !ok || completed.Seq != seq || uint64(completed.Index) >= seq-l.opening.Seq {
		return 0, false
	}
	return uint64(completed.Index), true
}

// readTick reads the messages first to last and judges them as one tick.
func (l *Log) readTick(ctx context.Context, from source, first, last uint64) (*events.Tick, error) {
	messages := make([]events.Message, 0, last-first+1)
	for seq := first; seq <= last; seq++ {
		m, err := from.message(ctx, seq)
		if err != nil {
			return nil, err
		}
		messages = append(messages, m)
	}
	return events.ReadTick(l.place.Fleet, l.writers, l.Lineage(), first, messages)
}

// Statement reads the tick whose findings are stored at first to last, from any
// copy.
func (l *Log) Statement(ctx context.Context, first, last uint64) (*events.Tick, error) {
	return l.statementFrom(ctx, anyCopy{l}, first, last)
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

// HeadAt reads the head that a reader stopped at: LogOpened, or the valid tick
// that is stored at seq. Error: [ErrAhead] when there is another message.
func (l *Log) HeadAt(ctx context.Context, seq uint64) (events.Head, error) {
	if seq == l.opening.Seq {
		return l.opening, nil
	}
	m, err := l.Message(ctx, seq)
	if errors.Is(err, ErrNoMessage) {
		return events.Head{}, fmt.Errorf("%w: nothing is stored at sequence %d", ErrAhead, seq)
	}
	if err != nil {
		return events.Head{}, err
	}
	findings, ok := l.ends(m, seq)
	if !ok {
		return events.Head{}, fmt.Errorf("%w: no tick ends at sequence %d", ErrAhead, seq)
	}
	tick, err := l.readTick(ctx, anyCopy{l}, seq-findings, seq)
	if err != nil {
		return events.Head{}, err
	}
	return tick.Head, nil
}
