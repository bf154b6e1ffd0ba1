package view

import (
	"fleetlog/events"
	"fleetlog/manifest"
)

// State says in one word how a channel, or the fleet itself, stands.
type State string

// The states of a channel.
const (
	Fresh        = State("Fresh")
	Expiring     = State("Expiring")     // more than three quarters of its window are over
	Expired      = State("Expired")      // past its window, and still in force
	Rejected     = State("Rejected")     // what came was refused; of the fleet: the older one is still in force
	NotAdvancing = State("NotAdvancing") // the fleet moved, the rollout did not
	Missing      = State("Missing")      // not served, or not in the fleet
	Unservable   = State("Unservable")   // its id can never be served
	Empty        = State("Empty")        // no host with a closure
)

// Uncovered is the reason of a channel that left the set because the poller's
// trust no longer covered it; Unlisted of one that the fleet does not have.
const (
	Uncovered = events.Reason("Uncovered")
	Unlisted  = events.Reason("Unlisted")
)

// Condition is what a statement says about a channel or the fleet.
type Condition struct {
	State   State         `json:"state"`
	Event   string        `json:"event,omitzero"` // type of the finding, without its version
	Reason  events.Reason `json:"reason,omitzero"`
	Detail  string        `json:"detail,omitzero"`
	Carried bool          `json:"carried,omitzero"` // Reason is why the earlier manifest was kept
}

// same tells whether nothing has changed but the wording.
func (c Condition) same(other Condition) bool {
	return c.State == other.State && c.Event == other.Event && c.Reason == other.Reason && c.Carried == other.Carried
}

// OK tells whether the finding is one of success.
func (c Condition) OK() bool { return c.State == Fresh }

// ConditionOf is what a finding says; held tells whether a set stands.
func ConditionOf(f events.Finding, held bool) Condition {
	switch f := f.(type) {
	case *events.FleetFetched:
		return Condition{State: Fresh, Event: "FleetFetched"}
	case *events.FleetRejected:
		c := Condition{State: Missing, Event: "FleetRejected", Reason: f.Reason, Detail: f.Detail}
		if held {
			c.State = Rejected
		}
		return c
	case *events.RolloutVerified:
		return Condition{State: Fresh, Event: "RolloutVerified", Reason: f.Carried, Carried: f.Carried != ""}
	case *events.RolloutRejected:
		return Condition{State: rejectedState(f), Event: "RolloutRejected", Reason: f.Reason, Detail: f.Detail}
	case *events.CrossCheckFailed:
		return Condition{
			State: NotAdvancing, Event: "CrossCheckFailed", Reason: events.Reason(f.Check),
			Detail: "the fleet gives " + f.Expected.String() + ", the manifest says " + f.Actual.String(),
		}
	case *events.ChannelIdle:
		c := Condition{State: Empty, Event: "ChannelIdle", Reason: f.Reason}
		if f.Reason == events.Removed {
			c.State = Missing
		}
		return c
	}
	return Condition{State: Missing, Event: f.Head().Type}
}

func rejectedState(f *events.RolloutRejected) State {
	switch {
	case f.Reason == events.IdentityUnservable || f.Stage == events.StageIdentity:
		return Unservable
	case f.Stage == events.StageFetch:
		return Missing
	}
	return Rejected
}

// Snapshot is a set with what was found about it.
type Snapshot struct {
	Set      Set
	Fleet    Condition
	Channels map[string]Condition
}

// Next is the snapshot after a tick with that set. findings are those of its
// statement; a tick that was skipped says nothing of the channels.
func (s Snapshot) Next(set Set, findings []events.Finding) Snapshot {
	next := Snapshot{Set: set, Channels: make(map[string]Condition)}
	for _, f := range findings {
		c := ConditionOf(f, set.Fleet != nil)
		if name, ok := f.ChannelName(); ok {
			next.Channels[name] = c
		} else {
			next.Fleet = c
		}
	}
	if next.Fleet.Event == "FleetRejected" {
		for name, c := range s.Channels {
			next.Channels[name] = c
		}
		for name := range s.Set.Rollouts {
			if _, held := set.Rollouts[name]; !held {
				next.Channels[name] = Condition{State: Rejected, Event: "TickCompleted", Reason: Uncovered}
			}
		}
	}
	for name, why := range set.Refused {
		next.Channels[name] = Condition{State: Rejected, Event: "Verification", Detail: why}
	}
	return next
}

// Refuse is the snapshot of a set whose fleet this program refuses.
func (s Snapshot) Refuse(why *manifest.Rejection) Snapshot {
	refused := Condition{State: Rejected, Event: "Verification", Reason: events.Reason(why.Kind), Detail: why.Detail}
	s.Fleet = refused
	for name, c := range s.Channels {
		if c.OK() {
			s.Channels[name] = refused
		}
	}
	return s
}
