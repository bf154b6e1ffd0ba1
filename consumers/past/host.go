package past

import (
	"context"
	"errors"
	"iter"

	"fleetlog/consumers/view"
	"fleetlog/events"
	"fleetlog/manifest"
)

// HostHistory yields, in order, what one host was told to run: a change for
// every tick at which its closure, wave or channel became another, or a manifest
// told it anew. The error is the last thing yielded.
func (r *Reader) HostHistory(ctx context.Context, span Span, host string) iter.Seq2[view.HostChange, error] {
	return func(yield func(view.HostChange, error) bool) {
		h := &hostHistory{Reader: r, host: host}
		if err := h.begin(ctx, span.After); err != nil {
			yield(view.HostChange{}, err)
			return
		}
		for passed, err := range r.History(ctx, span) {
			if err != nil {
				yield(view.HostChange{}, err)
				return
			}
			change, changed, err := h.next(ctx, passed)
			if err != nil {
				yield(view.HostChange{}, err)
				return
			}
			if changed && !yield(change, nil) {
				return
			}
		}
	}
}

type hostHistory struct {
	*Reader
	host   string
	told   *view.Told
	by     *view.Version // manifest that tells it
	source map[string]manifest.Digest
}

func (h *hostHistory) begin(ctx context.Context, after *events.Tick) error {
	if after == nil {
		return nil
	}
	look, err := h.look(ctx, after)
	var refused *manifest.Rejection
	if errors.As(err, &refused) {
		return nil // nothing that it tells counts
	}
	if err != nil {
		return err
	}
	h.told, err = h.tells(ctx, look)
	if h.told != nil {
		h.by = look.set.RolloutVersion(h.told.Channel)
	}
	return err
}

// next is what changed for the host at the tick.
func (h *hostHistory) next(ctx context.Context, passed Passed) (view.HostChange, bool, error) {
	told, err := h.tells(ctx, passed.look)
	if err != nil {
		return view.HostChange{}, false, err
	}
	var by *view.Version
	if told != nil {
		by = passed.look.set.RolloutVersion(told.Channel)
	}
	c := view.HostChange{
		Resolved: view.ResolvedAt(passed.Tick.Head), Host: h.host, From: h.told, To: told, Rollout: by,
		Verified: passed.look.verified != nil && told != nil,
	}
	changed := !sameTold(h.told, told) || told != nil && (by.Hash != h.by.Hash || by.Key != h.by.Key)
	h.told, h.by = told, by
	return c, changed, nil
}

func sameTold(a, b *view.Told) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// tells is what the set tells the host to run; nil when nothing does. A manifest
// that told nothing, or the same, at the last look is not read again.
func (h *hostHistory) tells(ctx context.Context, look look) (*view.Told, error) {
	if look.verified != nil {
		return toldBy(look.verified, h.host), nil
	}
	read := make(map[string]manifest.Digest)
	var told *view.Told
	for channel, rollout := range look.set.Rollouts {
		read[channel] = rollout.SHA256
		if h.source[channel] == rollout.SHA256 {
			if h.told != nil && h.told.Channel == channel {
				told = h.told
			}
			continue
		}
		hosts, err := h.hostSet(ctx, look.statement, channel)
		if err != nil {
			return nil, err
		}
		if t, ok := hosts[h.host]; ok {
			t.Channel = channel
			told = &t
		}
	}
	h.source = read
	return told, nil
}

func (h *hostHistory) hostSet(ctx context.Context, statement *events.Tick, channel string) (map[string]view.Told, error) {
	for _, f := range statement.Findings {
		if v, ok := f.(*events.RolloutVerified); ok && v.Channel == channel {
			received, err := h.Log.Artifact(ctx, v.Artifact)
			if err != nil {
				return nil, err
			}
			return view.HostSet(received.Body)
		}
	}
	return nil, nil
}

func toldBy(set *manifest.Set, host string) *view.Told {
	for _, r := range set.Rollouts() {
		for _, h := range r.Value().HostSet {
			if h.Hostname == host {
				return &view.Told{Channel: r.Value().Channel, Closure: h.TargetClosure, Wave: h.WaveIndex}
			}
		}
	}
	return nil
}
