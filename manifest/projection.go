package manifest

import (
	"slices"
	"sync"
)

// Projection is what a verified fleet says about the rollout of one channel:
// either why there can be none (Err, a [*Rejection] of kind KindProjection), or
// that there is none (Idle), or the id and the hosts.
type Projection struct {
	Channel string
	ID      RolloutID
	HostSet []HostWave // sorted by the bytes of the hostnames
	Idle    bool
	Err     error

	fleet   *Fleet
	hash    Digest
	budgets func() []byte // the fleet's, as every manifest has them
}

// derived is what follows from an artifact. It is made when it is first asked for.
type derived struct {
	mu          sync.Mutex
	projections map[Scheme][]Projection
}

// Project derives the rollout of every channel, sorted by the bytes of the
// channels' names, in one pass over the hosts; of the same verified fleet only
// once. The host sets must not be changed.
func Project(f Verified[Fleet], s Scheme) []Projection {
	f.derived.mu.Lock()
	defer f.derived.mu.Unlock()
	if f.derived.projections == nil {
		f.derived.projections = make(map[Scheme][]Projection)
	}
	made, ok := f.derived.projections[s]
	if !ok {
		made = project(f.value, f.hash, s)
		f.derived.projections[s] = made
	}
	return slices.Clone(made)
}

func project(f *Fleet, hash Digest, s Scheme) []Projection {
	sets := hostSets(f)
	budgets := sync.OnceValue(f.resolveBudgets)
	projections := make([]Projection, len(f.Channels))
	for i, c := range f.Channels {
		p := Projection{Channel: c.Name, HostSet: sets[i], fleet: f, hash: hash, budgets: budgets}
		if _, ok := f.RolloutPolicies[c.RolloutPolicy]; !ok {
			p.HostSet, p.Err = nil, reject(KindProjection, "rollout policy %.60q does not exist", c.RolloutPolicy)
		} else if p.Idle = len(p.HostSet) == 0; !p.Idle {
			p.ID = p.id(s)
		}
		projections[i] = p
	}
	return projections
}

// hostSets are the hosts of each channel, in the order of both.
func hostSets(f *Fleet) [][]HostWave {
	places := make(map[string]int, len(f.Channels))
	for i, c := range f.Channels {
		places[c.Name] = i
	}
	const nowhere = -1
	placeOf := make([]int, len(f.Hosts))
	counts := make([]int, len(f.Channels))
	for n, h := range f.Hosts {
		place, ok := places[h.Channel]
		if !ok || h.ClosureHash == nil {
			placeOf[n] = nowhere
			continue
		}
		placeOf[n] = place
		counts[place]++
	}
	sets := make([][]HostWave, len(f.Channels))
	for i, count := range counts {
		if count > 0 {
			sets[i] = make([]HostWave, 0, count)
		}
	}
	for n, h := range f.Hosts {
		if place := placeOf[n]; place != nowhere {
			sets[place] = append(sets[place], HostWave{Hostname: h.Name, TargetClosure: *h.ClosureHash})
		}
	}
	for i, c := range f.Channels {
		setWaves(sets[i], f.Waves[c.Name])
	}
	return sets
}

// setWaves gives each host the first wave that names it. A wave may name others.
func setWaves(hosts []HostWave, waves []Wave) {
	for i, w := range slices.Backward(waves) { // an earlier wave has the last word
		names := w.Hosts
		if !slices.IsSorted(names) {
			names = slices.Sorted(slices.Values(names))
		}
		for n := range hosts {
			at, found := slices.BinarySearch(names, hosts[n].Hostname)
			if found {
				hosts[n].WaveIndex = uint32(i)
			}
			names = names[at:] // the hosts are in order, too
		}
	}
}

func (p Projection) id(s Scheme) RolloutID {
	if s == Composite {
		return CompositeID(p.Channel, p.ref())
	}
	return ContentHashID(Sum(p.Manifest()))
}

func (p Projection) ref() string {
	if commit := p.fleet.Meta.CICommit; commit != nil {
		return *commit
	}
	return ""
}

// Manifest is the canonical form of the rollout manifest that the producer
// makes of the channel, in the shape of the fleet's revision.
func (p Projection) Manifest() []byte {
	i, _ := slices.BinarySearchFunc(p.fleet.Channels, p.Channel, func(c Channel, name string) int {
		return compareStrings(c.Name, name)
	})
	channel := p.fleet.Channels[i]
	meta := map[string]any{
		"schemaVersion": 1, "signedAt": p.fleet.Meta.SignedAt, "ciCommit": p.fleet.Meta.CICommit,
		"signatureAlgorithm": algorithmEd25519,
	}
	if a := p.fleet.Meta.SignatureAlgorithm; a != nil {
		meta["signatureAlgorithm"] = *a
	}
	m := map[string]any{
		"schemaVersion": 1, "displayName": p.Channel + "@" + shortRef(p.fleet.Meta.CICommit),
		"channel": p.Channel, "channelRef": p.ref(), "fleetResolvedHash": p.hash.String(),
		"healthGate": p.fleet.RolloutPolicies[channel.RolloutPolicy].HealthGate.tree(),
		"meta":       meta,
	}
	if channel.Compliance != nil {
		m["complianceFrameworks"] = channel.Compliance.Frameworks
	}
	members := map[string][]byte{"hostSet": canonicalHostSet(p.HostSet), "disruptionBudgets": p.budgets()}
	for name, v := range m {
		members[name] = canonicalTree(v)
	}
	return canonicalObject(members)
}

// shortRef is the commit's first eight characters.
func shortRef(commit *string) string {
	if commit == nil {
		return "unknown"
	}
	runes := []rune(*commit)
	return string(runes[:min(8, len(runes))])
}

func (g HealthGate) tree() map[string]any {
	t := map[string]any{}
	if g.MaxFailedUnits != nil {
		t["systemdFailedUnits"] = map[string]any{"max": *g.MaxFailedUnits}
	}
	if g.ComplianceProbesRequired != nil {
		t["complianceProbes"] = map[string]any{"required": *g.ComplianceProbesRequired}
	}
	return t
}

// resolveBudgets are the fleet's budgets in canonical form, each with the hosts
// that it selects.
func (f *Fleet) resolveBudgets() []byte {
	trees := make([]any, len(f.DisruptionBudgets))
	for i, b := range f.DisruptionBudgets {
		hosts := []string{}
		for _, h := range f.Hosts {
			if b.Selector.matches(h) {
				hosts = append(hosts, h.Name)
			}
		}
		trees[i] = map[string]any{
			"selector": map[string]any{
				"tags": orEmpty(b.Selector.Tags), "tagsAny": orEmpty(b.Selector.TagsAny),
				"hosts": orEmpty(b.Selector.Hosts), "channel": b.Selector.Channel, "all": b.Selector.All,
			},
			"hosts": hosts, "maxInFlight": b.MaxInFlight, "maxInFlightPct": b.MaxInFlightPct,
		}
	}
	return canonicalTree(trees)
}

func orEmpty(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

func (s Selector) matches(h Host) bool {
	onHost := func(tag string) bool { return slices.Contains(h.Tags, tag) }
	return s.All || slices.Contains(s.Hosts, h.Name) ||
		s.Channel != nil && *s.Channel == h.Channel ||
		len(s.Tags) > 0 && !slices.ContainsFunc(s.Tags, func(tag string) bool { return !onHost(tag) }) ||
		slices.ContainsFunc(s.TagsAny, onHost)
}
