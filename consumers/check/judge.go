package check

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/manifest"
)

// judged is the set that the last judgement made: the same artifacts under the
// same trust need only be young enough again.
type judged struct {
	key string
	set *manifest.Set
}

// judge verifies what a verified tick states, by the trust and the windows that
// held at its time: signatures, ids, and that the manifests belong to the fleet.
func (c *checking) judge(ctx context.Context, tick *events.Tick) error {
	if len(c.Trust) == 0 {
		return nil
	}
	policy := c.Policy
	policy.Now = tick.Head.Time.Time()
	if policy.Trust = c.Trust.At(policy.Now); policy.Trust == nil || c.held == nil {
		c.report.Unjudged++
		return nil
	}
	key := judgedKey(tick.Findings, policy.Trust)
	if key == c.judged.key && c.judged.fresh(policy) {
		return nil
	}
	c.judged = judged{}
	artifacts, err := c.statementArtifacts(ctx, tick.Findings)
	if err != nil {
		return err
	}
	set, refused, err := manifest.Assemble(artifacts.Fleet, artifacts.Rollouts, "", policy)
	for i, f := range tick.Findings {
		channel, about := f.ChannelName()
		why := refused[channel]
		if !about {
			why = err
		}
		if events.ArtifactOf(f) != nil {
			c.report.Judged++
		}
		if why != nil {
			c.report.add(Finding{
				Code: CodeRefused, Seq: tick.Completed.Statement.FirstSeq + uint64(i), Tick: tick.Head.Number,
				Detail: fmt.Sprintf("the artifact is refused under trust %s at %s: %v", policy.Trust.Digest(), tick.Head.Time, why),
			})
		}
	}
	if err == nil && len(refused) == 0 {
		c.judged = judged{key, set}
		c.compareKeys(tick, set)
	}
	return nil
}

// judgedKey names artifacts and trust.
func judgedKey(findings []events.Finding, trust *manifest.Trust) string {
	var key strings.Builder
	key.WriteString(trust.Digest().String())
	for _, f := range findings {
		if a := events.ArtifactOf(f); a != nil {
			fmt.Fprintf(&key, " %s %x", a.SHA256, a.Signature)
		}
	}
	return key.String()
}

// fresh tells whether the set is young enough, and under the same key still.
func (j judged) fresh(p manifest.Policy) bool {
	if j.set == nil {
		return false
	}
	fleet := j.set.Fleet()
	if fleet.Reverify(p.Trust, p.Now) != nil || fleet.CheckFresh(p.Now, p.FleetWindow(fleet.Value())) != nil {
		return false
	}
	for _, r := range j.set.Rollouts() {
		window := p.For(fleet.Value(), r.Value().Channel).Window
		if r.Reverify(p.Trust, p.Now) != nil || r.CheckFresh(p.Now, window) != nil {
			return false
		}
	}
	return true
}

// statementArtifacts are the bytes of the artifacts, which were read once and
// are there.
func (c *checking) statementArtifacts(ctx context.Context, findings []events.Finding) (*eventlog.StatementArtifacts, error) {
	all := &eventlog.StatementArtifacts{Rollouts: make(map[string]manifest.Received)}
	for _, f := range findings {
		named := events.ArtifactOf(f)
		if named == nil {
			continue
		}
		received, err := c.source.Artifact(ctx, *named)
		var lost *eventlog.ArtifactError
		if err != nil && !errors.As(err, &lost) {
			return nil, err
		}
		if channel, ok := f.ChannelName(); ok {
			all.Rollouts[channel] = received
		} else {
			all.Fleet = received
		}
	}
	return all, nil
}

// compareKeys holds what the findings say of verified artifacts against what
// those are.
func (c *checking) compareKeys(tick *events.Tick, set *manifest.Set) {
	differs := func(i int, what string, said, is any) {
		if said, is := fmt.Sprint(said), fmt.Sprint(is); said != is {
			c.report.add(Finding{
				Code: CodeHash, Seq: tick.Completed.Statement.FirstSeq + uint64(i), Tick: tick.Head.Number,
				Detail: fmt.Sprintf("the finding says %s %s, the artifact is %s", what, said, is), Expected: said, Found: is,
			})
		}
	}
	fleet := set.Fleet()
	for i, f := range tick.Findings {
		switch f := f.(type) {
		case *events.FleetFetched:
			differs(i, "key", f.Artifact.Key, fleet.Key().Public)
			differs(i, "hosts", f.Hosts, len(fleet.Value().Hosts))
			differs(i, "channels", f.Channels, len(fleet.Value().Channels))
			differs(i, "commit", commit(f.CICommit), commit(fleet.CICommit()))
		case *events.RolloutVerified:
			r, ok := set.Rollout(f.Channel)
			if !ok {
				continue
			}
			differs(i, "key", f.Artifact.Key, r.Key().Public)
			differs(i, "id", f.RolloutID, set.ID(r))
			differs(i, "ref", f.ChannelRef, r.Value().ChannelRef)
			differs(i, "hosts", f.Hosts, len(r.Value().HostSet))
			differs(i, "commit", commit(f.CICommit), commit(r.CICommit()))
		}
	}
}

func commit(c *string) string {
	if c == nil {
		return "none"
	}
	return *c
}
