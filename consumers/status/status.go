// Package status answers at a glance whether what a fleet is supposed to run is
// current: one struct, which the command, the reducer's page and monitoring
// checks show.
package status

import (
	"fleetlog/consumers/view"
	"fleetlog/events"
	"fleetlog/manifest"
)

// Health is the whole answer in one word.
type Health string

// The answers.
const (
	Healthy  = Health("Healthy")
	Degraded = Health("Degraded") // something is refused, late, missing or about to expire
	Unknown  = Health("Unknown")  // the log cannot be read, or holds no tick
)

// ProcessState is how a process stands, in one word.
type ProcessState string

// The states of a process.
const (
	Starting  = ProcessState("Starting")
	Replaying = ProcessState("Replaying") // catches up with the log
	Ready     = ProcessState("Ready")
	Late      = ProcessState("Degraded") // works, but something is refused or late
	Stalled   = ProcessState("Stalled")  // does not go on until a person acts
	Stopping  = ProcessState("Stopping")
	NotSeen   = ProcessState("Unknown") // asked, and did not answer
)

// Status is the state of the processes and channels of one fleet at a moment.
// What is not known is absent, never zero.
type Status struct {
	Health    Health            `json:"health"`
	Fleet     string            `json:"fleet"`
	Now       events.Time       `json:"now"` // that ages are counted from
	Processes []Process         `json:"processes"`
	SetDigest *manifest.Digest  `json:"setDigest"`
	Signed    *Channel          `json:"fleetArtifact"` // the fleet itself, as a channel without name
	Channels  []Channel         `json:"channels"`      // by name
	Outages   []Outage          `json:"outages"`       // newest first, no more than asked for
	Recent    []Tick            `json:"recent"`        // that stated something else than those before, newest first
	Resolved  *view.Resolved    `json:"resolved"`      // the newest tick
	Stream    *Stream           `json:"stream"`        // nil: the broker cannot be asked
	Verified  bool              `json:"verified"`      // by this program, under a trust file of its own
	Problems  map[string]string `json:"problems"`      // by what could not be found out: why; never nil
}

// The processes of a [Status].
const (
	Poller  = "poller"
	Reducer = "reducer"
	Broker  = "broker"
)

// Process is one of poller, reducer and broker.
type Process struct {
	Name        string        `json:"name"`
	URL         string        `json:"url,omitzero"` // that was asked; absent: as the log or the broker tells
	State       ProcessState  `json:"state"`
	LastAttempt *events.Time  `json:"lastAttempt,omitzero"`
	LastSuccess *events.Time  `json:"lastSuccess,omitzero"`
	IntervalMs  uint64        `json:"intervalMs,omitzero"` // of a poller: from tick to tick, as it says
	Reason      events.Reason `json:"reason,omitzero"`
	Note        string        `json:"note,omitzero"`
}

// Tick is what a tick says of itself.
type Tick struct {
	view.Resolved
	Outcome  events.Outcome  `json:"outcome"`
	Severity events.Severity `json:"severity"`
	Message  string          `json:"message"`
}

// Channel is how one channel stands.
type Channel struct {
	Name             string            `json:"name,omitzero"` // absent: the fleet itself
	Ref              string            `json:"ref,omitzero"`  // channel reference; of the fleet its commit
	RolloutID        string            `json:"rolloutId,omitzero"`
	SHA256           *manifest.Digest  `json:"sha256,omitzero"` // of the artifact in force
	SignedAt         *manifest.Instant `json:"signedAt,omitzero"`
	FreshUntil       *manifest.Instant `json:"freshUntil,omitzero"` // absent: without end, or nothing is in force
	AgeSeconds       *int64            `json:"ageSeconds,omitzero"`
	ExpiresInSeconds *int64            `json:"expiresInSeconds,omitzero"` // negative: since
	State            view.State        `json:"state"`
	Reason           events.Reason     `json:"reason,omitzero"`
	Detail           string            `json:"detail,omitzero"`
	Since            *view.Resolved    `json:"since,omitzero"`   // what was found has been said from this tick on; absent where nothing is wrong with it
	Earlier          bool              `json:"earlier,omitzero"` // or from an earlier one: Since is as far as was looked back
	InSet            bool              `json:"inSet"`
}

// Outage is a span of ticks that were skipped, or due and not recorded.
type Outage struct {
	From    events.Time   `json:"from"`             // of the first tick that was skipped, or of the last one recorded
	Earlier bool          `json:"earlier,omitzero"` // it began before From, which is as far as was looked back
	Until   *events.Time  `json:"until"`            // of the first tick behind it; nil: it lasts
	Ticks   uint64        `json:"ticks"`
	Skipped bool          `json:"skipped"`         // the ticks are recorded: the poller was at work
	Reason  events.Reason `json:"reason,omitzero"` // of the first tick, or that the writer gives; absent: no poller was at work
}

// Stream is what the broker says of the events stream and its artifacts.
type Stream struct {
	Name                 string `json:"name"`
	Lineage              string `json:"lineage"`
	LastSequence         uint64 `json:"lastSequence"`
	ArtifactLastSequence uint64 `json:"artifactLastSequence"`
	Bytes                uint64 `json:"bytes"`       // of both streams
	MaxBytes             uint64 `json:"maxBytes"`    // of both streams
	UsedPercent          int    `json:"usedPercent"` // of the fuller one
	Replicas             int    `json:"replicas"`
}
