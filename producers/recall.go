package producers

import (
	"context"
	"slices"

	"fleetlog/events"
	"fleetlog/manifest"
)

// recall rebuilds the memory of the last tick from the log when this process
// does not hold it already: after a start, and after another poller's ticks.
// While the trust file is refused nothing can be verified; the memory is then
// left empty and recalled again at the next tick.
func (p *Poller) recall(ctx context.Context) error {
	head := p.writer.Base().Head
	if head.Tick == p.held {
		return nil
	}
	p.memory, p.held = Memory{Floor: head.Floor()}, ""
	if t := head.Completed; t != nil && t.Set != nil {
		trust, err := p.Poll.readTrust()
		if err != nil {
			return nil //nolint:nilerr // the tick states it; recalled again at the next one
		}
		if err := p.recallSet(ctx, trust, t.Set); err != nil {
			return err
		}
	}
	p.held = head.Tick
	return nil
}

// recallSet verifies the artifacts of a statement under today's trust at the
// statement's time. A channel that trust took since stays out.
func (p *Poller) recallSet(ctx context.Context, trust *manifest.Trust, ref *events.SetReference) error {
	statement, err := p.log.Statement(ctx, ref.FirstSeq, ref.LastSeq)
	if err != nil {
		return err
	}
	stored, err := p.log.StatementArtifacts(ctx, statement.Findings)
	if err != nil {
		return err
	}
	for _, name := range ref.Without {
		delete(stored.Rollouts, name)
	}
	policy := manifest.Policy{Trust: trust, Now: statement.Head.Time.Time(), Window: manifest.Unlimited}
	set, _, err := manifest.Assemble(stored.Fleet, stored.Rollouts, p.Poll.Scheme, policy)
	if err != nil {
		return nil //nolint:nilerr // today's trust does not cover the fleet: there is no set
	}
	without := slices.Clone(ref.Without)
	for name := range stored.Rollouts {
		if _, ok := set.Rollout(name); !ok {
			without = append(without, name)
		}
	}
	slices.Sort(without)
	p.memory.Set, p.memory.Without = set, without
	return nil
}
