package past

import (
	"context"
	"errors"
	"iter"
	"slices"

	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/manifest"
)

// Stated is a statement and how long it was repeated.
type Stated struct {
	Head events.Head // of the tick that states it
	Last events.Head // of the last tick that repeats it, or is it
}

// Back yields the statements of the log backwards, from the one that the tick
// states or repeats on. Each costs a read or two, whatever was repeated. The error
// is the last thing yielded; errors are those of [eventlog.Log.Before].
func (r *Reader) Back(ctx context.Context, tick events.Head) iter.Seq2[Stated, error] {
	return func(yield func(Stated, error) bool) {
		for {
			s := tick.Completed.Statement
			head, err := r.Log.Ending(ctx, s.LastSeq+1)
			if !yield(Stated{head, tick}, err) || err != nil {
				return
			}
			before, err := r.Log.Before(ctx, s.FirstSeq)
			if errors.Is(err, eventlog.ErrNoTick) {
				return
			}
			if err != nil {
				yield(Stated{}, err)
				return
			}
			tick = before.Head
		}
	}
}

// Beginning is the tick that first said of a leaf what a later one says. When
// the walk ended before it was found, it is the earliest looked at, and Earlier.
type Beginning struct {
	Head    events.Head
	Earlier bool
}

// Beginnings walks back from statement to statement to the ticks that first said
// of each leaf what the tick says now, over no more than limit statements; 0: all.
func (r *Reader) Beginnings(ctx context.Context, tick events.Head, leaves []string, limit int) (map[string]Beginning, error) {
	found := make(map[string]Beginning)
	searched := slices.Clone(leaves)
	last, steps := tick, 0
	for stated, err := range r.Back(ctx, tick) {
		if err != nil {
			return nil, err
		}
		last = stated.Head
		if stated.Head.Completed.Stated != events.Restated {
			s := stated.Head.Completed.Statement
			statement, err := r.Log.Statement(ctx, s.FirstSeq, s.LastSeq)
			if err != nil {
				return nil, err
			}
			searched = slices.DeleteFunc(searched, func(leaf string) bool {
				f := findLeaf(statement.Findings, leaf)
				if f != nil && !f.Head().New {
					return false
				}
				found[leaf] = Beginning{Head: last}
				return true
			})
		}
		if steps++; len(searched) == 0 || steps == limit {
			break
		}
	}
	for _, leaf := range searched {
		found[leaf] = Beginning{last, steps == limit}
	}
	return found, nil
}

// since is the tick that first said of a leaf what the tick says now.
func (r *Reader) since(ctx context.Context, tick *events.Tick, leaf string) (events.Head, error) {
	found, err := r.Beginnings(ctx, tick.Head, []string{leaf}, 0)
	return found[leaf].Head, err
}

func findLeaf(findings []events.Finding, leaf string) events.Finding {
	for _, f := range findings {
		if events.Leaf(f) == leaf {
			return f
		}
	}
	return nil
}

// holding walks back to the tick from which on the log's set has had the
// manifest that it has for the channel after the tick, or has had none.
type holding struct {
	*Reader
	channel string
	read    map[uint64]*manifest.Digest // of statements, by their first sequence
}

// held is the channel's manifest hash in the set after the tick; nil is none.
func (h *holding) held(ctx context.Context, tick events.Head) (*manifest.Digest, error) {
	ref := tick.Completed.Set
	if ref == nil {
		return nil, nil
	}
	for _, name := range ref.Without {
		if name == h.channel {
			return nil, nil
		}
	}
	if hash, ok := h.read[ref.FirstSeq]; ok {
		return hash, nil
	}
	statement, err := h.Log.Statement(ctx, ref.FirstSeq, ref.LastSeq)
	if err != nil {
		return nil, err
	}
	var hash *manifest.Digest
	for _, f := range statement.Findings {
		if v, ok := f.(*events.RolloutVerified); ok && v.Channel == h.channel {
			hash = &v.ManifestHash
		}
	}
	h.read = map[uint64]*manifest.Digest{ref.FirstSeq: hash}
	return hash, nil
}

func (h *holding) since(ctx context.Context, tick events.Head) (events.Head, error) {
	now, err := h.held(ctx, tick)
	if err != nil {
		return tick, err
	}
	for {
		first, err := h.Log.Ending(ctx, tick.Completed.Statement.LastSeq+1)
		if err != nil {
			return tick, err
		}
		if same, err := h.same(ctx, first, now); !same || err != nil {
			return h.between(ctx, first, tick, now, err)
		}
		before, err := h.Log.Before(ctx, first.Completed.Statement.FirstSeq)
		if errors.Is(err, eventlog.ErrNoTick) {
			return first, nil
		}
		if err != nil {
			return tick, err
		}
		restated := first.Completed.Stated == events.Restated && sameReference(first, before.Head)
		if !restated {
			if same, err := h.same(ctx, before.Head, now); !same || err != nil {
				return first, err
			}
		}
		tick = before.Head
	}
}

func sameReference(a, b events.Head) bool {
	return sameSet(&events.Tick{Completed: a.Completed}, &events.Tick{Completed: b.Completed})
}

func (h *holding) same(ctx context.Context, tick events.Head, now *manifest.Digest) (bool, error) {
	held, err := h.held(ctx, tick)
	if held == nil || now == nil {
		return held == now, err
	}
	return *held == *now, err
}

// between halves the unchanged ticks of a statement, in which a retained set
// lost the channel.
func (h *holding) between(ctx context.Context, other, same events.Head, now *manifest.Digest, err error) (events.Head, error) {
	for err == nil && other.Number+1 < same.Number {
		var tick *events.Tick
		tick, err = h.Log.At(ctx, eventlog.PointOfNumber((other.Number+same.Number)/2))
		if err != nil {
			break
		}
		var is bool
		if is, err = h.same(ctx, tick.Head, now); is {
			same = tick.Head
		} else {
			other = tick.Head
		}
	}
	return same, err
}
