package status

import (
	"context"
	"fmt"
	"math"
	"time"

	"fleetlog/consumers/view"
	"fleetlog/events"
)

// Intervals without a tick from which on a poller is late, and stands still.
const (
	lateAfter    = 2 // as an audit counts outages: a slow tick skips one
	stalledAfter = 3
)

// lastSuccess finds the newest tick whose fleet was verified. While ticks are
// skipped, that is the one before the first statement behind the retained set's;
// without a set it is looked for backwards.
func (b *building) lastSuccess(ctx context.Context) error {
	completed := b.tick.Completed
	if completed.Outcome == events.Verified {
		b.success = &b.tick.Head
		return nil
	}
	if set := completed.Set; set != nil {
		for head, err := range b.Past.Log.Statements(ctx, set.LastSeq+2, math.MaxUint64) {
			if err != nil {
				return err
			}
			return b.skippedFrom(ctx, head)
		}
	}
	steps := 0
	for stated, err := range b.Past.Back(ctx, b.tick.Head) {
		if err != nil {
			return err
		}
		if stated.Head.Completed.Outcome == events.Verified {
			b.success = &stated.Last
			return nil
		}
		b.skipped = &stated.Head
		if steps++; steps == b.back() {
			b.status.Problems["lastSuccess"] = fmt.Sprintf("not within the last %d statements of the log", steps)
			return nil
		}
	}
	return nil // there has been none
}

func (b *building) skippedFrom(ctx context.Context, head events.Head) error {
	before, err := b.Past.Log.Before(ctx, head.Completed.Statement.FirstSeq)
	if err != nil {
		return err
	}
	b.skipped, b.success = &head, &before.Head
	return nil
}

// poller is how the poller stands, by what it recorded.
func (b *building) poller() Process {
	completed, attempt := b.tick.Completed, b.tick.Head.Time
	p := Process{Name: Poller, State: Ready, LastAttempt: &attempt, IntervalMs: completed.IntervalMs}
	if b.success != nil {
		p.LastSuccess = &b.success.Time
	}
	interval := intervalOf(b.tick.Head)
	p.Note = fmt.Sprintf("tick %d, every %s", b.tick.Head.Number, interval)
	b.refusals(&p)
	if completed.Missed != nil {
		p.Note += fmt.Sprintf("; %d ticks before could not be recorded: %s", completed.Missed.Ticks, completed.Missed.Reason)
	}
	switch silence := b.now.Sub(attempt.Time()); {
	case interval <= 0:
	case silence > stalledAfter*interval:
		p.State = Stalled
		p.Note = fmt.Sprintf("no tick for %s, one is due every %s; ", Short(silence), interval) + p.Note
	case silence > lateAfter*interval:
		p.State = Late
		p.Note = fmt.Sprintf("no tick for %s, one is due every %s; ", Short(silence), interval) + p.Note
	}
	return p
}

func intervalOf(h events.Head) time.Duration {
	return time.Duration(h.Completed.IntervalMs) * time.Millisecond
}

// refusals says what the newest tick did not take.
func (b *building) refusals(p *Process) {
	if b.tick.Completed.Outcome == events.Skipped {
		c := b.standings.Fleet.Condition
		if r, ok := b.standings.Fleet.Finding.(*events.FleetRejected); ok {
			c.Reason, c.Detail = r.Reason, r.Detail
		}
		p.State, p.Reason, p.Note = Late, c.Reason, string(c.Reason)
		if b.skipped != nil && (b.success != nil || b.skipped.Number == 1) {
			p.Note += fmt.Sprintf(" x%d since %s", b.tick.Head.Number-b.skipped.Number+1, b.skipped.Time)
		}
		if c.Detail != "" {
			p.Note += ": " + c.Detail
		}
		return
	}
	refused, carried := 0, 0
	for _, c := range b.standings.Channels {
		switch f := c.Finding.(type) {
		case *events.RolloutRejected, *events.CrossCheckFailed:
			refused++
			p.Reason = view.ConditionOf(c.Finding, true).Reason
		case *events.RolloutVerified:
			if f.Carried != "" {
				carried++
				p.Reason = f.Carried
			}
		}
	}
	if refused+carried > 0 {
		p.State = Late
		p.Note = fmt.Sprintf("%d of %d channels refused, %d kept without being fetched; ", refused, len(b.standings.Channels), carried) + p.Note
	}
}
