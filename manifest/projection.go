package manifest

import (
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
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

	fleet *Fleet
	hash  Digest
}

// Project derives the rollout of every channel, sorted by the bytes of the
// channels' names, in one pass over the hosts.
func Project(f Verified[Fleet], s Scheme) []Projection { return project(f.value, f.hash, s) }

func project(f *Fleet, hash Digest, s Scheme) []Projection {
	waves := waveIndexes(f)
	sets := make(map[string][]HostWave)
	for _, h := range f.Hosts { // in name order, as the sets must be
		if h.ClosureHash != nil {
			sets[h.Channel] = append(sets[h.Channel], HostWave{h.Name, waves[h.Channel][h.Name], *h.ClosureHash})
		}
	}
	projections := make([]Projection, len(f.Channels))
	for i, c := range f.Channels {
		p := Projection{Channel: c.Name, HostSet: sets[c.Name], fleet: f, hash: hash}
		if _, ok := f.RolloutPolicies[c.RolloutPolicy]; !ok {
			p.HostSet, p.Err = nil, reject(KindProjection, "rollout policy %.60q does not exist", c.RolloutPolicy)
		} else if p.Idle = len(p.HostSet) == 0; !p.Idle {
			p.ID = p.id(s)
		}
		projections[i] = p
	}
	return projections
}

// waveIndexes maps channel and hostname to the first wave that names the host.
func waveIndexes(f *Fleet) map[string]map[string]uint32 {
	indexes := make(map[string]map[string]uint32, len(f.Waves))
	for channel, waves := range f.Waves {
		byHost := make(map[string]uint32)
		for i, w := range waves {
			for _, host := range w.Hosts {
				if _, ok := byHost[host]; !ok {
					byHost[host] = uint32(i)
				}
			}
		}
		indexes[channel] = byHost
	}
	return indexes
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
		"hostSet":           hostSetTree(p.HostSet),
		"healthGate":        p.fleet.RolloutPolicies[channel.RolloutPolicy].HealthGate.tree(),
		"disruptionBudgets": p.fleet.budgetTrees(),
		"meta":              meta,
	}
	if channel.Compliance != nil {
		m["complianceFrameworks"] = channel.Compliance.Frameworks
	}
	return canonicalTree(m)
}

// shortRef is the commit's first eight characters.
func shortRef(commit *string) string {
	if commit == nil {
		return "unknown"
	}
	runes := []rune(*commit)
	return string(runes[:min(8, len(runes))])
}

func hostSetTree(hosts []HostWave) []any {
	trees := make([]any, len(hosts))
	for i, h := range hosts {
		trees[i] = map[string]any{
			"hostname": h.Hostname, "targetClosure": h.TargetClosure, "waveIndex": h.WaveIndex,
		}
	}
	return trees
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

// budgetTrees are the fleet's budgets, each with the hosts that it selects.
func (f *Fleet) budgetTrees() []any {
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
	return trees
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

// HostSetDigest is the SHA-256 of the RFC 8785 form of the hosts in order, each
// as {hostname, targetClosure, waveIndex}.
func HostSetDigest(hosts []HostWave) Digest { return Sum(canonicalTree(hostSetTree(hosts))) }

// canonicalTree writes a value made of maps, slices, strings and integers.
func canonicalTree(v any) []byte {
	out, err := json.Marshal(v)
	if err == nil {
		err = (*jsontext.Value)(&out).Canonicalize()
	}
	if err != nil {
		panic("manifest tree has no JSON form: " + err.Error()) // decoded text always has one
	}
	return out
}
