package eventlog

import (
	"context"
	"time"

	"fleetlog/events"
)

// What streams are made with, and compared with.
var (
	EventsConfig = eventsConfig
	Drift        = drift
)

// Hasten shortens every wait for an answer of the broker.
func (l *Log) Hasten(d time.Duration) { l.wait = waits{d, d} }

// AtCounting is At, and tells how many messages were read. Those at the
// sequences in lost are taken for lost.
func (l *Log) AtCounting(ctx context.Context, p Point, lost map[uint64]bool) (tick *events.Tick, reads int, err error) {
	from := &counting{source: anyCopy{l.events, l}, lost: lost}
	tick, err = l.at(ctx, from, p)
	return tick, from.reads, err
}

type counting struct {
	source
	lost  map[uint64]bool
	reads int
}

func (c *counting) message(ctx context.Context, seq uint64) (events.Message, error) {
	c.reads++
	if c.lost[seq] {
		return events.Message{}, ErrNoMessage
	}
	return c.source.message(ctx, seq)
}

func (c *counting) last(ctx context.Context, subject string) (uint64, error) {
	c.reads++
	return c.source.last(ctx, subject)
}

func (c *counting) next(ctx context.Context, subject string, seq uint64) (m events.Message, at uint64, err error) {
	c.reads++
	for m, at, err = c.source.next(ctx, subject, seq); err == nil && c.lost[at]; {
		m, at, err = c.source.next(ctx, subject, at+1)
	}
	return m, at, err
}

// StatementsCounting counts the statements and the reads that they took.
func (l *Log) StatementsCounting(ctx context.Context, first, last uint64) (found, reads int, err error) {
	from := &counting{source: anyCopy{l.events, l}}
	for _, err := range l.statements(ctx, from, first, last) {
		if err != nil {
			return found, from.reads, err
		}
		found++
	}
	return found, from.reads, nil
}
