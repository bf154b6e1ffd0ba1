package status

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"fleetlog/consumers/view"
	"fleetlog/events"
)

// OfServed is the status as far as the set tells that a reducer serves, when its
// log cannot be asked: why says why not. Nothing is known of the poller and the
// broker, nor of what was refused.
func OfServed(fleet string, set view.Set, now time.Time, why error) *Status {
	s := empty(fleet, now)
	s.Verified, s.SetDigest = set.Verified, set.SetDigest
	s.Problems["log"] = why.Error()
	s.Processes = []Process{{Name: Poller, State: NotSeen, Note: "the log cannot be asked"}, {Name: Broker, State: NotSeen, Note: why.Error()}}
	if set.Resolved.Seq > 0 {
		s.Resolved = &set.Resolved
	}
	if f := set.Fleet; f != nil {
		s.Signed = &Channel{State: view.StateOf(set.FleetVersion(), f.FreshUntil, now), InSet: true, SHA256: &f.SHA256}
		if f.CICommit != nil {
			s.Signed.Ref = *f.CICommit
		}
		s.Signed.window(f.SignedAt, f.FreshUntil, now)
	}
	for _, name := range slices.Sorted(maps.Keys(set.Rollouts)) {
		r := set.Rollouts[name]
		c := Channel{Name: name, State: view.StateOf(set.RolloutVersion(name), r.FreshUntil, now)}
		c.inForce(r, now)
		s.Channels = append(s.Channels, c)
	}
	for _, name := range set.Without {
		s.Channels = append(s.Channels, Channel{Name: name, State: view.Rejected, Reason: view.Uncovered})
	}
	slices.SortFunc(s.Channels, func(a, b Channel) int { return cmp.Compare(a.Name, b.Name) })
	s.judge()
	return s
}

// at is a time that may not be known.
func at(t *events.Time, now events.Time) string {
	if t == nil {
		return "-"
	}
	return Short(now.Time().Sub(t.Time())) + " ago"
}
