package manifest

import (
	"fmt"
	"strings"
)

// Rollout is a rollout manifest: what the hosts of one channel are to run.
type Rollout struct {
	SchemaVersion        uint32
	DisplayName          string
	Channel              string
	ChannelRef           string
	FleetResolvedHash    string // as written; its shape is not part of verification
	HostSet              []HostWave
	HealthGate           HealthGate
	ComplianceFrameworks []string // the older revision only
	DisruptionBudgets    []RolloutBudget
	Meta                 Meta
}

// HostWave is one host of a rollout.
type HostWave struct {
	Hostname      string
	WaveIndex     uint32
	TargetClosure string
}

// RolloutBudget is a disruption budget with the hosts that it resolves to.
type RolloutBudget struct {
	DisruptionBudget
	Hosts []string
}

func readRollout(d *decoding, v any) *Rollout {
	o := d.object(v, "")
	return &Rollout{
		SchemaVersion:        required(o, "schemaVersion", integer),
		DisplayName:          required(o, "displayName", text),
		Channel:              required(o, "channel", text),
		ChannelRef:           required(o, "channelRef", text),
		FleetResolvedHash:    required(o, "fleetResolvedHash", text),
		HostSet:              required(o, "hostSet", list(readHostWave)),
		HealthGate:           required(o, "healthGate", readHealthGate),
		ComplianceFrameworks: defaulted(o, "complianceFrameworks", list(text)),
		DisruptionBudgets:    defaulted(o, "disruptionBudgets", list(readRolloutBudget)),
		Meta:                 required(o, "meta", readMeta),
	}
}

func readHostWave(d *decoding, v any, at string) HostWave {
	o := d.object(v, at)
	return HostWave{
		Hostname:      required(o, "hostname", text),
		WaveIndex:     required(o, "waveIndex", integer),
		TargetClosure: required(o, "targetClosure", text),
	}
}

func readRolloutBudget(d *decoding, v any, at string) RolloutBudget {
	return RolloutBudget{readBudget(d, v, at), required(d.object(v, at), "hosts", list(text))}
}

// Scheme is how rollout ids are made.
type Scheme string

// The two schemes.
const (
	Composite   = Scheme("composite")    // channel@channelRef
	ContentHash = Scheme("content-hash") // SHA-256 of the canonical manifest
)

// SchemeOf is the scheme of a fleet's revision: composite when any host has a
// platform.
func SchemeOf(f *Fleet) Scheme {
	for _, h := range f.Hosts {
		if h.Platform != nil {
			return Composite
		}
	}
	return ContentHash
}

// RolloutID is what a rollout manifest is requested under.
type RolloutID struct {
	scheme Scheme
	text   string
}

// CompositeID is channel@ref.
func CompositeID(channel, ref string) RolloutID { return RolloutID{Composite, channel + "@" + ref} }

// ContentHashID names a manifest by its manifest hash.
func ContentHashID(d Digest) RolloutID { return RolloutID{ContentHash, d.String()} }

// ParseRolloutID reads 64 hex digits as a content hash and anything with an @ as
// a composite id.
func ParseRolloutID(s string) (RolloutID, error) {
	if d, err := ParseDigest(s); err == nil {
		return ContentHashID(d), nil
	}
	if strings.Contains(s, "@") {
		return RolloutID{Composite, s}, nil
	}
	return RolloutID{}, fmt.Errorf("rollout id %.80q: want channel@ref or 64 lower-case hex digits", s)
}

// String returns the id as it is requested.
func (id RolloutID) String() string { return id.text }

// Scheme tells how the id was made.
func (id RolloutID) Scheme() Scheme { return id.scheme }

// IsZero tells an id that was never set.
func (id RolloutID) IsZero() bool { return id == RolloutID{} }

// CheckName refuses an id that cannot be one part of a path or a URL: channel
// and ref must be of A-Z, a-z, 0-9, dot, underscore and hyphen, the channel not
// empty, neither of them . or .. alone.
func (id RolloutID) CheckName() error {
	if id.scheme == ContentHash {
		return nil
	}
	channel, ref, _ := strings.Cut(id.text, "@")
	if channel == "" {
		return fmt.Errorf("channel name is empty")
	}
	if err := checkNamePart("channel name", channel); err != nil {
		return err
	}
	return checkNamePart("ciCommit", ref)
}

func checkNamePart(what, s string) error {
	if s == "." || s == ".." {
		return fmt.Errorf("%s is nothing but a dot or two", what)
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' {
			return fmt.Errorf("%s holds a character outside A-Z a-z 0-9 . _ -", what)
		}
	}
	return nil
}
