package eventlog

import (
	"context"
	"errors"
	"iter"
	"math"

	"fleetlog/events"
)

// Statements yields, in order, the ticks that state their findings themselves, and
// whose messages are all at first to last. What is between two of them is not read: an
// unchanged tick repeats the statement before it. The findings are not read
// either; see [Log.Statement]. The error is the last thing yielded. Errors:
// [*events.UnknownTypeError], [ErrUnavailable].
func (l *Log) Statements(ctx context.Context, first, last uint64) iter.Seq2[events.Head, error] {
	return l.statements(ctx, anyCopy{l.events, l}, first, last)
}

func (l *Log) statements(ctx context.Context, from source, first, last uint64) iter.Seq2[events.Head, error] {
	return func(yield func(events.Head, error) bool) {
		w := &walk{log: l, from: from, head: l.opening}
		for seq := max(first, l.opening.Seq+1); ; {
			head, err := w.statement(ctx, seq)
			if errors.Is(err, ErrNoMessage) || err == nil && head.Seq > last {
				return
			}
			if !yield(head, err) || err != nil {
				return
			}
			seq = head.Seq + 1
		}
	}
}

// walk goes from statement to statement. Each begins with the one finding about
// the fleet.
type walk struct {
	log  *Log
	from source
	head events.Head // of the last statement
	next [2]uint64   // where the next message of each kind is, at or behind what was asked for
}

// nowhere is behind every sequence.
const nowhere = math.MaxUint64

// statement finds the first tick with findings that begins at or behind seq.
// Error: [ErrNoMessage] when there is none.
func (w *walk) statement(ctx context.Context, seq uint64) (events.Head, error) {
	for {
		begin, err := w.fleetFinding(ctx, seq)
		if err != nil {
			return events.Head{}, err
		}
		m, end, err := w.from.next(ctx, w.log.ends(), begin+1)
		if err != nil {
			return events.Head{}, err
		}
		head, err := w.log.chain().End(end, m)
		if stops(err) {
			return events.Head{}, err
		}
		if err == nil && begins(head, begin) && head.Number > w.head.Number && head.Time >= w.head.Time {
			w.head = head
			return head, nil
		}
		seq = begin + 1 // it was noise
	}
}

func begins(head events.Head, seq uint64) bool {
	t := head.Completed
	return t.Index > 0 && t.Statement.FirstSeq == seq && seq+uint64(t.Index) == head.Seq
}

// fleetFinding is the place of the first finding about the fleet at or behind
// seq.
func (w *walk) fleetFinding(ctx context.Context, seq uint64) (uint64, error) {
	for i, leaf := range []string{"FleetFetched", "FleetRejected"} {
		if w.next[i] >= seq {
			continue
		}
		_, at, err := w.from.next(ctx, w.log.place.Fleet.EventSubject(leaf), seq)
		if errors.Is(err, ErrNoMessage) {
			at, err = nowhere, nil
		}
		if err != nil {
			return 0, err
		}
		w.next[i] = at
	}
	begin := min(w.next[0], w.next[1])
	if begin == nowhere {
		return 0, ErrNoMessage
	}
	return begin, nil
}

// Before reads the last valid tick that ends before seq, from any copy: in one
// read where no noise is. Errors are those of [Log.At].
func (l *Log) Before(ctx context.Context, seq uint64) (*events.Tick, error) {
	from := anyCopy{l.events, l}
	if seq <= l.opening.Seq+1 {
		return nil, ErrNoTick
	}
	m, err := from.message(ctx, seq-1)
	if err != nil {
		return nil, l.lost(err, seq-1)
	}
	if head, err := l.chain().End(seq-1, m); err == nil {
		return l.completeTick(ctx, from, head, m)
	}
	return l.at(ctx, from, Point{kind: pointSeq, n: seq - 1})
}

// Ending reads the tick that ends at seq without its findings, from any copy.
// Errors are those of [Log.HeadAt].
func (l *Log) Ending(ctx context.Context, seq uint64) (events.Head, error) {
	m, err := l.Message(ctx, seq)
	if err != nil {
		return events.Head{}, l.lost(err, seq)
	}
	return l.chain().End(seq, m)
}
