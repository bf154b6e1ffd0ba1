package past

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"fleetlog/consumers/view"
	"fleetlog/events"
	"fleetlog/manifest"
)

// Standings say how the fleet and its channels stand after a tick.
type Standings struct {
	Set      view.Set
	Fleet    Standing
	Channels []Standing // by name: those found last, and those of the set
}

// Standing is how one channel, or the fleet itself, stands.
type Standing struct {
	Channel   string // empty for the fleet
	State     view.State
	Condition view.Condition // what was found last, by the writer or by this program
	Finding   events.Finding // that the writer stated; nil: none
	Tick      *events.Tick   // that has the finding, or repeats it
	InSet     bool
}

// Standings are those after the tick, judged at now: what [Reader.Why] says of
// each channel, without what led there. It reads what [Reader.Set] and
// [Reader.Findings] do.
func (r *Reader) Standings(ctx context.Context, tick *events.Tick, now time.Time) (Standings, error) {
	findings, err := r.Findings(ctx, tick)
	if err != nil {
		return Standings{}, err
	}
	look, err := r.look(ctx, tick)
	var refused *manifest.Rejection
	if err != nil && !errors.As(err, &refused) {
		return Standings{}, err
	}
	if refused != nil {
		look.set = view.Set{Rollouts: map[string]view.Rollout{}, Resolved: view.ResolvedAt(tick.Head), Verified: true}
	}
	s := &standing{tick: tick, now: now, look: look, refused: refused, skipped: skippedBy(findings)}
	all := Standings{Set: look.set}
	for _, f := range findings {
		if _, about := f.ChannelName(); !about {
			all.Fleet = s.fleet(f)
		}
	}
	if tick.Completed.Outcome != events.Skipped {
		all.Channels = s.channels(tick, findings)
	} else if retained := tick.Completed.Set; retained != nil {
		statement, err := r.Log.Statement(ctx, retained.FirstSeq, retained.LastSeq)
		if err != nil {
			return Standings{}, err
		}
		all.Channels = s.channels(statement, statement.Findings)
	}
	return all, nil
}

// standing judges what one tick says.
type standing struct {
	tick    *events.Tick
	now     time.Time
	look    look
	refused *manifest.Rejection // the fleet, by this program
	skipped *events.FleetRejected
}

// skippedBy is the finding that ended the tick of a statement; nil: none did.
func skippedBy(findings []events.Finding) *events.FleetRejected {
	for _, f := range findings {
		if rejected, ok := f.(*events.FleetRejected); ok {
			return rejected
		}
	}
	return nil
}

func (s *standing) fleet(f events.Finding) Standing {
	set := s.look.set
	c := view.ConditionOf(f, s.tick.Completed.Set != nil)
	if s.refused != nil && c.OK() {
		c = s.ownRefusal()
	}
	out := Standing{State: c.State, Condition: c, Finding: f, Tick: s.tick, InSet: set.Fleet != nil}
	if set.Fleet != nil {
		out.State = word(c.State, view.StateOf(set.FleetVersion(), set.Fleet.FreshUntil, s.now), !c.OK())
	}
	return out
}

func (s *standing) ownRefusal() view.Condition {
	return view.Condition{State: view.Rejected, Event: "Verification", Reason: events.Reason(s.refused.Kind), Detail: s.refused.Detail}
}

func (s *standing) channels(from *events.Tick, findings []events.Finding) []Standing {
	all := make(map[string]Standing)
	for _, f := range findings {
		name, about := f.ChannelName()
		if !about {
			continue
		}
		out := Standing{Channel: name, Condition: s.condition(name, f), Finding: f, Tick: from}
		out.State = out.Condition.State
		if rollout, ok := s.look.set.Rollouts[name]; ok {
			held := view.StateOf(s.look.set.RolloutVersion(name), rollout.FreshUntil, s.now)
			out.InSet, out.State = true, word(out.State, held, s.skipped != nil && s.skipped.Stage != events.StageFetch)
		}
		all[name] = out
	}
	sorted := make([]Standing, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		sorted = append(sorted, all[name])
	}
	return sorted
}

// condition is what was found of the channel, and what took it from the set since.
func (s *standing) condition(name string, f events.Finding) view.Condition {
	c := view.ConditionOf(f, true)
	if !c.OK() {
		return c
	}
	if ref := s.tick.Completed.Set; ref != nil && slices.Contains(ref.Without, name) {
		return view.Condition{State: view.Rejected, Event: "TickCompleted", Reason: view.Uncovered}
	}
	if s.refused != nil {
		return s.ownRefusal()
	}
	if why, ok := s.look.set.Refused[name]; ok {
		return view.Condition{State: view.Rejected, Event: "Verification", Reason: s.look.reasons[name], Detail: why}
	}
	return c
}

// word is the one word for what is in force: by its window, unless something
// newer was refused. That nothing came is no refusal.
func word(found, held view.State, refused bool) view.State {
	switch {
	case held == view.Expired:
		return held
	case refused:
		return view.Rejected
	case found != view.Fresh:
		return found
	}
	return held
}
