package eventlog

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"fleetlog/events"

	"github.com/google/uuid"
)

// Point is a moment of the log as a person names it.
type Point struct {
	kind pointKind
	n    uint64    // of seq and number
	id   string    // of a tick
	at   time.Time // of time, and the hint that a tick's id holds
}

type pointKind int

const (
	pointNewest pointKind = iota
	pointSeq
	pointNumber
	pointID
	pointTime
)

// ParsePoint reads seq:N, tick:N (number or id), an RFC 3339 instant, or a
// duration before now such as -2h. The empty text is the newest tick.
func ParsePoint(text string, now time.Time) (Point, error) {
	if text == "" {
		return Point{}, nil
	}
	if n, ok := strings.CutPrefix(text, "seq:"); ok {
		seq, err := strconv.ParseUint(n, 10, 53)
		if err != nil || seq == 0 {
			return Point{}, pointError(text)
		}
		return Point{kind: pointSeq, n: seq}, nil
	}
	if n, ok := strings.CutPrefix(text, "tick:"); ok {
		return parseTickPoint(text, n)
	}
	if strings.HasPrefix(text, "-") {
		ago, err := time.ParseDuration(text)
		if err != nil {
			return Point{}, pointError(text)
		}
		return Point{kind: pointTime, at: now.Add(ago)}, nil
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return Point{}, pointError(text)
	}
	return Point{kind: pointTime, at: at}, nil
}

func parseTickPoint(text, n string) (Point, error) {
	if number, err := strconv.ParseUint(n, 10, 53); err == nil && number > 0 {
		return Point{kind: pointNumber, n: number}, nil
	}
	id, err := uuid.Parse(n)
	if err != nil || id.String() != n {
		return Point{}, pointError(text)
	}
	seconds, nanos := id.Time().UnixTime()
	return Point{kind: pointID, id: n, at: time.Unix(seconds, nanos)}, nil
}

func pointError(text string) error {
	return fmt.Errorf("%q is not a point in the log: want seq:N, tick:N, tick:ID, an RFC 3339 time, or a duration such as -2h", text)
}

// At reads the last valid tick at or before the point, by its own time or
// number, in a handful of direct reads whatever the log's length. Error:
// [ErrNoTick].
func (l *Log) At(ctx context.Context, p Point) (*events.Tick, error) {
	from := anyCopy{l}
	newest, err := l.headFrom(ctx, from)
	if err != nil {
		return nil, err
	}
	if newest.Completed == nil {
		return nil, ErrNoTick
	}
	last, err := l.tickAtOrBefore(ctx, from, newest.Seq)
	if err != nil {
		return nil, err
	}
	switch p.kind {
	case pointSeq:
		if p.n >= last.Head.Seq {
			return last, nil
		}
		return l.tickAtOrBefore(ctx, from, p.n)
	case pointNumber:
		tick, err := l.search(ctx, last, float64(p.n), func(h events.Head) float64 { return float64(h.Number) })
		if err == nil && tick.Head.Number != p.n {
			return nil, fmt.Errorf("tick %d: %w", p.n, ErrNoTick)
		}
		return tick, err
	case pointTime:
		return l.searchTime(ctx, last, p.at)
	case pointID:
		return l.searchID(ctx, last, p)
	}
	return last, nil
}

func (l *Log) searchTime(ctx context.Context, last *events.Tick, at time.Time) (*events.Tick, error) {
	return l.search(ctx, last, float64(at.UnixMilli()), func(h events.Head) float64 { return float64(h.Time) })
}

// idNeighbours is how far the time in a tick's id may be from the tick's own
// time, in ticks.
const idNeighbours = 16

func (l *Log) searchID(ctx context.Context, last *events.Tick, p Point) (*events.Tick, error) {
	tick, err := l.searchTime(ctx, last, p.at.Add(time.Minute))
	for range idNeighbours {
		if err != nil || tick.Head.Tick == p.id {
			break
		}
		tick, err = l.tickAtOrBefore(ctx, anyCopy{l}, tick.Head.Seq-uint64(tick.Completed.Index)-1)
	}
	if errors.Is(err, ErrNoTick) || err == nil && tick.Head.Tick != p.id {
		return nil, fmt.Errorf("tick %s: %w", p.id, ErrNoTick)
	}
	return tick, err
}

// search finds the last tick whose key is at most want. The key never falls
// along the log, so the place is estimated from the two ends and the estimate
// tightened; every third step halves instead, which bounds the steps where the
// key does not grow evenly.
func (l *Log) search(ctx context.Context, last *events.Tick, want float64, key func(events.Head) float64) (*events.Tick, error) {
	if key(last.Head) <= want {
		return last, nil
	}
	from := anyCopy{l}
	low, high := l.opening, last.Head // key(low) <= want < key(high), once low is a tick
	var found *events.Tick
	for step := 0; high.Seq-uint64(high.Completed.Index) > low.Seq+1; step++ {
		first, end := low.Seq+1, high.Seq-uint64(high.Completed.Index)-1
		guess := first + (end-first)/2
		if span := key(high) - key(low); step%3 != 2 && span > 0 {
			share := (want - key(low)) / span
			guess = first + uint64(max(0, min(1, share))*float64(end-first))
		}
		tick, err := l.tickAtOrBefore(ctx, from, guess)
		if err != nil && !errors.Is(err, ErrNoTick) {
			return nil, err
		}
		if err != nil || tick.Head.Seq <= low.Seq {
			low.Seq = guess // no tick ends between low and the guess
			continue
		}
		if key(tick.Head) <= want {
			found = tick
			low = tick.Head
		} else {
			high = tick.Head
		}
	}
	if found == nil {
		return nil, ErrNoTick
	}
	return found, nil
}
