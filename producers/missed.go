package producers

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"fleetlog/eventlog"
	"fleetlog/events"
)

// passed counts points of the grid that the tick before them has taken up. One
// that could not be recorded gives them its reason.
func (p *Poller) passed(points int64) {
	if points <= 0 || p.standby {
		return
	}
	p.missed += uint64(points)
	p.Metrics.missed(uint64(points))
	p.why = cmp.Or(p.why, events.Overrun)
}

// unrecorded counts a tick that is not in the log, and tells which errors end
// the loop.
func (p *Poller) unrecorded(ctx context.Context, err error) error {
	var other *eventlog.OtherWriterError
	if errors.As(err, &other) {
		p.Metrics.unrecorded(err, "")
		p.hear(ctx)
		return nil
	}
	reason, transient := whyMissed(err)
	if !transient {
		return advised(err)
	}
	p.Metrics.unrecorded(err, reason)
	if reason != "" {
		p.missed++
		p.why = reason
	}
	p.Ready(err)
	p.state.change("missed "+string(reason), "tick not recorded: "+err.Error())
	return nil
}

// advised adds to an error that ends the loop what to do about it.
func advised(err error) error {
	if errors.Is(err, eventlog.ErrAhead) {
		return fmt.Errorf("%w: the log was put back or replaced; if that was meant, start again, and it goes on from the log's end", err)
	}
	return err
}

// Errors that keep a tick out of the log.
var (
	// ErrOverrun: the tick was not through at its deadline.
	ErrOverrun = errors.New("tick took longer than its deadline")
	// ErrClockSkew: ticks would carry a wrong time.
	ErrClockSkew = errors.New("clock differs from the broker's")
)

// whyMissed gives the reason under which a tick counts as missed; none for one
// that was not to be recorded. Other errors end the loop.
func whyMissed(err error) (reason events.Reason, transient bool) {
	switch {
	case errors.Is(err, eventlog.ErrUnavailable): // also of a tick whose deadline came meanwhile
		return events.BrokerUnavailable, true
	case errors.Is(err, ErrOverrun):
		return events.Overrun, true
	case errors.Is(err, ErrClockSkew):
		return events.ClockSkew, true
	case errors.Is(err, eventlog.ErrLogFull):
		return events.LogFull, true
	case errors.Is(err, eventlog.ErrBatchTooLarge), errors.Is(err, events.ErrTooLarge):
		return events.BatchTooLarge, true
	case errors.Is(err, eventlog.ErrContention):
		return events.Contention, true
	case errors.Is(err, events.ErrContinuedUnverified):
		return "", true
	}
	return "", false
}
