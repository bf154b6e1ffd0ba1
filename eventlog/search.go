package eventlog

import (
	"context"
	"errors"

	"fleetlog/events"
)

// search finds the last tick whose key is at most want. The key never falls
// along the log, so the place is estimated from the two ends; where the key grows
// unevenly, which an estimate shows by leaving more than half, the next step
// halves. Numbers tell when no tick can be between the ends any more.
//
// A step reads the first tick behind its guess. Where only noise is for as long
// as its patience, it passes that over: what is before is searched first, then
// what is behind, from the end, so that a flood of noise costs no more than
// finding its two edges. If ticks are still missing then, they are in between,
// and everything is searched again with more patience.
type search struct {
	log  *Log
	from source
	want float64
	key  func(events.Head) float64

	low, high  events.Head // key(low) <= want < key(high); low may be the opening
	first, end uint64      // where the next tick is looked for
	patience   int         // messages of noise that one step reads
	passed     bool        // noise was passed over
	behind     span        // the first noise that was; not looked at yet
	backward   bool        // at work behind it
}

type span struct{ first, end uint64 }

const (
	firstPatience = 4
	morePatience  = 8 // times as much
)

// before finds in the ticks up to newest. It is the opening when there is none.
// Error: [*GapError], [*events.UnknownTypeError].
func (s *search) before(ctx context.Context, newest events.Head) (events.Head, error) {
	if s.key(newest) <= s.want {
		return newest, nil
	}
	s.low, s.high, s.patience = s.log.opening, newest, firstPatience
	s.everywhere()
	for halve := false; s.low.Number+1 < s.high.Number; {
		if s.first > s.end && !s.further() {
			return events.Head{}, &GapError{s.log.place.Fleet.EventsStream(), s.low.Seq + 1, s.high.Seq - uint64(s.high.Completed.Index) - 1}
		}
		left := s.end - s.first
		if err := s.step(ctx, s.guess(halve)); err != nil {
			return events.Head{}, err
		}
		halve = s.end > s.first && s.end-s.first > left/2
	}
	return s.low, nil
}

func (s *search) everywhere() {
	s.first, s.end = s.low.Seq+1, s.high.Seq-1
	s.passed, s.behind, s.backward = false, span{}, false
}

// further goes on to what was passed over, if anything was.
func (s *search) further() bool {
	switch {
	case s.behind.end > 0:
		s.first, s.end = max(s.behind.first, s.low.Seq+1), s.behind.end
		s.behind, s.backward = span{}, true
	case s.passed:
		s.patience *= morePatience
		s.everywhere()
	default:
		return false
	}
	return true
}

func (s *search) guess(halve bool) uint64 {
	share := 0.5
	if low, high := s.key(s.low), s.key(s.high); !halve && low < high {
		share = max(0, min(1, (s.want-low)/(high-low)))
	}
	return min(s.first+uint64(share*float64(s.end-s.first)), s.end)
}

// step narrows the search by the first tick that ends at or behind guess.
func (s *search) step(ctx context.Context, guess uint64) error {
	seq := guess
	for range s.patience {
		m, at, err := s.from.next(ctx, s.log.ends(), seq)
		if errors.Is(err, ErrNoMessage) || err == nil && at >= s.high.Seq {
			s.end = guess - 1
			return nil
		}
		if err != nil {
			return err
		}
		head, err := s.log.chain().End(at, m)
		if err == nil {
			s.narrow(head, guess)
			return nil
		}
		if stops(err) {
			return err
		}
		seq = at + 1
	}
	s.pass(guess, seq)
	return nil
}

// narrow takes a tick that is the first to end at or behind guess.
func (s *search) narrow(head events.Head, guess uint64) {
	if s.key(head) <= s.want {
		s.low, s.first = head, head.Seq+1
		return
	}
	s.high, s.end, s.behind = head, guess-1, span{}
}

// pass leaves out what is noise from guess up to next, and what may be between
// that and other noise.
func (s *search) pass(guess, next uint64) {
	if s.backward {
		s.first = next
	} else {
		if !s.passed {
			s.behind = span{next, s.end}
		}
		s.end = guess - 1
	}
	s.passed = true
}

func bySeq(h events.Head) float64    { return float64(h.Seq) }
func byNumber(h events.Head) float64 { return float64(h.Number) }
func byTime(h events.Head) float64   { return float64(h.Time) }

// idNeighbours is how far from the time in its id a tick is looked for, in ticks.
const idNeighbours = 16

// withID looks around the moment at which the id was made, which is shortly behind
// the tick's own time unless a clock was set back. Error: [ErrNoTick].
func (l *Log) withID(ctx context.Context, from source, newest events.Head, p Point) (events.Head, error) {
	near := &search{log: l, from: from, key: byTime, want: float64(p.at.UnixMilli())}
	head, err := near.before(ctx, newest)
	if err != nil {
		return head, err
	}
	for number, away := head.Number, uint64(0); away <= idNeighbours; away++ {
		for _, n := range []uint64{number + away, number - away} {
			if n < 1 || n > newest.Number { // below 0 it wraps around
				continue
			}
			s := &search{log: l, from: from, key: byNumber, want: float64(n)}
			if head, err = s.before(ctx, newest); err != nil || head.Tick == p.id {
				return head, err
			}
		}
	}
	return events.Head{}, ErrNoTick
}
