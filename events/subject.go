package events

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// FleetName names one fleet in subjects and stream names:
// [a-z0-9][a-z0-9-]{0,31}.
type FleetName struct{ name string }

// ParseFleetName returns the name s, or an error when it is not of the form
// that [FleetName] documents.
func ParseFleetName(s string) (FleetName, error) {
	valid := len(s) >= 1 && len(s) <= 32 && s[0] != '-'
	for _, c := range []byte(s) {
		valid = valid && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-')
	}
	if !valid {
		return FleetName{}, fmt.Errorf("fleet name %q: want 1 to 32 of a-z, 0-9 and -, not beginning with -", s)
	}
	return FleetName{s}, nil
}

// String returns the name as it stands in subjects.
func (f FleetName) String() string { return f.name }

// MarshalText returns the name.
func (f FleetName) MarshalText() ([]byte, error) { return []byte(f.name), nil }

// UnmarshalText is [ParseFleetName].
func (f *FleetName) UnmarshalText(text []byte) (err error) {
	*f, err = ParseFleetName(string(text))
	return err
}

// EventsStream is the name of the stream that holds the fleet's events.
func (f FleetName) EventsStream() string { return "nixfleet-" + f.name + "-events" }

// ArtifactsStream is the name of the stream that holds the artifacts' bytes.
func (f FleetName) ArtifactsStream() string { return "nixfleet-" + f.name + "-artifacts" }

// EventSubjects is the wildcard under which all events of the fleet are stored.
func (f FleetName) EventSubjects() string { return f.EventSubject(">") }

// EventSubject is the subject of the given leaf, such as "TickCompleted" or
// "RolloutVerified.stable".
func (f FleetName) EventSubject(leaf string) string { return "nixfleet." + f.name + ".event." + leaf }

// ArtifactSubjects is the wildcard under which all artifacts are stored.
func (f FleetName) ArtifactSubjects() string { return "nixfleet-artifact." + f.name + ".>" }

// FleetArtifactSubject is where parts of fleet.resolved.json are stored.
func (f FleetName) FleetArtifactSubject() string { return "nixfleet-artifact." + f.name + ".fleet" }

// RolloutArtifactSubject is where parts of the channel's manifests are stored.
func (f FleetName) RolloutArtifactSubject(channel string) string {
	return "nixfleet-artifact." + f.name + ".rollout." + ChannelToken(channel)
}

// maxToken is the longest channel token that spells the name out.
const maxToken = 100

// ChannelToken encodes a channel's name as one subject token: [A-Za-z0-9_-] as
// is, any other byte as =XX, a result longer than 100 bytes as =h followed by
// the SHA-256 of the name, the empty name as a single =. It is injective.
func ChannelToken(channel string) string {
	if channel == "" {
		return "="
	}
	var b strings.Builder
	for _, c := range []byte(channel) {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "=%02X", c)
		}
	}
	if b.Len() > maxToken {
		sum := sha256.Sum256([]byte(channel))
		return "=h" + hex.EncodeToString(sum[:])
	}
	return b.String()
}
