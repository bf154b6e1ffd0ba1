package manifest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// Checks that a manifest must pass beside its own verification.
const (
	CheckFleetHash = "fleet-hash"
	CheckHostSet   = "host-set"
)

// CrossCheckError says that a well-signed manifest does not belong to the fleet:
// it names another fleet hash, or other hosts than the fleet gives the channel.
type CrossCheckError struct {
	Check            string // CheckFleetHash or CheckHostSet
	Expected, Actual Digest
}

// Error names both sides.
func (e *CrossCheckError) Error() string {
	return fmt.Sprintf("%s: manifest says %s, fleet gives %s", e.Check, e.Actual, e.Expected)
}

// CrossCheck compares a manifest with the fleet that it must have been made
// from. The error is a [*CrossCheckError].
func CrossCheck(f Verified[Fleet], p Projection, r Verified[Rollout]) error {
	if named := r.value.FleetResolvedHash; named != f.hash.String() {
		actual, err := ParseDigest(named)
		if err != nil {
			actual = Sum([]byte(named)) // it need not have the shape of a hash
		}
		return &CrossCheckError{CheckFleetHash, f.hash, actual}
	}
	if !slices.Equal(p.HostSet, r.value.HostSet) {
		return &CrossCheckError{CheckHostSet, HostSetDigest(p.HostSet), HostSetDigest(r.value.HostSet)}
	}
	return nil
}

// Set is a SignedManifestSet: a verified fleet and, for each channel that has
// one, the verified manifest that belongs to it. It is immutable.
type Set struct {
	fleet    Verified[Fleet]
	scheme   Scheme
	rollouts []Verified[Rollout] // sorted by the bytes of the channels' names
	digest   Digest
}

// NewSet puts verified parts together. It refuses a manifest that has not the
// id of its channel, does not belong to the fleet, or is the channel's second.
// An empty scheme means the one of the fleet's revision.
func NewSet(f Verified[Fleet], rollouts []Verified[Rollout], s Scheme) (*Set, error) {
	return NewSetAfter(nil, f, rollouts, s)
}

// NewSetAfter is NewSet for one who holds the set before it, or nil: the very same
// parts in that set's order make no other.
func NewSetAfter(before *Set, f Verified[Fleet], rollouts []Verified[Rollout], s Scheme) (*Set, error) {
	if f.IsZero() {
		return nil, errors.New("make set: no fleet")
	}
	if s == "" {
		s = SchemeOf(f.value)
	}
	if before != nil && before.isOf(f, rollouts, s) {
		return before, nil
	}
	projections := make(map[string]Projection)
	for _, p := range Project(f, s) {
		projections[p.Channel] = p
	}
	for _, r := range rollouts {
		if r.IsZero() {
			return nil, errors.New("make set: an empty manifest")
		}
		channel := r.value.Channel
		p, ok := projections[channel]
		if !ok || p.ID != r.idUnder(s) {
			return nil, fmt.Errorf("make set: manifest %s is not the one manifest of channel %q", r.idUnder(s), channel)
		}
		if err := CrossCheck(f, p, r); err != nil {
			return nil, fmt.Errorf("make set: channel %q: %w", channel, err)
		}
		delete(projections, channel)
	}
	return newSet(f, s, rollouts), nil
}

// isOf tells whether the set was made of these very parts.
func (s *Set) isOf(f Verified[Fleet], rollouts []Verified[Rollout], scheme Scheme) bool {
	same := func(a, b Verified[Rollout]) bool { return a.value == b.value }
	return s.scheme == scheme && s.fleet.value == f.value && slices.EqualFunc(s.rollouts, rollouts, same)
}

// newSet takes parts that belong together.
func newSet(f Verified[Fleet], s Scheme, rollouts []Verified[Rollout]) *Set {
	set := &Set{fleet: f, scheme: s, rollouts: slices.Clone(rollouts)}
	slices.SortFunc(set.rollouts, func(a, b Verified[Rollout]) int {
		return compareStrings(a.value.Channel, b.value.Channel)
	})
	hashes := make(map[string]any, len(rollouts))
	for _, r := range rollouts {
		hashes[r.value.Channel] = r.hash.String()
	}
	set.digest = Sum(canonicalTree(map[string]any{"fleet": f.hash.String(), "rollouts": hashes}))
	return set
}

func compareStrings(a, b string) int { return cmp.Compare(a, b) }

// Digest is the set's identity: the SHA-256 of the RFC 8785 form of the fleet
// hash and the channels' manifest hashes.
func (s *Set) Digest() Digest { return s.digest }

// Fleet is the fleet of the set.
func (s *Set) Fleet() Verified[Fleet] { return s.fleet }

// Scheme is how the set's rollout ids are made.
func (s *Set) Scheme() Scheme { return s.scheme }

// Rollouts are the manifests, sorted by the bytes of their channels' names.
func (s *Set) Rollouts() []Verified[Rollout] { return slices.Clone(s.rollouts) }

// Rollout is the manifest of one channel, if the set has one.
func (s *Set) Rollout(channel string) (Verified[Rollout], bool) {
	i, ok := slices.BinarySearchFunc(s.rollouts, channel, func(r Verified[Rollout], name string) int {
		return compareStrings(r.value.Channel, name)
	})
	if !ok {
		return Verified[Rollout]{}, false
	}
	return s.rollouts[i], true
}

// ID is the rollout id of a manifest of the set.
func (s *Set) ID(r Verified[Rollout]) RolloutID { return r.idUnder(s.scheme) }
