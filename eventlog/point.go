package eventlog

import (
	"context"
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
// duration before now, -2h or now-2h. The empty text is the newest tick.
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
	if before := strings.TrimPrefix(text, "now"); strings.HasPrefix(before, "-") {
		ago, err := time.ParseDuration(before)
		if err != nil {
			return Point{}, pointError(text)
		}
		return Point{kind: pointTime, at: now.Add(ago)}, nil
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if year := at.UTC().Year(); err != nil || year < 0 || year > 9999 {
		return Point{}, pointError(text)
	}
	return Point{kind: pointTime, at: at}, nil
}

// tickIDVersion is the version of UUID that names a tick: it holds a time.
const tickIDVersion = 7

func parseTickPoint(text, n string) (Point, error) {
	if number, err := strconv.ParseUint(n, 10, 53); err == nil && number > 0 {
		return Point{kind: pointNumber, n: number}, nil
	}
	id, err := uuid.Parse(n)
	if err != nil || id.String() != n || id.Version() != tickIDVersion {
		return Point{}, pointError(text)
	}
	seconds, nanos := id.Time().UnixTime()
	return Point{kind: pointID, id: n, at: time.Unix(seconds, nanos)}, nil
}

// PointOfSeq is seq:N.
func PointOfSeq(seq uint64) Point { return Point{kind: pointSeq, n: seq} }

// PointOfNumber is tick:N.
func PointOfNumber(number uint64) Point { return Point{kind: pointNumber, n: number} }

// String is a text that [ParsePoint] reads as the same point.
func (p Point) String() string {
	switch p.kind {
	case pointSeq:
		return "seq:" + strconv.FormatUint(p.n, 10)
	case pointNumber:
		return "tick:" + strconv.FormatUint(p.n, 10)
	case pointID:
		return "tick:" + p.id
	case pointTime:
		return p.at.UTC().Format(time.RFC3339Nano)
	}
	return ""
}

func pointError(text string) error {
	return fmt.Errorf("%q is not a point in the log: want seq:N, tick:N, tick:ID, an RFC 3339 time, or a duration such as -2h", text)
}

// At reads the last valid tick at or before the point, by its own time or
// number, in a handful of direct reads whatever the log's length. Error:
// [ErrNoTick], [*GapError], [*events.UnknownTypeError], [ErrUnavailable].
func (l *Log) At(ctx context.Context, p Point) (*events.Tick, error) {
	return l.at(ctx, anyCopy{l.events, l}, p)
}

// AtLeader is [Log.At] where an error must mean a loss: it asks the stream's
// leader, behind which no copy can be.
func (l *Log) AtLeader(ctx context.Context, p Point) (*events.Tick, error) {
	return l.at(ctx, leader{l, l.place.Fleet.EventsStream()}, p)
}

func (l *Log) at(ctx context.Context, from source, p Point) (*events.Tick, error) {
	newest, err := l.newest(ctx, from, l.opening.Seq)
	if err != nil {
		return nil, err
	}
	head, err := l.headAt(ctx, from, newest.Head, p)
	switch {
	case err != nil:
		return nil, err
	case head.Seq == newest.Head.Seq:
		return newest, nil
	}
	return l.tickAtOrBefore(ctx, from, head.Seq, l.opening.Seq)
}

func (l *Log) headAt(ctx context.Context, from source, newest events.Head, p Point) (events.Head, error) {
	s := &search{log: l, from: from}
	switch p.kind {
	case pointSeq:
		s.key, s.want = bySeq, float64(p.n)
	case pointTime:
		s.key, s.want = byTime, float64(p.at.UnixMilli())
	case pointNumber:
		s.key, s.want = byNumber, float64(p.n)
		head, err := s.before(ctx, newest)
		if err == nil && head.Number != p.n {
			return head, fmt.Errorf("tick %d: %w", p.n, ErrNoTick)
		}
		return head, err
	case pointID:
		head, err := l.withID(ctx, from, newest, p)
		if err != nil {
			return head, fmt.Errorf("tick %s, looked for near %s, when its id was made: %w", p.id, events.TimeOf(p.at), err)
		}
		return head, nil
	default:
		return newest, nil
	}
	return s.before(ctx, newest)
}
