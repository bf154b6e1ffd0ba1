package web

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"fleetlog/consumers/past"
	"fleetlog/consumers/status"
	"fleetlog/consumers/view"
	"fleetlog/eventlog"
)

const (
	// recentTicks and recentOutages are how many are looked for.
	recentTicks   = 20
	recentOutages = 20
	// statementsBack is how far back: a day of a fleet in which nothing happens.
	statementsBack = 24
	// maxRemembered is how many changes are kept.
	maxRemembered = 500
	// changesPatience is how long reading them may hold up a look.
	changesPatience = 2 * time.Second
)

// Watch looks at a log. What it finds is as the log states it.
type Watch struct {
	Log   func() *eventlog.Log // nil while it is not open
	Clock func() time.Time

	mu      sync.Mutex
	lineage string
	until   view.Resolved // up to where the changes go
	changes []view.Change // newest first
}

// Look is a [Look].
func (w *Watch) Look(ctx context.Context) (Seen, error) {
	log := w.Log()
	if log == nil {
		return Seen{}, errNotOpen
	}
	reader := &past.Reader{Log: log}
	stands, err := (&status.Reader{Past: reader, Recent: recentTicks, Outages: recentOutages, Back: statementsBack}).Status(ctx, w.Clock())
	if err != nil {
		return Seen{}, err
	}
	seen := Seen{Status: *stands}
	if len(seen.Recent) == 0 {
		return seen, nil
	}
	bounded, cancel := context.WithTimeout(ctx, changesPatience)
	defer cancel()
	if seen.Changes, err = w.changed(bounded, reader, seen.Recent); err != nil {
		seen.Problems["changes"] = fmt.Sprintf("what changed lately could not be read: %v", err)
	}
	return seen, nil
}

// changed are the changes of the ticks, newest first, of which only those are
// read that are new. When there is no time for all, the next look begins with the
// newest.
func (w *Watch) changed(ctx context.Context, reader *past.Reader, ticks []status.Tick) ([]view.Change, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	newest, oldest := ticks[0], ticks[len(ticks)-1]
	if w.lineage != reader.Log.Lineage() || newest.Seq < w.until.Seq || w.until.Seq < oldest.Seq {
		w.lineage, w.until, w.changes = reader.Log.Lineage(), view.Resolved{}, nil
	}
	if newest.Seq == w.until.Seq {
		return w.changes, nil
	}
	all, err := w.read(ctx, reader, newest, oldest)
	if w.until = newest.Resolved; err != nil {
		w.changes = nil
		return nil, err
	}
	all = append(all, w.changes...)
	w.changes = slices.Clip(all[:min(len(all), maxRemembered)])
	return w.changes, nil
}

// read reads what changed up to the newest tick, from where the changes end, or
// from the oldest tick on.
func (w *Watch) read(ctx context.Context, reader *past.Reader, newest, oldest status.Tick) (all []view.Change, err error) {
	var span past.Span
	if w.until.Seq > 0 {
		span.After, err = reader.Log.At(ctx, eventlog.PointOfSeq(w.until.Seq))
	} else {
		span.After, err = reader.Log.Before(ctx, oldest.Seq)
	}
	if err != nil && !errors.Is(err, eventlog.ErrNoTick) { // there is none before the first
		return nil, err
	}
	if span.Last, err = reader.Log.At(ctx, eventlog.PointOfSeq(newest.Seq)); err != nil {
		return nil, err
	}
	for passed, err := range reader.History(ctx, span) {
		if err != nil {
			return nil, err
		}
		all = slices.Insert(all, 0, passed.Changes...)
	}
	return all, nil
}
