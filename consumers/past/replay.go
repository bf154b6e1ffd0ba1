package past

import (
	"context"
	"fmt"

	"fleetlog/consumers/fold"
	"fleetlog/consumers/view"
	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/manifest"
)

// Other is a set that a replay is compared with. A nil digest is no set.
type Other struct{ SetDigest *manifest.Digest }

// Replay folds the log anew from its beginning to the tick, by the same fold as
// a reducer, and compares after every tick: with what the tick states and, where
// one is given, with another set. progress is told how far it has come; nil:
// nobody. It holds one set and its artifacts. Errors are those of
// [eventlog.Log.Follow] and [eventlog.Log.Artifact].
func (r *Reader) Replay(ctx context.Context, to events.Head, other *Other, progress func(seq, end uint64)) (view.Replay, error) {
	p := &replay{Reader: r, rules: fold.Rules{
		Trust: r.Policy.Trust, Window: r.Policy.Window, Channels: r.Policy.Channels, Scheme: r.Scheme,
	}}
	if other != nil {
		p.other, p.report.State = other, &view.Comparison{SetDigest: other.SetDigest}
	}
	for d, err := range r.Log.Follow(ctx, r.Log.Opening()) {
		if err != nil {
			return p.report, err
		}
		if d.Tick != nil {
			if err := p.tick(ctx, d.Tick); err != nil {
				return p.report, err
			}
			if d.Tick.Head.Seq == to.Seq {
				return p.report, nil
			}
		}
		if d.Seq >= to.Seq {
			break
		}
		if progress != nil {
			progress(d.Seq, to.Seq)
		}
	}
	return p.report, fmt.Errorf("seq:%d holds a tick that does not follow the ticks before it: run fleetlog fsck", to.Seq)
}

type replay struct {
	*Reader
	rules  fold.Rules
	state  fold.State
	other  *Other
	kept   map[manifest.Digest]manifest.Received // artifacts of the last statement
	report view.Replay
}

func (p *replay) tick(ctx context.Context, tick *events.Tick) error {
	var artifacts *eventlog.StatementArtifacts
	if fold.Needs(tick) {
		var err error
		if artifacts, err = p.artifacts(ctx, tick.Findings); err != nil {
			return err
		}
		p.report.Folded++
	}
	var v fold.Verdict
	p.state, v = fold.Apply(p.state, tick, artifacts, p.rules)
	at := view.ResolvedAt(tick.Head)
	p.report.Ticks++
	p.report.To, p.report.SetDigest = at, v.Own
	p.report.Log.SetDigest = v.Writers
	p.report.Log.Next(at, !v.Diverged, v.Fleet, v.Channels)
	if p.other != nil {
		equal := v.Own == nil && p.other.SetDigest == nil || v.Own != nil && p.other.SetDigest != nil && *v.Own == *p.other.SetDigest
		p.report.State.Next(at, equal, v.Fleet, v.Channels)
	}
	return nil
}

// artifacts reads those of the findings that the last statement did not have.
func (p *replay) artifacts(ctx context.Context, findings []events.Finding) (*eventlog.StatementArtifacts, error) {
	all := &eventlog.StatementArtifacts{Rollouts: make(map[string]manifest.Received)}
	kept := make(map[manifest.Digest]manifest.Received)
	for _, f := range findings {
		named := events.ArtifactOf(f)
		if named == nil {
			continue
		}
		received, ok := p.kept[named.SHA256]
		if !ok {
			var err error
			if received, err = p.Log.Artifact(ctx, *named); err != nil {
				return nil, err
			}
		}
		received.Signature = named.Signature
		kept[named.SHA256] = received
		if channel, about := f.ChannelName(); about {
			all.Rollouts[channel] = received
		} else {
			all.Fleet = received
		}
	}
	p.kept = kept
	return all, nil
}
