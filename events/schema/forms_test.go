package schema_test

import (
	"reflect"

	"fleetlog/events"
	"fleetlog/manifest"
)

const maxInteger = 1<<53 - 1

// uuid is the form of a lower-case UUID of a version.
func uuid(version string) object {
	return of("type", "string", "format", "uuid",
		"pattern", "^[0-9a-f]{8}-[0-9a-f]{4}-"+version+"[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
}

func integer(from uint64) object {
	return of("type", "integer", "minimum", from, "maximum", uint64(maxInteger))
}

func oneOf(values ...any) object { return of("enum", values) }

func fixed(value any) object { return of("const", value) }

// forms are the types that are one value in a body.
var forms = map[reflect.Type]object{
	reflect.TypeFor[events.FleetName](): of("type", "string", "pattern", "^[a-z0-9][a-z0-9-]{0,31}$"),
	reflect.TypeFor[events.Time](): of("type", "string", "format", "date-time",
		"pattern", `^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$`),
	// Without a format: a signed instant may have second 60 in any minute.
	reflect.TypeFor[manifest.Instant](): of("type", "string", "pattern", "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"+
		`T([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.([0-9]{3}|[0-9]{6}|[0-9]{9}))?Z$`),
	reflect.TypeFor[manifest.Digest]():  of("type", "string", "pattern", "^[0-9a-f]{64}$"),
	reflect.TypeFor[events.PublicKey](): of("type", "string", "contentEncoding", "base64", "pattern", "^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$"),
	reflect.TypeFor[manifest.Scheme]():  oneOf(manifest.Composite, manifest.ContentHash),
	reflect.TypeFor[events.Severity]():  oneOf(events.Info, events.Warning, events.Error),
	reflect.TypeFor[events.Outcome]():   oneOf(events.Verified, events.Skipped),
	reflect.TypeFor[events.Stated]():    oneOf(events.Changed, events.Restated, events.Unchanged),
	reflect.TypeFor[events.Stage]():     oneOf(events.StageTrust, events.StageIdentity, events.StageFetch, events.StageVerify, events.StageFloor),
	reflect.TypeFor[string]():           of("type", "string"),
	reflect.TypeFor[bool]():             of("type", "boolean"),
	reflect.TypeFor[int]():              integer(0),
	reflect.TypeFor[uint64]():           integer(0),
}

// fields are the forms of single fields, by the type that declares them and the
// name in the body. A field of Envelope can be narrowed for an event.
var fields = map[string]object{
	"Envelope.tick":    uuid("7"),
	"Envelope.number":  integer(1),
	"Envelope.message": of("type", "string", "pattern", `^[^\r\n]+$`),

	"LogOpened.tick":     uuid("4"),
	"LogOpened.number":   fixed(0),
	"LogOpened.index":    fixed(0),
	"LogOpened.severity": fixed(events.Info),
	"LogOpened.new":      fixed(true),
	"LogOpened.lineage":  uuid("4"),
	"LogOpened.seq":      fixed(1),
	"LogOpened.format":   fixed(1),
	"LogOpened.writers": of("type", "array", "minItems", 1, "uniqueItems", true,
		"items", of("$ref", "#/$defs/PublicKey")),
	"Continues.lineage": uuid("4"),

	"Artifact.size":      of("type", "integer", "minimum", 1, "maximum", manifest.MaxArtifact),
	"Artifact.parts":     of("type", "array", "minItems", 1, "maxItems", (manifest.MaxArtifact+events.PartSize-1)/events.PartSize, "items", integer(1)),
	"Artifact.signature": of("type", "string", "contentEncoding", "base64", "pattern", "^[A-Za-z0-9+/]{85}[AQgw]==$"),
	"Artifact.algorithm": of("type", "string", "minLength", 1),
	"Artifact.key":       of("type", "string", "minLength", 1),

	"FleetFetched.severity": fixed(events.Info),
	"FleetFetched.source":   oneOf(events.SourceControlPlane, events.SourceReleaseDir, events.SourceReleaseURL),

	"FleetRejected.severity": fixed(events.Error),
	"FleetRejected.reason":   of("type", "string"),
	"FleetRejected.detail":   detail,

	"RolloutVerified.severity": oneOf(events.Info, events.Warning),
	"RolloutVerified.carried":  oneOf(fetchReasons...),

	"RolloutRejected.severity": fixed(events.Error),
	"RolloutRejected.reason":   of("type", "string"),
	"RolloutRejected.detail":   detail,

	"CrossCheckFailed.severity": fixed(events.Error),
	"CrossCheckFailed.check":    oneOf(events.CheckFleetHash, events.CheckHostSet),

	"ChannelIdle.severity": oneOf(events.Info, events.Warning),
	"ChannelIdle.reason":   oneOf(events.NoClosure, events.Removed),

	"TickCompleted.lineage": uuid("4"),
	"TickCompleted.seq":     integer(2),
	"Statement.tick":        uuid("7"),
	"Statement.number":      integer(1),
	"Statement.firstSeq":    integer(2),
	"Statement.lastSeq":     integer(2),
	"SetReference.tick":     uuid("7"),
	"SetReference.firstSeq": integer(2),
	"SetReference.lastSeq":  integer(2),
	"SetReference.without":  of("type", "array", "minItems", 1, "items", of("type", "string")),
	"Missed.ticks":          integer(1),
	"Missed.reason": oneOf(events.BrokerUnavailable, events.LogFull, events.BatchTooLarge, events.ClockSkew,
		events.Overrun, events.Contention),
}

var detail = of("type", "string", "minLength", 1, "maxLength", 256, "pattern", "^[ -~]+$")

var fetchReasons = []any{
	events.Unreachable, events.Timeout, events.HTTPStatus, events.Unavailable, events.TooLarge, events.IdentityUnservable,
}

// stages are the reasons that each stage can give.
var stages = []struct {
	stage   events.Stage
	reasons []any
}{
	{events.StageTrust, []any{events.TrustInvalid}},
	{events.StageIdentity, []any{events.IdentityUnservable, events.Projection}},
	{events.StageFetch, fetchReasons},
	{events.StageVerify, []any{
		manifest.KindNoTrustRoots, manifest.KindParse, manifest.KindCanonicalize, manifest.KindBadSignature,
		manifest.KindUnsupportedAlgorithm, manifest.KindSchemaVersionUnsupported, manifest.KindNotSigned,
		manifest.KindRejectedBeforeTimestamp, manifest.KindStale, manifest.KindFutureDated, manifest.KindMismatch,
		manifest.KindProjection,
	}},
	{events.StageFloor, []any{events.Rollback, events.Equivocation}},
}

// refusal are the rules of reason and received.
func refusal() (rules []any) {
	for _, s := range stages {
		rules = append(rules, of(
			"if", of("properties", of("stage", fixed(s.stage))),
			"then", of("properties", of("reason", oneOf(s.reasons...)))))
	}
	return append(rules, of(
		"if", of("properties", of("stage", oneOf(events.StageVerify, events.StageFloor))),
		// Without any key nothing of what came is looked at.
		"then", of("if", of("not", of("properties", of("reason", fixed(events.NoTrustRoots)))), "then", of("required", []any{"received"})),
		"else", absent("received")))
}

func absent(field string) object { return of("properties", of(field, false)) }

// rules hold between the fields of an event.
var rules = map[string][]any{
	"FleetRejected": refusal(),
	"RolloutRejected": append(refusal(), of(
		"if", of("properties", of("reason", fixed(events.Projection))),
		"then", absent("rolloutId"),
		"else", of("required", []any{"rolloutId"}))),
	"CrossCheckFailed": {of("required", []any{"received"})},
	"TickCompleted": {
		of(
			"if", of("properties", of("stated", fixed(events.Unchanged))),
			"then", of("properties", of("index", fixed(0))),
			"else", of("properties", of("index", integer(1)))),
		of(
			"if", of("properties", of("stated", fixed(events.Changed))),
			"then", of("properties", of("new", fixed(true))),
			"else", of("properties", of("new", fixed(false)))),
	},
}
