// Package view is what people and programs are shown of a set: one struct, from
// which every table is rendered.
package view

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"fleetlog/events"
	"fleetlog/internal/tabular"
	"fleetlog/manifest"
)

// Set is the SignedManifestSet as it is shown.
type Set struct {
	SetDigest *manifest.Digest   `json:"setDigest"`
	Fleet     *Fleet             `json:"fleet"`
	Rollouts  map[string]Rollout `json:"rollouts"`
	Without   []string           `json:"without,omitzero"`
	Refused   map[string]string  `json:"refused,omitzero"`   // by channel: why this program does not take what the log states
	LogDigest *manifest.Digest   `json:"logDigest,omitzero"` // that the log states, where it is another one
	Resolved  Resolved           `json:"resolved"`
	Verified  bool               `json:"verified"` // by this program, under the trust file given
	Stale     bool               `json:"stale"`    // past its window now
}

// Resolved is the point of the log that the answer is for.
type Resolved struct {
	Seq  uint64      `json:"seq"`
	Tick uint64      `json:"tick"`
	Time events.Time `json:"time"`
}

// Fleet is the fleet of a set.
type Fleet struct {
	FleetHash  manifest.Digest   `json:"fleetHash"`
	SHA256     manifest.Digest   `json:"sha256"`
	SignedAt   manifest.Instant  `json:"signedAt"`
	FreshUntil *manifest.Instant `json:"freshUntil"`
	CICommit   *string           `json:"ciCommit"`
	Hosts      int               `json:"hosts"`
	Channels   int               `json:"channels"`
	Key        string            `json:"key,omitzero"` // that verified it, or is said to have
}

// Rollout is one channel's manifest.
type Rollout struct {
	RolloutID    string            `json:"rolloutId"`
	ManifestHash manifest.Digest   `json:"manifestHash"`
	SHA256       manifest.Digest   `json:"sha256"`
	SignedAt     manifest.Instant  `json:"signedAt"`
	FreshUntil   *manifest.Instant `json:"freshUntil"`
	ChannelRef   string            `json:"channelRef"`
	Hosts        int               `json:"hosts"`
	Key          string            `json:"key,omitzero"`
}

// Of shows a verified set, with the windows of the policy.
func Of(set *manifest.Set, without []string, resolved Resolved, policy manifest.Policy) Set {
	v := Set{Rollouts: map[string]Rollout{}, Without: without, Resolved: resolved, Verified: true}
	if set == nil {
		return v
	}
	digest, fleet := set.Digest(), set.Fleet()
	v.SetDigest = &digest
	v.Fleet = &Fleet{
		FleetHash: fleet.Hash(), SHA256: fleet.Artifact(), SignedAt: fleet.SignedAt(),
		FreshUntil: until(fleet.SignedAt(), policy.FleetWindow(fleet.Value())), CICommit: fleet.CICommit(),
		Hosts: len(fleet.Value().Hosts), Channels: len(fleet.Value().Channels), Key: fleet.Key().Public,
	}
	for _, r := range set.Rollouts() {
		v.Rollouts[r.Value().Channel] = Rollout{
			RolloutID: set.ID(r).String(), ManifestHash: r.Hash(), SHA256: r.Artifact(), SignedAt: r.SignedAt(),
			FreshUntil: until(r.SignedAt(), policy.For(fleet.Value(), r.Value().Channel).Window), ChannelRef: r.Value().ChannelRef,
			Hosts: len(r.Value().HostSet), Key: r.Key().Public,
		}
	}
	return v
}

func until(at manifest.Instant, window manifest.Window) *manifest.Instant {
	end, ok := at.FreshUntil(window)
	if !ok {
		return nil
	}
	return &end
}

// Said shows the set that a tick refers to, as the writer stated it: nothing of
// it is verified. statement are the findings that the tick's set comes from.
func Said(tick *events.Tick, statement []events.Finding) Set {
	v := Set{Rollouts: map[string]Rollout{}, Resolved: ResolvedAt(tick.Head)}
	ref := tick.Completed.Set
	if ref == nil {
		return v
	}
	v.SetDigest, v.Without = &ref.Digest, ref.Without
	for _, f := range statement {
		switch f := f.(type) {
		case *events.FleetFetched:
			v.Fleet = &Fleet{
				FleetHash: f.FleetHash, SHA256: f.Artifact.SHA256, SignedAt: f.SignedAt, FreshUntil: f.FreshUntil,
				CICommit: f.CICommit, Hosts: f.Hosts, Channels: f.Channels, Key: f.Artifact.Key,
			}
		case *events.RolloutVerified:
			if slices.Contains(ref.Without, f.Channel) {
				continue
			}
			v.Rollouts[f.Channel] = Rollout{
				RolloutID: f.RolloutID, ManifestHash: f.ManifestHash, SHA256: f.Artifact.SHA256, SignedAt: f.SignedAt,
				FreshUntil: f.FreshUntil, ChannelRef: f.ChannelRef, Hosts: f.Hosts, Key: f.Artifact.Key,
			}
		}
	}
	return v
}

// ResolvedAt names a tick as a point.
func ResolvedAt(h events.Head) Resolved { return Resolved{h.Seq, h.Number, h.Time} }

// Judge marks the set stale when now is past the window of its fleet or of a
// manifest, slack included.
func (v *Set) Judge(now time.Time) {
	past := func(at *manifest.Instant) bool {
		return at != nil && now.After(at.Time().Add(manifest.Slack*time.Second))
	}
	v.Stale = v.Fleet != nil && past(v.Fleet.FreshUntil)
	for _, r := range v.Rollouts {
		v.Stale = v.Stale || past(r.FreshUntil)
	}
}

func by(key string) string {
	if key == "" {
		return ""
	}
	return " by " + Plain(key)
}

// Plain quotes what would not stay one word of one line in a terminal: the texts
// are those of artifacts.
func Plain(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.QuoteToASCII(s)
	}
	return s
}

// Table writes the set for people.
func (v Set) Table(w io.Writer) error {
	table := tabular.New(w)
	if v.Fleet == nil {
		fmt.Fprintf(table, "no set\n")
	} else {
		fmt.Fprintf(table, "SET\t%s\n", v.SetDigest)
		fmt.Fprintf(table, "FLEET\t%s\n", v.Fleet.FleetHash)
		fmt.Fprintf(table, "SIGNED\t%s%s\n", v.Fleet.SignedAt, by(v.Fleet.Key))
		fmt.Fprintf(table, "HOSTS\t%d in %d channels\n\n", v.Fleet.Hosts, v.Fleet.Channels)
		fmt.Fprintf(table, "CHANNEL\tROLLOUT\tHOSTS\tSIGNED\n")
		for _, name := range slices.Sorted(maps.Keys(v.Rollouts)) {
			r := v.Rollouts[name]
			fmt.Fprintf(table, "%q\t%s\t%d\t%s\n", name, Plain(r.RolloutID), r.Hosts, r.SignedAt)
		}
		for _, name := range v.Without {
			fmt.Fprintf(table, "%q\tnot covered by trust any more\n", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(v.Refused)) {
		fmt.Fprintf(table, "%q\trefused here: %s\n", name, Plain(v.Refused[name]))
	}
	how := how(v.Verified)
	if v.Fleet == nil && !v.Verified {
		how = "as it is stated" // there is nothing to verify
	}
	if v.LogDigest != nil {
		how += "; the log states set " + v.LogDigest.String()
	}
	if v.Stale {
		how += "; STALE"
	}
	fmt.Fprintf(table, "\nas of %s (%s)\n", v.Resolved, how)
	return table.Flush()
}

// how says on whose word an answer rests.
func how(verified bool) string {
	if verified {
		return "verified under the trust file given"
	}
	return "as it is stated, not verified: give --trust-file"
}

// String names the point in all three ways.
func (r Resolved) String() string { return fmt.Sprintf("seq:%d tick:%d %s", r.Seq, r.Tick, r.Time) }
