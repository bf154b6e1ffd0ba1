// Package past answers what a log said at its points, and when that changed. It
// reads the log itself, a handful of messages for a point and nothing of what
// did not change for a span, and holds no more than two sets at once.
package past

import (
	"context"
	"errors"
	"fmt"

	"fleetlog/consumers/view"
	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/manifest"
)

// Reader looks at the past of one log. Without Trust in the policy it shows what
// the log states; with it, what this program verified itself, each statement at
// the time of its own tick.
type Reader struct {
	Log    *eventlog.Log
	Policy manifest.Policy // its Now is not looked at
	Scheme manifest.Scheme // empty: by the fleet's revision
}

// Set is the set that a correct reader held after the tick. The error is a
// [*manifest.Rejection] when its fleet does not pass the policy; errors are also
// those of [eventlog.Log.Statement] and [eventlog.Log.StatementArtifacts].
func (r *Reader) Set(ctx context.Context, tick *events.Tick) (view.Set, error) {
	look, err := r.look(ctx, tick)
	if err != nil {
		return view.Set{}, err
	}
	return look.set, nil
}

// Content is [Reader.Set] with what its artifacts say.
func (r *Reader) Content(ctx context.Context, tick *events.Tick) (*view.Content, error) {
	look, err := r.look(ctx, tick)
	if err != nil {
		return nil, err
	}
	return r.content(ctx, look)
}

func (r *Reader) content(ctx context.Context, look look) (*view.Content, error) {
	if look.verified == nil && look.statement != nil {
		artifacts, err := r.Log.StatementArtifacts(ctx, look.statement.Findings, nil)
		if err != nil {
			return nil, err
		}
		rollouts := make(map[string][]byte)
		for channel, received := range artifacts.Rollouts {
			rollouts[channel] = received.Body
		}
		return view.ContentOf(look.set, artifacts.Fleet.Body, rollouts)
	}
	fleet, rollouts := view.BodiesOf(look.verified)
	return view.ContentOf(look.set, fleet, rollouts)
}

// look is the set after one tick.
type look struct {
	set       view.Set
	statement *events.Tick             // that it comes from; nil: no set
	verified  *manifest.Set            // nil: there is none, or nothing was verified
	reasons   map[string]events.Reason // of set.Refused, where there is a code
}

func (r *Reader) look(ctx context.Context, tick *events.Tick) (look, error) {
	ref := tick.Completed.Set
	if ref == nil {
		return look{set: view.Said(tick, nil)}, nil
	}
	statement := tick
	if len(tick.Findings) == 0 || tick.Completed.Statement.FirstSeq != ref.FirstSeq {
		var err error
		if statement, err = r.Log.Statement(ctx, ref.FirstSeq, ref.LastSeq); err != nil {
			return look{}, err
		}
	}
	return r.judge(ctx, tick, statement)
}

// judge shows the set of a statement as it was after the tick.
func (r *Reader) judge(ctx context.Context, tick, statement *events.Tick) (look, error) {
	if r.Policy.Trust == nil {
		return look{set: view.Said(tick, statement.Findings), statement: statement}, nil
	}
	artifacts, err := r.Log.StatementArtifacts(ctx, statement.Findings, nil)
	if err != nil {
		return look{}, err
	}
	ref := tick.Completed.Set
	for _, name := range ref.Without {
		delete(artifacts.Rollouts, name)
	}
	policy := r.Policy
	policy.Now = statement.Head.Time.Time()
	set, refused, err := manifest.Assemble(artifacts.Fleet, artifacts.Rollouts, r.Scheme, policy)
	if err != nil {
		return look{}, fmt.Errorf("set of seq:%d does not pass this trust file and window: %w", tick.Head.Seq, err)
	}
	shown := view.Of(set, ref.Without, view.ResolvedAt(tick.Head), policy)
	reasons := make(map[string]events.Reason)
	for name, why := range refused {
		if shown.Refused == nil {
			shown.Refused = make(map[string]string)
		}
		shown.Refused[name] = why.Error()
		var rejection *manifest.Rejection
		if errors.As(why, &rejection) {
			reasons[name] = events.Reason(rejection.Kind)
		}
	}
	if *shown.SetDigest != ref.Digest {
		shown.LogDigest = &ref.Digest
	}
	return look{set: shown, statement: statement, verified: set, reasons: reasons}, nil
}

// Findings are the present findings of the tick: its own, or those of the
// statement that it repeats.
func (r *Reader) Findings(ctx context.Context, tick *events.Tick) ([]events.Finding, error) {
	if len(tick.Findings) > 0 {
		return tick.Findings, nil
	}
	s := tick.Completed.Statement
	statement, err := r.Log.Statement(ctx, s.FirstSeq, s.LastSeq)
	if err != nil {
		return nil, err
	}
	return statement.Findings, nil
}
