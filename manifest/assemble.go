package manifest

import (
	"errors"
	"time"
)

// errNoManifest refuses a manifest for a channel that has none.
var errNoManifest = errors.New("the fleet gives this channel no rollout")

// Assemble verifies received bytes into a set: the fleet, then for each channel
// the manifest, its id by the fleet's projection, and its cross-check. It needs
// nothing but the bytes and the policy, so that two who hold the same hold the
// same set. A manifest that is refused is left out and named with the reason;
// the error is that of the fleet, a [*Rejection].
func Assemble(fleet Received, rollouts map[string]Received, s Scheme, p Policy) (*Set, map[string]error, error) {
	return AssembleAfter(nil, fleet, rollouts, s, p)
}

// AssembleAfter is Assemble for one who holds the set before it, or nil: what is
// the same in both, and was verified under the same keys, costs no cryptography.
func AssembleAfter(before *Set, fleet Received, rollouts map[string]Received, s Scheme, p Policy) (*Set, map[string]error, error) {
	if before == nil {
		before = &Set{}
	}
	f, err := VerifyFleetAfter(before.fleet, fleet, p)
	if err != nil {
		return nil, nil, err
	}
	if s == "" {
		s = SchemeOf(f.value)
	}
	refused := make(map[string]error)
	for channel := range rollouts {
		refused[channel] = errNoManifest
	}
	var verified []Verified[Rollout]
	for _, projection := range Project(f, s) {
		received, ok := rollouts[projection.Channel]
		if !ok {
			continue
		}
		r, err := before.verifyNext(f, projection, received, p.For(f.value, projection.Channel))
		if err != nil {
			refused[projection.Channel] = err
			continue
		}
		delete(refused, projection.Channel)
		verified = append(verified, r)
	}
	return newSet(f, s, verified), refused, nil
}

// verifyNext verifies the manifest of a channel in the set that comes after s.
func (s *Set) verifyNext(f Verified[Fleet], projection Projection, received Received, p Policy) (Verified[Rollout], error) {
	var none Verified[Rollout]
	if projection.Err != nil {
		return none, projection.Err
	}
	if projection.Idle {
		return none, errNoManifest
	}
	if err := projection.ID.CheckName(); err != nil {
		return none, err
	}
	known, _ := s.Rollout(projection.Channel)
	r, err := VerifyRolloutAfter(known, received, projection.ID, p)
	if err != nil {
		return none, err
	}
	return r, CrossCheck(f, projection, r)
}

// Reverify judges the set again under other trust, in everything but freshness.
// kept lacks the channels that are not covered any more, which without names;
// it is nil when the fleet itself is not covered.
func (s *Set) Reverify(t *Trust, now time.Time) (kept *Set, without []string) {
	if s.fleet.Reverify(t, now) != nil {
		return nil, nil
	}
	var rollouts []Verified[Rollout]
	for _, r := range s.rollouts {
		if r.Reverify(t, now) != nil {
			without = append(without, r.value.Channel)
		} else {
			rollouts = append(rollouts, r)
		}
	}
	if without == nil {
		return s, nil
	}
	return newSet(s.fleet, s.scheme, rollouts), without
}
