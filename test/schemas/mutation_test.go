package schemas

import (
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// TestSchemasRefuseWithoutARequiredField takes each required field, of the body
// and of what is in it, away from the first event of every type.
func TestSchemasRefuseWithoutARequiredField(t *testing.T) {
	all, taken := compiled(t), 0
	done := map[string]bool{}
	for _, m := range golden(t) {
		body := parse(t, []byte(m.Body)).(map[string]any)
		name := body["type"].(string)
		if done[name] {
			continue
		}
		done[name] = true
		taken += without(t, all[name], all[name], body, body)
	}
	if taken != 157 {
		t.Errorf("%d fields were taken away", taken)
	}
}

// without takes what part requires of the object away, which is in the body.
func without(t *testing.T, whole, part *jsonschema.Schema, body any, object map[string]any) (taken int) {
	t.Helper()
	for part.Ref != nil {
		part = part.Ref
	}
	for _, field := range part.Required {
		kept := object[field]
		delete(object, field)
		if whole.Validate(body) == nil {
			t.Errorf("%s without %s is accepted", whole.Title, field)
		}
		object[field] = kept
		taken++
	}
	for field, value := range object {
		if inner, ok := value.(map[string]any); ok {
			of := part.Properties[field]
			if len(of.AnyOf) > 0 {
				of = of.AnyOf[0]
			}
			taken += without(t, whole, of, body, inner)
		}
	}
	return taken
}

// absent takes a field away.
type absent struct{}

// change is one value of an event that is made another.
type change struct {
	event string // text that an event of the golden log has in its body
	field string // with the fields around it, separated by dots
	value any
}

const (
	long   = "000000000000000000000000000000000000000000000000000000000000000"
	fleet  = `"type":"FleetFetched.v1"`
	tick   = `"type":"TickCompleted.v1"`
	opened = `"type":"LogOpened.v1"`
	uuid4  = "0a0a0a0a-1111-4222-8333-444444444444"
)

// wrong are changes that no event may have.
var wrong = []change{
	{fleet, "type", "FleetFetched.v2"},
	{fleet, "fleet", "Prod"},
	{fleet, "fleet", "-prod"},
	{fleet, "tick", uuid4},
	{fleet, "tick", "019DDD00-0000-7000-8000-000000000001"},
	{fleet, "number", 0},
	{fleet, "number", 1 << 53},
	{fleet, "number", 1.5},
	{fleet, "number", "1"},
	{fleet, "index", -1},
	{fleet, "time", "2026-05-01T00:00:30Z"},
	{fleet, "time", "2026-05-01T00:00:30.000+00:00"},
	{fleet, "time", "2026-13-01T00:00:30.000Z"},
	{fleet, "severity", "error"},
	{fleet, "message", ""},
	{fleet, "message", "two\nlines"},
	{fleet, "new", "true"},
	{fleet, "fleetHash", long},
	{fleet, "fleetHash", long + "F"},
	{fleet, "fleetHash", "sha256:" + long + "0"},
	{fleet, "signedAt", "2026-05-01T00:00:00.5Z"},
	{fleet, "signedAt", "2026-05-01T02:00:00+02:00"},
	{fleet, "signedAt", "2026-05-32T00:00:00Z"},
	{fleet, "freshUntil", nil},
	{fleet, "hosts", -1},
	{fleet, "source", "elsewhere"},
	{fleet, "artifact.size", 0},
	{fleet, "artifact.size", 16<<20 + 1},
	{fleet, "artifact.parts", []any{}},
	{fleet, "artifact.parts", []any{0}},
	{fleet, "artifact.signature", strings.Repeat("A", 86)},
	{fleet, "artifact.signature", strings.Repeat("A", 85) + "B=="},
	{fleet, "artifact.key", ""},
	{opened, "tick", "019ddd00-0000-7000-8000-000000000001"},
	{opened, "number", 1},
	{opened, "seq", 2},
	{opened, "format", 2},
	{opened, "new", false},
	{opened, "writers", []any{}},
	{opened, "writers", []any{"not a key"}},
	{opened, "writer", strings.Repeat("A", 43) + "B"},
	{opened, "continues", absent{}},
	{`"type":"FleetRejected.v1"`, "reason", "Nonsense"},
	{`"stage":"fetch","reason":"Unavailable"`, "reason", "Rollback"},
	{`"stage":"fetch","reason":"Unavailable"`, "reason", "LogFull"},
	{`"stage":"fetch","reason":"Unavailable"`, "stage", "elsewhere"},
	{`"stage":"fetch","reason":"Unavailable"`, "received", map[string]any{"sha256": long + "0", "size": 1}},
	{`"stage":"trust"`, "reason", "BadSignature"},
	{`"stage":"floor","reason":"Rollback"`, "received", absent{}},
	{`"reason":"BadSignature"`, "received", absent{}},
	{`"reason":"BadSignature"`, "rolloutId", absent{}},
	{`"reason":"BadSignature"`, "rolloutId", nil},
	{`"reason":"BadSignature"`, "channel", absent{}},
	{`"reason":"BadSignature"`, "detail", ""},
	{`"reason":"BadSignature"`, "detail", "ünfit"},
	{`"reason":"BadSignature"`, "detail", strings.Repeat("a", 257)},
	{`"reason":"Projection"`, "rolloutId", "edge@0"},
	{`"type":"RolloutVerified.v1"`, "scheme", "other"},
	{`"carried":"`, "carried", "Rollback"},
	{`"carried":"`, "carried", ""},
	{`"carried":"`, "severity", "error"},
	{`"check":"`, "check", "other"},
	{`"check":"`, "received", absent{}},
	{`"check":"`, "expected", long},
	{`"type":"ChannelIdle.v1"`, "reason", "Timeout"},
	{tick, "seq", 1},
	{tick, "lineage", "019ddd00-0000-7000-8000-000000000001"},
	{tick, "outcome", "rejected"},
	{tick, "stated", "again"},
	{tick, "set", absent{}},
	{tick, "floor", absent{}},
	{tick, "floor.signedAt", nil},
	{tick, "counts.idle", -1},
	{tick, "statement.tick", uuid4},
	{tick, "statement.firstSeq", 1},
	{tick, "set.without", []any{}},
	{tick, "tookMs", 1.5},
	{tick, "writer", nil},
	{`"stated":"unchanged"`, "index", 1},
	{`"stated":"unchanged"`, "new", true},
	{`"stated":"changed"`, "index", 0},
	{`"stated":"restated"`, "new", true},
	{`"missed":{`, "missed.reason", "Timeout"},
	{`"missed":{`, "missed.ticks", 0},
}

// TestSchemasRefuse makes one value wrong.
func TestSchemasRefuse(t *testing.T) {
	schemas := compiled(t)
	for _, c := range wrong {
		if err := c.made(t, schemas); err == nil {
			t.Errorf("%s with %s %v is accepted", c.event, c.field, c.value)
		}
	}
}

// TestSchemasAccept makes one value another that a reader must take.
func TestSchemasAccept(t *testing.T) {
	schemas := compiled(t)
	for _, c := range []change{
		{fleet, "later", map[string]any{"any": 1}},
		{fleet, "artifact.later", "any"},
		{fleet, "number", 1<<53 - 1},
		{fleet, "freshUntil", absent{}},
		{fleet, "ciCommit", nil},
		{fleet, "signedAt", "2026-05-01T00:00:60.123456789Z"},
		{opened, "continues", nil},
		{opened, "continues.floor", nil},
		{`"type":"RolloutVerified.v1"`, "channel", ""},
		{`"type":"RolloutVerified.v1"`, "channelRef", ""},
		{`"reason":"NoTrustRoots"`, "received", absent{}},
		{`"reason":"BadSignature"`, "detail", absent{}},
		{tick, "set", nil},
		{tick, "floor", nil},
		{tick, "counts.later", 1},
	} {
		if err := c.made(t, schemas); err != nil {
			t.Errorf("%s with %s %v: %v", c.event, c.field, c.value, err)
		}
	}
}

// reasons are those that docs/log-format.md allows for a field of an event.
var reasons = []struct {
	event, field string
	codes        string
}{
	{`"stage":"trust"`, "reason", "TrustInvalid"},
	{`"stage":"identity","reason":"IdentityUnservable"`, "reason", "IdentityUnservable"},
	{`"stage":"identity","reason":"Projection"`, "reason", "Projection"},
	{`"stage":"fetch","reason":"Unavailable"`, "reason", "Unreachable Timeout HTTPStatus Unavailable TooLarge IdentityUnservable"},
	{`"carried":"`, "carried", "Unreachable Timeout HTTPStatus Unavailable TooLarge IdentityUnservable"},
	{`"stage":"floor","reason":"Rollback"`, "reason", "Rollback Equivocation"},
	{`"received":{"sha256":"bb`, "reason", "NoTrustRoots Parse Canonicalize BadSignature UnsupportedAlgorithm SchemaVersionUnsupported " +
		"NotSigned RejectedBeforeTimestamp Stale FutureDated Mismatch"},
	{`"reason":"NoTrustRoots"`, "reason", "NoTrustRoots Parse Canonicalize BadSignature UnsupportedAlgorithm SchemaVersionUnsupported " +
		"NotSigned RejectedBeforeTimestamp Stale FutureDated Mismatch Projection"},
	{`"missed":{`, "missed.reason", "BrokerUnavailable LogFull BatchTooLarge ClockSkew Overrun Contention"},
	{`"type":"ChannelIdle.v1"`, "reason", "no-closure removed"},
}

// TestSchemasAcceptTheReasonsOfTheFormat demands each of them where it belongs,
// and none elsewhere.
func TestSchemasAcceptTheReasonsOfTheFormat(t *testing.T) {
	all := map[string]bool{}
	for _, r := range reasons {
		for _, code := range strings.Fields(r.codes) {
			all[code] = true
		}
	}
	if len(all) != 29 {
		t.Errorf("%d reasons", len(all))
	}
	schemas := compiled(t)
	for _, r := range reasons {
		allowed := strings.Fields(r.codes)
		for code := range all {
			err := change{r.event, r.field, code}.made(t, schemas)
			if want := slices.Contains(allowed, code); (err == nil) != want {
				t.Errorf("%s with %s %s: %v, want accepted %t", r.event, r.field, code, err, want)
			}
		}
	}
}

// made is what the schema says of the first event of the golden log that the
// change is for, changed.
func (c change) made(t *testing.T, schemas map[string]*jsonschema.Schema) error {
	t.Helper()
	all := golden(t)
	i := slices.IndexFunc(all, func(m message) bool { return strings.Contains(m.Body, c.event) })
	if i < 0 {
		t.Fatalf("no event has %s", c.event)
	}
	body := parse(t, []byte(all[i].Body)).(map[string]any)
	s := schemas[body["type"].(string)]
	if err := s.Validate(body); err != nil {
		t.Fatalf("before the change: %v", err)
	}
	object, fields := body, strings.Split(c.field, ".")
	for _, field := range fields[:len(fields)-1] {
		object = object[field].(map[string]any)
	}
	if _, ok := c.value.(absent); ok {
		delete(object, fields[len(fields)-1])
	} else {
		object[fields[len(fields)-1]] = c.value
	}
	return s.Validate(body)
}
