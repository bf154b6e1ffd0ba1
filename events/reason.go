package events

import (
	"strings"
	"unicode"

	"fleetlog/manifest"
)

// Reason is the stable code of why something was refused, not fetched or not
// recorded. The rejection kinds of package manifest are reasons too.
type Reason string

// Reasons beside the rejection kinds (docs/log-format.md section 3).
const (
	TrustInvalid       = Reason(manifest.KindTrustInvalid)
	NoTrustRoots       = Reason(manifest.KindNoTrustRoots)
	Mismatch           = Reason(manifest.KindMismatch)
	Projection         = Reason(manifest.KindProjection)
	Unreachable        = Reason("Unreachable")
	Timeout            = Reason("Timeout")
	HTTPStatus         = Reason("HTTPStatus")
	Unavailable        = Reason("Unavailable")
	TooLarge           = Reason("TooLarge")
	IdentityUnservable = Reason("IdentityUnservable")
	Rollback           = Reason("Rollback")
	Equivocation       = Reason("Equivocation")
)

// Reasons for ticks that could not be recorded.
const (
	BrokerUnavailable = Reason("BrokerUnavailable")
	LogFull           = Reason("LogFull")
	BatchTooLarge     = Reason("BatchTooLarge")
	ClockSkew         = Reason("ClockSkew")
	Overrun           = Reason("Overrun")
	Contention        = Reason("Contention")
)

// Refusals are the reasons for which a fleet or a rollout manifest can be refused
// or not have come, in the order in which a tick can meet them.
func Refusals() []Reason {
	return []Reason{
		TrustInvalid, IdentityUnservable, Projection,
		Unreachable, Timeout, HTTPStatus, Unavailable, TooLarge,
		NoTrustRoots, Reason(manifest.KindParse), Reason(manifest.KindCanonicalize), Reason(manifest.KindBadSignature),
		Reason(manifest.KindUnsupportedAlgorithm), Reason(manifest.KindSchemaVersionUnsupported), Reason(manifest.KindNotSigned),
		Reason(manifest.KindRejectedBeforeTimestamp), Reason(manifest.KindStale), Reason(manifest.KindFutureDated),
		Mismatch, Rollback, Equivocation,
	}
}

// Misses are the reasons for which a tick can be missing from the log.
func Misses() []Reason {
	return []Reason{BrokerUnavailable, LogFull, BatchTooLarge, ClockSkew, Overrun, Contention}
}

// Label is the reason as a metric's label: NixFleet's word where it has one, else
// the words of the reason in lower case with dashes between them.
func (r Reason) Label() string {
	switch r {
	case Reason(manifest.KindNotSigned):
		return "unsigned"
	case Reason(manifest.KindRejectedBeforeTimestamp):
		return "reject-before"
	case Reason(manifest.KindSchemaVersionUnsupported):
		return "schema-version"
	case HTTPStatus:
		return "http-status"
	}
	var b strings.Builder
	for i, letter := range string(r) {
		if i > 0 && unicode.IsUpper(letter) {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(letter))
	}
	return b.String()
}

// Stage is the part of a tick in which a refusal arose.
type Stage string

// The stages, in the order in which a tick reaches them.
const (
	StageTrust    = Stage("trust")
	StageIdentity = Stage("identity")
	StageFetch    = Stage("fetch")
	StageVerify   = Stage("verify")
	StageFloor    = Stage("floor")
)

// received tells whether a refusal at this stage is about bytes that came.
func (s Stage) received() bool { return s == StageVerify || s == StageFloor }

// Severity of an event.
type Severity string

// The severities.
const (
	Info    = Severity("info")
	Warning = Severity("warning")
	Error   = Severity("error")
)

// Outcome of a tick.
type Outcome string

// Verified: the fleet was verified; Skipped: it was not, the set is retained.
const (
	Verified = Outcome("verified")
	Skipped  = Outcome("skipped")
)

// Stated tells how a tick relates to the statement before it.
type Stated string

// The three ways of stating.
const (
	Changed   = Stated("changed")
	Restated  = Stated("restated")
	Unchanged = Stated("unchanged")
)

// Reasons of ChannelIdle.
const (
	NoClosure = Reason("no-closure")
	Removed   = Reason("removed")
)

// Checks of CrossCheckFailed.
const (
	CheckFleetHash = manifest.CheckFleetHash
	CheckHostSet   = manifest.CheckHostSet
)

// Sources of a release.
const (
	SourceControlPlane = "control-plane"
	SourceReleaseDir   = "release-dir"
	SourceReleaseURL   = "release-url"
)
