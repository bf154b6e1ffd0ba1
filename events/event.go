package events

import (
	"fleetlog/manifest"

	"github.com/go-json-experiment/json/jsontext"
)

// Event is one message of the log, decoded.
type Event interface {
	// Head gives access to the fields that every event begins with.
	Head() *Envelope
	// ChannelName is the channel that the event is about, if it is about one.
	ChannelName() (name string, ok bool)
	check() error
}

// Finding is an event that states one fact of a tick.
type Finding interface {
	Event
	severity() Severity
	clone() Finding
}

// Envelope holds the fields that every body begins with.
type Envelope struct {
	Type     string    `json:"type"`
	Fleet    FleetName `json:"fleet"`
	Tick     string    `json:"tick"`
	Number   uint64    `json:"number"`
	Index    int       `json:"index"`
	Time     Time      `json:"time"`
	Severity Severity  `json:"severity"`
	Message  string    `json:"message"`
	New      bool      `json:"new"`
}

// Head returns the envelope itself.
func (e *Envelope) Head() *Envelope { return e }

// ChannelName says that the event is about no channel.
func (e *Envelope) ChannelName() (string, bool) { return "", false }

// Types of events at version 1.
const (
	TypeLogOpened        = "LogOpened.v1"
	TypeFleetFetched     = "FleetFetched.v1"
	TypeFleetRejected    = "FleetRejected.v1"
	TypeRolloutVerified  = "RolloutVerified.v1"
	TypeRolloutRejected  = "RolloutRejected.v1"
	TypeCrossCheckFailed = "CrossCheckFailed.v1"
	TypeChannelIdle      = "ChannelIdle.v1"
	TypeTickCompleted    = "TickCompleted.v1"
)

// LogOpened is the first message of a log and names who may write it.
type LogOpened struct {
	Envelope
	Lineage   string         `json:"lineage"`
	Seq       uint64         `json:"seq"`
	Format    int            `json:"format"`
	Writers   []PublicKey    `json:"writers"`
	Continues *Continues     `json:"continues"`
	Writer    PublicKey      `json:"writer"`
	Unknown   jsontext.Value `json:",embed"`
}

// Continues names the log of which this one is the next epoch.
type Continues struct {
	Lineage string          `json:"lineage"`
	Number  uint64          `json:"number"`
	Digest  manifest.Digest `json:"digest"`
	Floor   *Floor          `json:"floor"`
	Unknown jsontext.Value  `json:",embed"`
}

// Artifact names received bytes by hash and by where the artifacts stream
// holds their parts.
type Artifact struct {
	SHA256    manifest.Digest `json:"sha256"`
	Size      int             `json:"size"`
	Parts     []uint64        `json:"parts"`
	Signature []byte          `json:"signature"`
	Algorithm string          `json:"algorithm"`
	Key       string          `json:"key"`
	Unknown   jsontext.Value  `json:",embed"`
}

// Received identifies refused bytes, which are not stored.
type Received struct {
	SHA256  manifest.Digest `json:"sha256"`
	Size    int             `json:"size"`
	Unknown jsontext.Value  `json:",embed"`
}

// FleetFetched states the fleet that was fetched and verified.
type FleetFetched struct {
	Envelope
	FleetHash  manifest.Digest   `json:"fleetHash"`
	Artifact   Artifact          `json:"artifact"`
	SignedAt   manifest.Instant  `json:"signedAt"`
	FreshUntil *manifest.Instant `json:"freshUntil,omitzero"`
	CICommit   *string           `json:"ciCommit"`
	Hosts      int               `json:"hosts"`
	Channels   int               `json:"channels"`
	Source     string            `json:"source"`
	Unknown    jsontext.Value    `json:",embed"`
}

// FleetRejected states why there is no fleet from this tick.
type FleetRejected struct {
	Envelope
	Stage    Stage          `json:"stage"`
	Reason   Reason         `json:"reason"`
	Detail   string         `json:"detail,omitzero"`
	Received *Received      `json:"received,omitzero"`
	Unknown  jsontext.Value `json:",embed"`
}

// RolloutVerified states the manifest of one channel; Carried is the reason why
// it is an earlier one.
type RolloutVerified struct {
	Envelope
	Channel      string            `json:"channel"`
	RolloutID    string            `json:"rolloutId"`
	Scheme       manifest.Scheme   `json:"scheme"`
	Artifact     Artifact          `json:"artifact"`
	ManifestHash manifest.Digest   `json:"manifestHash"`
	FleetHash    manifest.Digest   `json:"fleetHash"`
	SignedAt     manifest.Instant  `json:"signedAt"`
	FreshUntil   *manifest.Instant `json:"freshUntil,omitzero"`
	ChannelRef   string            `json:"channelRef"`
	CICommit     *string           `json:"ciCommit"`
	Hosts        int               `json:"hosts"`
	Waves        int               `json:"waves"`
	Carried      Reason            `json:"carried,omitzero"`
	Unknown      jsontext.Value    `json:",embed"`
}

// ChannelName is the channel of the manifest.
func (e *RolloutVerified) ChannelName() (string, bool) { return e.Channel, true }

// RolloutRejected states why a channel has no manifest from this tick.
type RolloutRejected struct {
	Envelope
	Channel   string         `json:"channel"`
	RolloutID *string        `json:"rolloutId,omitzero"`
	Stage     Stage          `json:"stage"`
	Reason    Reason         `json:"reason"`
	Detail    string         `json:"detail,omitzero"`
	Received  *Received      `json:"received,omitzero"`
	Unknown   jsontext.Value `json:",embed"`
}

// ChannelName is the channel that was refused.
func (e *RolloutRejected) ChannelName() (string, bool) { return e.Channel, true }

// CrossCheckFailed states that a well-signed manifest does not belong to the
// fleet that was fetched.
type CrossCheckFailed struct {
	Envelope
	Channel   string          `json:"channel"`
	RolloutID string          `json:"rolloutId"`
	Check     string          `json:"check"`
	Expected  manifest.Digest `json:"expected"`
	Actual    manifest.Digest `json:"actual"`
	Received  *Received       `json:"received,omitzero"`
	Unknown   jsontext.Value  `json:",embed"`
}

// ChannelName is the channel that failed.
func (e *CrossCheckFailed) ChannelName() (string, bool) { return e.Channel, true }

// ChannelIdle states that a channel has nothing to roll out, or has left the
// fleet.
type ChannelIdle struct {
	Envelope
	Channel string         `json:"channel"`
	Reason  Reason         `json:"reason"`
	Unknown jsontext.Value `json:",embed"`
}

// ChannelName is the idle channel.
func (e *ChannelIdle) ChannelName() (string, bool) { return e.Channel, true }

// TickCompleted ends a tick: it is signed, and holds the chain.
type TickCompleted struct {
	Envelope
	Lineage    string          `json:"lineage"`
	Seq        uint64          `json:"seq"`
	Outcome    Outcome         `json:"outcome"`
	Stated     Stated          `json:"stated"`
	Counts     Counts          `json:"counts"`
	Statement  Statement       `json:"statement"`
	Set        *SetReference   `json:"set"`
	Floor      *Floor          `json:"floor"`
	TookMs     uint64          `json:"tookMs"`
	IntervalMs uint64          `json:"intervalMs"`
	Missed     *Missed         `json:"missed,omitzero"`
	Previous   manifest.Digest `json:"previous"`
	Writer     PublicKey       `json:"writer"`
	Unknown    jsontext.Value  `json:",embed"`
}

// Counts are the channels of a statement by finding, `removed` not counted.
type Counts struct {
	Verified         int            `json:"verified"`
	Rejected         int            `json:"rejected"`
	CrossCheckFailed int            `json:"crossCheckFailed"`
	Idle             int            `json:"idle"`
	Unknown          jsontext.Value `json:",embed"`
}

// Statement is where the present findings are written out.
type Statement struct {
	Tick     string          `json:"tick"`
	Number   uint64          `json:"number"`
	FirstSeq uint64          `json:"firstSeq"`
	LastSeq  uint64          `json:"lastSeq"`
	Digest   manifest.Digest `json:"digest"`
	Unknown  jsontext.Value  `json:",embed"`
}

// SetReference is the set that a correct reader holds and the statement that
// it comes from; Without are channels that today's trust no longer covers.
type SetReference struct {
	Digest    manifest.Digest  `json:"digest"`
	FleetHash manifest.Digest  `json:"fleetHash"`
	SignedAt  manifest.Instant `json:"signedAt"`
	Tick      string           `json:"tick"`
	FirstSeq  uint64           `json:"firstSeq"`
	LastSeq   uint64           `json:"lastSeq"`
	Without   []string         `json:"without,omitzero"`
	Unknown   jsontext.Value   `json:",embed"`
}

// Floor is the newest fleet accepted so far.
type Floor struct {
	SignedAt  manifest.Instant `json:"signedAt"`
	FleetHash manifest.Digest  `json:"fleetHash"`
	Unknown   jsontext.Value   `json:",embed"`
}

// Missed are ticks that the writer could not record before this one.
type Missed struct {
	Ticks   uint64         `json:"ticks"`
	Reason  Reason         `json:"reason"`
	Unknown jsontext.Value `json:",embed"`
}

// Unrecognized is a well-formed event of a type or version that this program
// does not know. Inside a valid tick it stops a reader.
type Unrecognized struct {
	Envelope
	channel *string
	Rest    jsontext.Value `json:",embed"`
}

// ChannelName is the event's `channel`, if it has one.
func (e *Unrecognized) ChannelName() (string, bool) {
	if e.channel == nil {
		return "", false
	}
	return *e.channel, true
}

func (e *FleetFetched) clone() Finding     { c := *e; return &c }
func (e *FleetRejected) clone() Finding    { c := *e; return &c }
func (e *RolloutVerified) clone() Finding  { c := *e; return &c }
func (e *RolloutRejected) clone() Finding  { c := *e; return &c }
func (e *CrossCheckFailed) clone() Finding { c := *e; return &c }
func (e *ChannelIdle) clone() Finding      { c := *e; return &c }
func (e *Unrecognized) clone() Finding     { c := *e; return &c }

func (e *FleetFetched) severity() Severity     { return Info }
func (e *FleetRejected) severity() Severity    { return Error }
func (e *RolloutRejected) severity() Severity  { return Error }
func (e *CrossCheckFailed) severity() Severity { return Error }
func (e *Unrecognized) severity() Severity     { return e.Severity }

func (e *RolloutVerified) severity() Severity {
	if e.Carried != "" {
		return Warning
	}
	return Info
}

func (e *ChannelIdle) severity() Severity {
	if e.Reason == Removed {
		return Warning
	}
	return Info
}

// ArtifactOf is the artifact that a finding names, for the caller to read or to
// complete; nil when it names none.
func ArtifactOf(f Finding) *Artifact {
	switch f := f.(type) {
	case *FleetFetched:
		return &f.Artifact
	case *RolloutVerified:
		return &f.Artifact
	}
	return nil
}
