package past

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sort"

	"fleetlog/consumers/view"
	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/manifest"
)

// Span is a part of a log: what is behind the first tick, up to the last. A nil
// first tick is the log's beginning.
type Span struct{ After, Last *events.Tick }

// Passed is one tick of a history at which something changed.
type Passed struct {
	Tick    *events.Tick
	Changes []view.Change
	look    look
}

// History yields, in order, the ticks at which a set, or what was found about
// it, changed. It goes from statement to statement: ticks that say nothing new
// are not read, except where a set that is retained has lost channels between
// two statements. The error is the last thing yielded.
func (r *Reader) History(ctx context.Context, span Span) iter.Seq2[Passed, error] {
	return func(yield func(Passed, error) bool) {
		h := &history{Reader: r, yield: yield, after: r.Log.Opening().Seq}
		if err := h.tell(ctx, span); err != nil && !errors.Is(err, errStopped) {
			yield(Passed{}, err)
		}
	}
}

// errStopped ends a history whose caller wants no more.
var errStopped = errors.New("caller stopped")

type history struct {
	*Reader
	yield  func(Passed, error) bool
	after  uint64        // sequence behind which the history goes on
	last   *events.Tick  // last tick looked at
	before view.Snapshot // after it
	held   *events.Tick  // statement that its set comes from
	found  []events.Finding
}

func (h *history) tell(ctx context.Context, span Span) error {
	if span.After != nil {
		if err := h.begin(ctx, span.After); err != nil {
			return err
		}
	}
	for head, err := range h.Log.Statements(ctx, h.after+1, span.Last.Head.Seq) {
		if err != nil {
			return err
		}
		if err := h.statement(ctx, head); err != nil {
			return err
		}
	}
	return h.losses(ctx, span.Last)
}

// begin takes the state after the tick without telling it.
func (h *history) begin(ctx context.Context, tick *events.Tick) error {
	findings, err := h.Findings(ctx, tick)
	if err != nil {
		return err
	}
	snapshot, look, err := h.snapshot(ctx, tick, findings)
	if err != nil {
		return err
	}
	h.after = tick.Head.Seq
	h.keep(tick, snapshot, look, findings)
	return nil
}

func (h *history) keep(tick *events.Tick, snapshot view.Snapshot, look look, findings []events.Finding) {
	h.last, h.before, h.held, h.found = tick, snapshot, look.statement, findings
}

// statement tells what a tick with findings changed.
func (h *history) statement(ctx context.Context, head events.Head) error {
	first := head.Completed.Statement.FirstSeq
	if h.retains() && first > h.after+1 {
		before, err := h.Log.Before(ctx, first)
		if err != nil {
			return err
		}
		if err := h.losses(ctx, before); err != nil {
			return err
		}
	}
	h.after = head.Seq
	tick := &events.Tick{Completed: head.Completed, Head: head}
	if head.Completed.Stated == events.Restated && h.last != nil {
		return h.goOn(ctx, tick)
	}
	tick, err := h.Log.Statement(ctx, first, head.Completed.Statement.LastSeq)
	if err != nil {
		return err
	}
	return h.change(ctx, tick, tick.Findings)
}

// goOn takes a tick that states what the last one did; its set may be smaller
// all the same.
func (h *history) goOn(ctx context.Context, tick *events.Tick) error {
	if sameSet(h.last, tick) {
		h.last = tick
		return nil
	}
	return h.change(ctx, tick, h.found)
}

// retains tells whether the present set can lose channels without a statement:
// while ticks are skipped, trust may take them.
func (h *history) retains() bool {
	return h.last != nil && h.last.Completed.Outcome == events.Skipped && h.last.Completed.Set != nil
}

// losses tells what the retained set lost up to the tick. It only ever loses,
// so that each loss is found by halving.
func (h *history) losses(ctx context.Context, until *events.Tick) error {
	for h.retains() && until.Head.Number > h.last.Head.Number && !sameSet(h.last, until) {
		from, failed := h.last.Head.Number, error(nil)
		var found *events.Tick
		sort.Search(int(until.Head.Number-from), func(i int) bool {
			if failed != nil {
				return true
			}
			tick, err := h.Log.At(ctx, eventlog.PointOfNumber(from+1+uint64(i)))
			if err != nil {
				failed = err
				return true
			}
			lost := !sameSet(h.last, tick)
			if lost {
				found = tick
			}
			return lost
		})
		if failed != nil {
			return failed
		}
		if found == nil {
			found = until
		}
		if err := h.change(ctx, found, h.found); err != nil {
			return err
		}
	}
	return nil
}

func sameSet(a, b *events.Tick) bool {
	was, is := a.Completed.Set, b.Completed.Set
	if was == nil || is == nil {
		return was == is
	}
	return was.Digest == is.Digest && slices.Equal(was.Without, is.Without)
}

// change tells what differs at the tick.
func (h *history) change(ctx context.Context, tick *events.Tick, findings []events.Finding) error {
	snapshot, look, err := h.snapshot(ctx, tick, findings)
	if err != nil {
		return err
	}
	changes := view.Changes(h.before, snapshot)
	h.keep(tick, snapshot, look, findings)
	if len(changes) > 0 && !h.yield(Passed{tick, changes, look}, nil) {
		return errStopped
	}
	return nil
}

// snapshot is the set after the tick and what was found about it. A set whose
// fleet does not pass here is none.
func (h *history) snapshot(ctx context.Context, tick *events.Tick, findings []events.Finding) (view.Snapshot, look, error) {
	look, err := h.lookFrom(ctx, tick)
	var refused *manifest.Rejection
	if errors.As(err, &refused) {
		none := view.Set{Rollouts: map[string]view.Rollout{}, Resolved: view.ResolvedAt(tick.Head), Verified: true}
		return h.before.Next(none, findings).Refuse(refused), look, nil
	}
	if err != nil {
		return view.Snapshot{}, look, err
	}
	return h.before.Next(look.set, findings), look, nil
}

// lookFrom is [Reader.look] that need not read the statement of a retained set
// again.
func (h *history) lookFrom(ctx context.Context, tick *events.Tick) (look, error) {
	ref := tick.Completed.Set
	if ref != nil && h.held != nil && h.held.Completed.Statement.FirstSeq == ref.FirstSeq {
		return h.judge(ctx, tick, h.held)
	}
	return h.look(ctx, tick)
}
