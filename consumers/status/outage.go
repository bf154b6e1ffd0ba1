package status

import (
	"context"
	"time"

	"fleetlog/consumers/check"
	"fleetlog/consumers/past"
	"fleetlog/consumers/view"
	"fleetlog/eventlog"
	"fleetlog/events"
)

// lookBack goes from statement to statement backwards, for the ticks that stated
// something else and for the outages between them.
func (b *building) lookBack(ctx context.Context) error {
	w := &walk{building: b}
	w.silent()
	steps := 0
	for stated, err := range b.Past.Back(ctx, b.tick.Head) {
		if err == nil {
			err = w.take(ctx, stated)
		}
		if err != nil {
			return err
		}
		if steps++; steps == b.back() || w.done() {
			break
		}
	}
	if w.run != nil {
		w.run.Earlier = b.success == nil && steps == b.back() || steps == b.back() && w.runBegan.Number > 1
		return w.endRun(ctx)
	}
	return nil
}

// walk is one look back.
type walk struct {
	*building
	later    *events.Head // first tick behind those looked at
	run      *Outage      // skipped ticks, whose first is not found yet
	runBegan events.Head  // first of them so far
	runEnd   uint64       // number of the tick behind them
}

func (w *walk) done() bool {
	return len(w.status.Recent) >= w.Recent && len(w.status.Outages) >= w.Outages
}

func (w *walk) add(o Outage) {
	if len(w.status.Outages) < w.Outages {
		w.status.Outages = append(w.status.Outages, o)
	}
}

// silent is the outage that lasts because no tick comes.
func (w *walk) silent() {
	interval, silence := intervalOf(w.tick.Head), w.now.Sub(w.tick.Head.Time.Time())
	if interval > 0 && silence > lateAfter*interval {
		w.add(Outage{From: w.tick.Head.Time, Ticks: uint64(silence/interval) - 1})
	}
}

// take takes a statement and the ticks that repeat it.
func (w *walk) take(ctx context.Context, s past.Stated) error {
	if w.later != nil {
		w.missed(s.Last, *w.later)
	}
	if s.Head.Completed.Outcome == events.Verified && w.run != nil {
		if err := w.endRun(ctx); err != nil {
			return err
		}
	}
	if err := w.gaps(ctx, s.Head, s.Last); err != nil {
		return err
	}
	if s.Head.Completed.Outcome == events.Skipped {
		w.skipped(s)
	}
	if t := s.Head.Completed; t.Stated == events.Changed && len(w.status.Recent) < w.Recent {
		w.status.Recent = append(w.status.Recent, Tick{view.ResolvedAt(s.Head), t.Outcome, t.Severity, t.Message})
	}
	w.later = &s.Head
	return nil
}

func (w *walk) skipped(s past.Stated) {
	if w.run == nil {
		w.run, w.runEnd = &Outage{Skipped: true}, s.Last.Number+1
		if w.later != nil {
			w.run.Until = &w.later.Time
		}
	}
	w.runBegan = s.Head
}

// endRun tells the skipped ticks, with the reason of the first.
func (w *walk) endRun(ctx context.Context) error {
	o := *w.run
	w.run = nil
	if o.Until == nil && w.building.skipped != nil && w.success != nil { // found without looking back so far
		w.runBegan, o.Earlier = *w.building.skipped, false
	}
	o.From, o.Ticks = w.runBegan.Time, w.runEnd-w.runBegan.Number
	s := w.runBegan.Completed.Statement
	statement, err := w.Past.Log.Statement(ctx, s.FirstSeq, s.LastSeq)
	if err != nil {
		return err
	}
	for _, f := range statement.Findings {
		if rejected, ok := f.(*events.FleetRejected); ok {
			o.Reason = rejected.Reason
		}
	}
	w.add(o)
	return nil
}

// missed tells what was due between two ticks that follow each other.
func (w *walk) missed(before, tick events.Head) {
	if o := check.OutageBetween(before, tick); o != nil {
		w.add(Outage{From: o.From, Until: &o.To, Ticks: o.Missed, Reason: o.Reason})
	}
}

// gaps finds the silences among ticks that repeat a statement, the newest first,
// by halving what took longer than its ticks say.
func (w *walk) gaps(ctx context.Context, first, last events.Head) error {
	if len(w.status.Outages) >= w.Outages || excess(first, last) <= 0 {
		return nil
	}
	if first.Number+1 >= last.Number {
		w.missed(first, last)
		return nil
	}
	middle, err := w.Past.Log.At(ctx, eventlog.PointOfNumber((first.Number+last.Number)/2))
	if err != nil {
		return err
	}
	if err := w.gaps(ctx, middle.Head, last); err != nil {
		return err
	}
	return w.gaps(ctx, first, middle.Head)
}

// excess is how much longer two ticks are apart than their number and a slow tick
// explain.
func excess(first, last events.Head) time.Duration {
	return last.Time.Time().Sub(first.Time.Time()) - time.Duration(last.Number-first.Number+1)*intervalOf(last)
}
