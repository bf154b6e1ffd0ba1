package view

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"fleetlog/manifest"
)

// Version is one artifact, by what people know it by.
type Version struct {
	RolloutID string           `json:"rolloutId,omitzero"` // absent for the fleet
	Hash      manifest.Digest  `json:"hash"`               // fleet hash or manifest hash
	SignedAt  manifest.Instant `json:"signedAt"`
	Commit    *string          `json:"commit"`
	Key       string           `json:"key,omitzero"`
}

func (v *Version) same(other *Version) bool {
	if v == nil || other == nil {
		return v == other
	}
	return v.Hash == other.Hash && v.Key == other.Key && v.RolloutID == other.RolloutID
}

// Short names the version in a few characters: commit and hash, because what is
// signed anew keeps its commit.
func (v *Version) Short() string {
	if v == nil {
		return "none"
	}
	commit := "-"
	if v.Commit != nil && *v.Commit != "" {
		commit = Plain(cut(*v.Commit, 8))
	}
	return commit + "/" + v.Hash.String()[:8]
}

func cut(s string, n int) string {
	runes := []rune(s)
	return string(runes[:min(n, len(runes))])
}

// FleetVersion is the fleet of the set; nil when there is none.
func (v Set) FleetVersion() *Version {
	if v.Fleet == nil {
		return nil
	}
	return &Version{Hash: v.Fleet.FleetHash, SignedAt: v.Fleet.SignedAt, Commit: v.Fleet.CICommit, Key: v.Fleet.Key}
}

// RolloutVersion is the channel's manifest; nil when there is none.
func (v Set) RolloutVersion(channel string) *Version {
	r, ok := v.Rollouts[channel]
	if !ok {
		return nil
	}
	return &Version{RolloutID: r.RolloutID, Hash: r.ManifestHash, SignedAt: r.SignedAt, Commit: &r.ChannelRef, Key: r.Key}
}

// Version is the channel's manifest, of the fleet for nil.
func (v Set) Version(channel *string) *Version {
	if channel == nil {
		return v.FleetVersion()
	}
	return v.RolloutVersion(*channel)
}

// Change is one thing that became different at a tick: the fleet, or one
// channel.
type Change struct {
	Resolved
	Channel *string `json:"channel,omitzero"` // absent: the fleet itself
	Condition
	From     *Version `json:"from"`
	To       *Version `json:"to"`
	Verified bool     `json:"verified"` // To, by this program
}

// Changes are what differs between two snapshots, the fleet first and then the
// channels by name.
func Changes(before, after Snapshot) []Change {
	var all []Change
	change := func(channel *string, c Condition, from, to *Version) {
		all = append(all, Change{after.Set.Resolved, channel, c, from, to, after.Set.Verified && to != nil})
	}
	if from, to := before.Set.FleetVersion(), after.Set.FleetVersion(); !from.same(to) || !before.Fleet.same(after.Fleet) {
		change(nil, after.Fleet, from, to)
	}
	names := make(map[string]bool)
	for _, m := range []map[string]Rollout{before.Set.Rollouts, after.Set.Rollouts} {
		for name := range m {
			names[name] = true
		}
	}
	for _, m := range []map[string]Condition{before.Channels, after.Channels} {
		for name := range m {
			names[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		was, known := before.Channels[name]
		is, listed := after.Channels[name]
		if !listed && was.State == Missing { // it was said to be gone already
			continue
		}
		if !listed {
			is = Condition{State: Missing, Reason: Unlisted}
		}
		from, to := before.Set.RolloutVersion(name), after.Set.RolloutVersion(name)
		if !from.same(to) || !known || !was.same(is) {
			change(&name, is, from, to)
		}
	}
	return all
}

// ChangeHeader is the line above [Change.Line].
const ChangeHeader = "TIME                     TICK     SEQ       CHANNEL          STATE        CHANGE                                 NOTE"

// Line writes the change for people.
func (c Change) Line(w io.Writer) error {
	name := "(fleet)"
	if c.Channel != nil {
		name = fmt.Sprintf("%q", *c.Channel)
	}
	_, err := fmt.Fprintf(w, "%s %-8d %-9d %-16s %-12s %-38s %s\n", c.Time, c.Tick, c.Seq, name, c.State, c.Moved(), c.Note())
	return err
}

// Moved says in a few characters from which version to which.
func (c Change) Moved() string {
	if c.From.same(c.To) {
		return c.To.Short()
	}
	return c.From.Short() + " -> " + c.To.Short()
}

// Note says why, and who signed what is new.
func (c Change) Note() string {
	var parts []string
	if !c.OK() || c.Carried {
		parts = append(parts, c.text())
	}
	if c.To != nil && !c.From.same(c.To) {
		parts = append(parts, fmt.Sprintf("signed %s%s", c.To.SignedAt, by(c.To.Key)))
		if c.To.Commit != nil && *c.To.Commit != "" {
			parts = append(parts, "commit "+Plain(*c.To.Commit))
		}
	}
	return strings.Join(parts, "; ")
}

// text is the condition as a phrase.
func (c Condition) text() string {
	if c.Carried {
		return "earlier manifest kept: " + string(c.Reason)
	}
	text := strings.TrimSpace(c.Event + " " + string(c.Reason))
	return Plain(strings.Trim(text+": "+c.Detail, ": "))
}

// HistoryEnd is the part of the log that a history is of.
type HistoryEnd struct {
	Since    *Resolved `json:"since"` // null: the log's beginning
	Until    Resolved  `json:"until"`
	Verified bool      `json:"verified"`
}

// Line writes it for people, behind so many changes.
func (e HistoryEnd) Line(w io.Writer, changes uint64) error {
	since := "the log's beginning"
	if e.Since != nil {
		since = e.Since.String()
	}
	_, err := fmt.Fprintf(w, "\n%d changes from %s to %s (%s)\n", changes, since, e.Until, how(e.Verified))
	return err
}
