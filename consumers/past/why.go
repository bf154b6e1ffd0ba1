package past

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"fleetlog/consumers/explain"
	"fleetlog/consumers/view"
	"fleetlog/events"
	"fleetlog/manifest"
)

// Why says how the channel stands after the tick, judged at now, and what led
// there.
func (r *Reader) Why(ctx context.Context, tick *events.Tick, channel string, now time.Time) (view.Why, error) {
	findings, err := r.Findings(ctx, tick)
	if err != nil {
		return view.Why{}, err
	}
	q := &question{Reader: r, tick: tick, channel: channel, now: now, findings: findings}
	if q.look, err = r.look(ctx, tick); err != nil && !errors.As(err, &q.refused) {
		return view.Why{}, err
	}
	return q.answer(ctx)
}

// question is one why under way.
type question struct {
	*Reader
	tick     *events.Tick
	channel  string
	now      time.Time
	findings []events.Finding // of the present statement
	look     look
	refused  *manifest.Rejection // the fleet, by this program
	steps    []view.Step
}

func (q *question) answer(ctx context.Context) (view.Why, error) {
	resolved := view.ResolvedAt(q.tick.Head)
	w := view.Why{Channel: q.channel, Resolved: resolved, Rollout: q.look.set.RolloutVersion(q.channel)}
	w.InSet = w.Rollout != nil
	w.Verified = q.look.set.Verified
	since, err := (&holding{Reader: q.Reader, channel: q.channel}).since(ctx, q.tick.Head)
	if err != nil {
		return w, err
	}
	w.Since = view.ResolvedAt(since)
	if err := q.fleet(ctx); err != nil {
		return w, err
	}
	state, err := q.rollout(ctx)
	if err != nil {
		return w, err
	}
	if err := q.trust(ctx, since); err != nil {
		return w, err
	}
	w.State = q.judge(w, state)
	w.Steps = q.steps
	w.Cleared, err = q.cleared(ctx)
	return w, err
}

func (q *question) step(c view.Condition, since events.Head, seq uint64, detail string) {
	s := view.Step{
		Event: c.Event, OK: c.OK(), Reason: c.Reason, Detail: detail, Since: view.ResolvedAt(since), Seq: seq,
	}
	if c.Reason != "" {
		s.ClearsWhen = explain.ClearsWhen(string(c.Reason))
	}
	q.steps = append(q.steps, s)
}

// fleet is the step about the fleet of the present statement.
func (q *question) fleet(ctx context.Context) error {
	for _, f := range q.findings {
		if _, about := f.ChannelName(); about {
			continue
		}
		since, err := q.since(ctx, q.tick, events.Leaf(f))
		if err != nil {
			return err
		}
		c := view.ConditionOf(f, q.tick.Completed.Set != nil)
		detail := c.Detail
		if fetched, ok := f.(*events.FleetFetched); ok {
			detail = fmt.Sprintf("fleet %s, signed %s by %s", fetched.FleetHash, fetched.SignedAt, fetched.Artifact.Key)
		}
		q.step(c, since, q.tick.Completed.Statement.FirstSeq, detail)
	}
	return nil
}

// rollout is the step about the channel: in the present statement, or in the one
// that the retained set comes from.
func (q *question) rollout(ctx context.Context) (view.State, error) {
	tick, findings := q.tick, q.findings
	if retained := q.tick.Completed.Set; q.tick.Completed.Outcome == events.Skipped {
		if retained == nil {
			q.step(view.Condition{State: view.Missing, Event: "Set"}, q.tick.Head, q.tick.Head.Seq, "no set is retained")
			return view.Missing, nil
		}
		statement, err := q.Log.Statement(ctx, retained.FirstSeq, retained.LastSeq)
		if err != nil {
			return "", err
		}
		tick, findings = statement, statement.Findings
	}
	for i, f := range findings {
		if name, about := f.ChannelName(); !about || name != q.channel {
			continue
		}
		since, err := q.since(ctx, tick, events.Leaf(f))
		if err != nil {
			return "", err
		}
		c := view.ConditionOf(f, true)
		detail := c.Detail
		if v, ok := f.(*events.RolloutVerified); ok {
			detail = fmt.Sprintf("%s, manifest %s, signed %s by %s", v.RolloutID, v.ManifestHash, v.SignedAt, v.Artifact.Key)
		}
		q.step(c, since, tick.Completed.Statement.FirstSeq+uint64(i), detail)
		return c.State, nil
	}
	since, err := q.Log.Ending(ctx, tick.Completed.Statement.LastSeq+1)
	if err != nil {
		return "", err
	}
	q.step(view.Condition{State: view.Missing, Event: "Fleet", Reason: view.Unlisted}, since, since.Seq, "the fleet has no such channel")
	return view.Missing, nil
}

// trust are the steps about what took a verified manifest out of the set: the
// poller's trust, or this program's own.
func (q *question) trust(ctx context.Context, since events.Head) error {
	if ref := q.tick.Completed.Set; ref != nil && slices.Contains(ref.Without, q.channel) {
		q.step(view.Condition{State: view.Rejected, Event: "TickCompleted", Reason: view.Uncovered}, since, q.tick.Head.Seq,
			"the poller's trust does not cover the manifest any more")
	}
	if q.Policy.Trust == nil || q.tick.Completed.Set == nil {
		return nil
	}
	c, detail := view.Condition{State: view.Fresh, Event: "Verification"}, "verified by this program under the trust file given"
	if q.refused != nil {
		c.State, c.Reason, detail = view.Rejected, events.Reason(q.refused.Kind), "the fleet: "+q.refused.Error()
	} else if why, ok := q.look.set.Refused[q.channel]; ok {
		c.State, c.Reason, detail = view.Rejected, q.look.reasons[q.channel], why
	} else if q.look.set.RolloutVersion(q.channel) == nil {
		return nil
	}
	stated, err := q.Log.Ending(ctx, q.tick.Completed.Set.LastSeq+1)
	if err != nil {
		return err
	}
	q.step(c, stated, stated.Seq, detail)
	return nil
}

// judge is the one word, and the step about the window.
func (q *question) judge(w view.Why, found view.State) view.State {
	if !w.InSet {
		if found == view.Fresh { // it was verified, and then taken
			return view.Rejected
		}
		return found
	}
	until := q.look.set.Rollouts[q.channel].FreshUntil
	state := view.StateOf(w.Rollout, until, q.now)
	if until != nil {
		c := view.Condition{State: state, Event: "Window"}
		if state == view.Expired {
			c.Reason = events.Reason(manifest.KindStale)
		}
		s := view.Step{Event: c.Event, OK: state != view.Expired, Reason: c.Reason, Since: w.Since, Seq: q.tick.Completed.Set.LastSeq + 1}
		s.Detail = fmt.Sprintf("signed %s, fresh until %s", w.Rollout.SignedAt, until)
		if c.Reason != "" {
			s.ClearsWhen = explain.ClearsWhen(string(c.Reason))
		}
		q.steps = append(q.steps, s)
	}
	skipped := skippedBy(q.findings)
	return word(view.Fresh, state, skipped != nil && skipped.Stage != events.StageFetch)
}

// cleared is the first tick behind the point that states another condition, for
// one that was not in order; nil while there is none.
func (q *question) cleared(ctx context.Context) (*view.Resolved, error) {
	before := view.Snapshot{}.Next(view.Set{Fleet: q.look.set.Fleet}, q.findings)
	if before.Fleet.OK() && before.Channels[q.channel].OK() {
		return nil, nil
	}
	for head, err := range q.Log.Statements(ctx, q.tick.Head.Seq+1, math.MaxUint64) {
		if err != nil {
			return nil, err
		}
		if head.Completed.Stated != events.Changed {
			continue
		}
		s := head.Completed.Statement
		statement, err := q.Log.Statement(ctx, s.FirstSeq, s.LastSeq)
		if err != nil {
			return nil, err
		}
		after := view.Snapshot{}.Next(view.Set{Fleet: q.look.set.Fleet}, statement.Findings)
		if after.Fleet.OK() != before.Fleet.OK() || after.Channels[q.channel].State != before.Channels[q.channel].State {
			resolved := view.ResolvedAt(head)
			return &resolved, nil
		}
	}
	return nil, nil
}
