package events

import (
	"fmt"

	"fleetlog/manifest"
)

// Describe is the prose that the writer puts into `message`. It holds no
// duration, counter or detail that varies between two ticks that state the
// same.
func Describe(event Event) string {
	switch e := event.(type) {
	case *LogOpened:
		return "log opened"
	case *FleetFetched:
		return "fleet fetched and verified"
	case *FleetRejected:
		return describeFleetRejected(e)
	case *RolloutVerified:
		if e.Carried != "" {
			return "rollout verified, earlier manifest kept"
		}
		return "rollout verified"
	case *RolloutRejected:
		return describeRolloutRejected(e)
	case *CrossCheckFailed:
		if e.Check == manifest.CheckHostSet {
			return "rollout names other hosts than the fleet"
		}
		return "rollout names another fleet than the one fetched"
	case *ChannelIdle:
		if e.Reason == Removed {
			return "channel left the fleet"
		}
		return "channel has no host with a closure"
	case *TickCompleted:
		return describeTick(e)
	}
	return event.Head().Type
}

func describeFleetRejected(e *FleetRejected) string {
	switch e.Stage {
	case StageTrust:
		return "trust file refused"
	case StageFetch:
		return "fleet not fetched"
	case StageFloor:
		if e.Reason == Equivocation {
			return "another fleet was accepted with the same signing time"
		}
		return "fleet is older than one already accepted"
	}
	return "fleet refused: " + string(e.Reason)
}

func describeRolloutRejected(e *RolloutRejected) string {
	switch e.Stage {
	case StageIdentity:
		if e.Reason == Projection {
			return "channel cannot be projected from the fleet"
		}
		return "rollout id can never be served"
	case StageFetch:
		return "rollout not fetched"
	}
	return "rollout refused: " + string(e.Reason)
}

func describeTick(e *TickCompleted) string {
	if e.Outcome == Skipped {
		if e.Set == nil {
			return "fleet refused, no set"
		}
		return "fleet refused, set retained"
	}
	of := e.Counts.Verified + e.Counts.Rejected + e.Counts.CrossCheckFailed
	return fmt.Sprintf("%d of %d channels verified", e.Counts.Verified, of)
}
