package producers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/manifest"
)

// recall rebuilds the memory of the last tick from the log when this process
// does not hold it already: after a start, and after another poller's ticks.
// What today's trust does not cover, all of it when the trust file is refused,
// cannot be recalled; until a tick has said so in the log it is tried again,
// because trust may come back. Nor can a set whose artifacts the log has lost: they
// are stored anew. Error: [ErrFloorAhead].
func (p *Poller) recall(ctx context.Context) error {
	head := p.writer.Base().Head
	if head.Tick == p.held {
		return nil
	}
	p.memory, p.held = Memory{Floor: head.Floor()}, ""
	if err := checkFloorTime(head); err != nil {
		return err
	}
	whole := true
	if t := head.Completed; t != nil && t.Set != nil {
		trust, err := p.Poll.readTrust()
		if err != nil {
			return nil //nolint:nilerr // the tick states it
		}
		whole, err = p.recallSet(ctx, trust, t.Set)
		if p.isLost(err) {
			return nil
		}
		if err != nil {
			return err
		}
		p.lost = false
	}
	if whole {
		p.held = head.Tick
	}
	return nil
}

// isLost tells whether the log no longer holds an artifact of the set, and says so
// once.
func (p *Poller) isLost(err error) bool {
	var lost *eventlog.ArtifactError
	if !errors.As(err, &lost) {
		return false
	}
	if !p.lost {
		p.Log.WithError(err).Error("an artifact of the last set is lost: storing all of them anew with the next verified tick")
	}
	p.lost = true
	return true
}

// ErrFloorAhead refuses a log whose floor no right clock has reached: no fleet
// would be accepted any more.
var ErrFloorAhead = errors.New("floor is later than the tick that raised it: its writer was faulty, start a new log")

// checkFloorTime holds the floor against the time of the tick that states it. No
// fleet from further ahead than the slack is ever accepted.
func checkFloorTime(head events.Head) error {
	floor := head.Floor()
	if floor == nil {
		return nil
	}
	if latest := manifest.InstantOf(head.Time.Time().Add(manifest.Slack * time.Second)); floor.SignedAt.Compare(latest) > 0 {
		return fmt.Errorf("tick %d of %s with a floor of %s: %w", head.Number, head.Time, floor.SignedAt, ErrFloorAhead)
	}
	return nil
}

// recallSet verifies the artifacts of the set's statement under today's trust at
// the statement's time. whole is false when trust covers less than the last tick
// said.
func (p *Poller) recallSet(ctx context.Context, trust *manifest.Trust, ref *events.SetReference) (whole bool, err error) {
	stored, err := p.writer.SetArtifacts(ctx)
	if err != nil {
		return false, err
	}
	for _, name := range ref.Without {
		delete(stored.Rollouts, name)
	}
	stated := p.writer.Base().LastVerified[0].Head().Time
	policy := manifest.Policy{Trust: trust, Now: stated.Time(), Window: manifest.Unlimited}
	set, _, err := manifest.Assemble(stored.Fleet, stored.Rollouts, p.Poll.Scheme, policy)
	if err != nil {
		return false, nil //nolint:nilerr // today's trust does not cover the fleet: there is no set
	}
	without := slices.Clone(ref.Without)
	for name := range stored.Rollouts {
		if _, ok := set.Rollout(name); !ok {
			without = append(without, name)
		}
	}
	slices.Sort(without)
	p.memory.Set, p.memory.Without = set, without
	p.memory.Served = p.writer.Base().Head.Completed.Outcome == events.Verified
	return len(without) == len(ref.Without), nil
}
