package manifest

import (
	"cmp"
	"slices"
)

// Fleet is a fleet.resolved.json, of either revision: hosts have `system` in
// the older one and `platform` in the newer one.
type Fleet struct {
	SchemaVersion     uint32
	Hosts             []Host    // sorted by the bytes of their names
	Channels          []Channel // likewise
	RolloutPolicies   map[string]RolloutPolicy
	Waves             map[string][]Wave // by channel
	Edges             []Edge
	ChannelEdges      []Edge
	DisruptionBudgets []DisruptionBudget
	Meta              Meta
}

// Host is one machine.
type Host struct {
	Name        string
	System      *string
	Platform    *string
	Tags        []string
	Channel     string
	ClosureHash *string
	Pubkey      *string
	Pin         *Pin
}

// Pin holds a host at a commit.
type Pin struct {
	Commit    string
	Reason    string
	ExpiresAt *Instant
}

// Channel is a group of hosts that is rolled out together.
type Channel struct {
	Name                     string
	RolloutPolicy            string
	ReconcileIntervalMinutes uint32
	FreshnessWindow          uint32 // minutes
	SigningIntervalMinutes   uint32
	Compliance               *Compliance // the older revision only
}

// Compliance is what the older revision demands of a channel.
type Compliance struct {
	Frameworks []string
	Mode       string
}

// RolloutPolicy says how a channel is rolled out.
type RolloutPolicy struct {
	Strategy        string
	Waves           []PolicyWave
	HealthGate      HealthGate
	OnHealthFailure string
}

// PolicyWave selects the hosts of one wave.
type PolicyWave struct {
	Selector    Selector
	SoakMinutes uint32
}

// Selector matches a host when any of its clauses does.
type Selector struct {
	Tags    []string
	TagsAny []string
	Hosts   []string
	Channel *string
	All     bool
}

// HealthGate is what must hold before a rollout goes on.
type HealthGate struct {
	MaxFailedUnits           *uint32 // systemdFailedUnits.max
	ComplianceProbesRequired *bool   // complianceProbes.required, the older revision only
}

// Wave is a resolved wave of a channel.
type Wave struct {
	Hosts       []string
	SoakMinutes uint32
}

// Edge orders two hosts, or two channels.
type Edge struct {
	Gated, Gates string
	Reason       *string
}

// DisruptionBudget limits how many of the selected hosts may be down.
type DisruptionBudget struct {
	Selector       Selector
	MaxInFlight    *uint32
	MaxInFlightPct *uint32
}

// Meta is the signing envelope that all artifacts share.
type Meta struct {
	SchemaVersion      uint32
	SignedAt           *Instant
	CICommit           *string
	SignatureAlgorithm *string
}

func readFleet(d *decoding, v any) *Fleet {
	o := d.object(v, "")
	f := &Fleet{
		SchemaVersion:     required(o, "schemaVersion", integer),
		RolloutPolicies:   defaulted(o, "rolloutPolicies", mapping(readPolicy)),
		Waves:             required(o, "waves", mapping(list(readWave))),
		Edges:             defaulted(o, "edges", list(readEdge)),
		ChannelEdges:      defaulted(o, "channelEdges", list(readChannelEdge)),
		DisruptionBudgets: defaulted(o, "disruptionBudgets", list(readBudget)),
		Meta:              required(o, "meta", readMeta),
	}
	for name, h := range required(o, "hosts", mapping(readHost)) {
		h.Name = name
		f.Hosts = append(f.Hosts, h)
	}
	slices.SortFunc(f.Hosts, func(a, b Host) int { return cmp.Compare(a.Name, b.Name) })
	for name, c := range required(o, "channels", mapping(readChannel)) {
		c.Name = name
		f.Channels = append(f.Channels, c)
	}
	slices.SortFunc(f.Channels, func(a, b Channel) int { return cmp.Compare(a.Name, b.Name) })
	return f
}

func readHost(d *decoding, v any, at string) Host {
	o := d.object(v, at)
	h := Host{
		System:      nullable(o, "system", text),
		Platform:    nullable(o, "platform", text),
		Tags:        required(o, "tags", list(text)),
		Channel:     required(o, "channel", text),
		ClosureHash: nullable(o, "closureHash", text),
		Pubkey:      nullable(o, "pubkey", text),
		Pin:         nullable(o, "pin", readPin),
	}
	if h.System == nil && h.Platform == nil {
		d.fail(at, "has neither platform nor system")
	}
	return h
}

func readPin(d *decoding, v any, at string) Pin {
	o := d.object(v, at)
	return Pin{
		Commit:    required(o, "commit", text),
		Reason:    required(o, "reason", text),
		ExpiresAt: nullable(o, "expiresAt", instant),
	}
}

func readChannel(d *decoding, v any, at string) Channel {
	o := d.object(v, at)
	c := Channel{
		RolloutPolicy:            required(o, "rolloutPolicy", text),
		ReconcileIntervalMinutes: required(o, "reconcileIntervalMinutes", integer),
		FreshnessWindow:          required(o, "freshnessWindow", integer),
		SigningIntervalMinutes:   required(o, "signingIntervalMinutes", integer),
	}
	if _, ok := o.members["compliance"]; ok {
		compliance := required(o, "compliance", readCompliance)
		c.Compliance = &compliance
	}
	return c
}

func readCompliance(d *decoding, v any, at string) Compliance {
	o := d.object(v, at)
	return Compliance{Frameworks: required(o, "frameworks", list(text)), Mode: required(o, "mode", text)}
}

func readPolicy(d *decoding, v any, at string) RolloutPolicy {
	o := d.object(v, at)
	p := RolloutPolicy{
		Strategy:        required(o, "strategy", text),
		Waves:           required(o, "waves", list(readPolicyWave)),
		HealthGate:      defaulted(o, "healthGate", readHealthGate),
		OnHealthFailure: required(o, "onHealthFailure", text),
	}
	if p.OnHealthFailure != "halt" && p.OnHealthFailure != "rollback-and-halt" {
		d.fail(o.path("onHealthFailure"), "is neither halt nor rollback-and-halt")
	}
	return p
}

func readPolicyWave(d *decoding, v any, at string) PolicyWave {
	o := d.object(v, at)
	return PolicyWave{
		Selector:    required(o, "selector", readSelector),
		SoakMinutes: required(o, "soakMinutes", integer),
	}
}

func readSelector(d *decoding, v any, at string) Selector {
	o := d.object(v, at)
	return Selector{
		Tags:    defaulted(o, "tags", list(text)),
		TagsAny: defaulted(o, "tagsAny", list(text)),
		Hosts:   defaulted(o, "hosts", list(text)),
		Channel: nullable(o, "channel", text),
		All:     defaulted(o, "all", flag),
	}
}

func readHealthGate(d *decoding, v any, at string) HealthGate {
	o := d.object(v, at)
	return HealthGate{
		MaxFailedUnits: nullable(o, "systemdFailedUnits", func(d *decoding, v any, at string) uint32 {
			return required(d.object(v, at), "max", integer)
		}),
		ComplianceProbesRequired: nullable(o, "complianceProbes", func(d *decoding, v any, at string) bool {
			return required(d.object(v, at), "required", flag)
		}),
	}
}

func readWave(d *decoding, v any, at string) Wave {
	o := d.object(v, at)
	return Wave{Hosts: required(o, "hosts", list(text)), SoakMinutes: required(o, "soakMinutes", integer)}
}

func readEdge(d *decoding, v any, at string) Edge {
	o := d.object(v, at)
	return Edge{
		Gated: required(o, "gated", text), Gates: required(o, "gates", text), Reason: nullable(o, "reason", text),
	}
}

// readChannelEdge also knows the members' former names.
func readChannelEdge(d *decoding, v any, at string) Edge {
	o := d.object(v, at)
	return Edge{
		Gated: aliased(o, "gated", "after"), Gates: aliased(o, "gates", "before"), Reason: nullable(o, "reason", text),
	}
}

func aliased(o object, name, former string) string {
	_, current := o.members[name]
	_, old := o.members[former]
	if current && old {
		o.d.fail(o.path(name), "is given by its former name %s too", former)
	}
	if old {
		name = former
	}
	return required(o, name, text)
}

func readBudget(d *decoding, v any, at string) DisruptionBudget {
	o := d.object(v, at)
	return DisruptionBudget{
		Selector:       required(o, "selector", readSelector),
		MaxInFlight:    nullable(o, "maxInFlight", integer),
		MaxInFlightPct: nullable(o, "maxInFlightPct", integer),
	}
}

func readMeta(d *decoding, v any, at string) Meta {
	o := d.object(v, at)
	return Meta{
		SchemaVersion:      required(o, "schemaVersion", integer),
		SignedAt:           nullable(o, "signedAt", instant),
		CICommit:           nullable(o, "ciCommit", text),
		SignatureAlgorithm: nullable(o, "signatureAlgorithm", text),
	}
}
