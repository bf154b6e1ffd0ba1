package events

import (
	"errors"
	"os"
	"strings"
	"testing"
)

// golden is the body of the first golden message that holds all the texts.
func golden(t *testing.T, texts ...string) string {
	t.Helper()
	data, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
next:
	for _, m := range parseLog(t, data) {
		for _, text := range texts {
			if !strings.Contains(string(m.Body), text) {
				continue next
			}
		}
		return string(m.Body)
	}
	t.Fatalf("no golden message has all of %q", texts)
	return ""
}

// TestFormOfFields holds section 2 of the format: values that no body may have.
func TestFormOfFields(t *testing.T) {
	const hash = "0101010101010101010101010101010101010101010101010101010101010101"
	opened, fleet := golden(t, TypeLogOpened), golden(t, TypeFleetFetched)
	rollout := golden(t, TypeRolloutVerified, `"channel":"edge"`)
	verify, identity := golden(t, TypeRolloutRejected, `"stage":"verify"`), golden(t, TypeRolloutRejected, `"stage":"identity"`)
	projection := golden(t, TypeRolloutRejected, `"reason":"Projection"`)
	cross, idle := golden(t, TypeCrossCheckFailed, "fleet-hash"), golden(t, TypeChannelIdle)
	missed, without := golden(t, TypeTickCompleted, `"missed"`), golden(t, TypeTickCompleted, `"without"`)
	for _, c := range []struct{ name, body, old, text string }{
		{"no type", fleet, `{"type":"FleetFetched.v1",`, `{`},
		{"a type with a space", fleet, "FleetFetched.v1", "Fleet Fetched.v1"},
		{"a type that is not first", fleet, `{"type":"FleetFetched.v1","fleet":"prod"`, `{"fleet":"prod","type":"FleetFetched.v1"`},
		{"a fleet in upper case", fleet, `"fleet":"prod"`, `"fleet":"Prod"`},
		{"no fleet", fleet, `"fleet":"prod"`, `"fleet":""`},
		{"a tick in upper case", fleet, "019ddd00", "019DDD00"},
		{"a tick of version 4", fleet, "-7000-8000", "-4000-8000"},
		{"a tick in braces", fleet, `"tick":"019ddd00-0000-7000-8000-000000000001"`, `"tick":"{019ddd00-0000-7000-8000-000000000001}"`},
		{"a number beyond 2^53-1", fleet, `"number":1`, `"number":9007199254740992`},
		{"an index beyond 2^53-1", fleet, `"index":0`, `"index":9007199254740992`},
		{"a negative index", fleet, `"index":0`, `"index":-1`},
		{"a number with an exponent", fleet, `"number":1`, `"number":1e0`},
		{"a time without fraction", fleet, "30.000Z", "30Z"},
		{"a time with six digits", fleet, "30.000Z", "30.000000Z"},
		{"a time with an offset", fleet, "30.000Z", "30.000+00:00"},
		{"an unknown severity", fleet, `"severity":"info"`, `"severity":"notice"`},
		{"no message", fleet, `"message":"fleet fetched and verified"`, `"message":""`},
		{"a message of two lines", fleet, "fetched and", `fetched\nand`},
		{"new as a number", fleet, `"new":true`, `"new":1`},
		{"a hash in upper case", fleet, hash, strings.ToUpper(strings.Replace(hash, "01", "ab", 1))},
		{"a short hash", fleet, hash, hash[1:]},
		{"a part too many", fleet, `"parts":[1]`, `"parts":[1,2]`},
		{"no part", fleet, `"parts":[1]`, `"parts":[]`},
		{"part 0", fleet, `"parts":[1]`, `"parts":[0]`},
		{"size 0", fleet, `"size":1`, `"size":0`},
		{"a size beyond the limit", fleet, `"size":1,"parts":[1]`, `"size":16777217,"parts":[1` + strings.Repeat(",1", 32) + `]`},
		{"a short signature", fleet, `"signature":"AQEB`, `"signature":"`},
		{"no algorithm", fleet, `"algorithm":"ed25519"`, `"algorithm":""`},
		{"a time of signing that is not the shortest", fleet, `"signedAt":"2026-05-01T00:00:00Z"`, `"signedAt":"2026-05-01T00:00:00.000Z"`},
		{"a time of signing with an offset", fleet, `"signedAt":"2026-05-01T00:00:00Z"`, `"signedAt":"2026-05-01T00:00:00+00:00"`},
		{"null for no end of freshness", fleet, `"freshUntil":"2026-05-01T01:00:00Z"`, `"freshUntil":null`},
		{"no commit", fleet, `"ciCommit":"0123456789abcdef",`, ``},
		{"a negative count", fleet, `"hosts":18`, `"hosts":-1`},
		{"a count beyond 2^53-1", fleet, `"hosts":18`, `"hosts":9007199254740992`},
		{"no source", fleet, `"source":"control-plane"`, `"source":""`},
		{"an unknown scheme", rollout, `"scheme":"composite"`, `"scheme":"other"`},
		{"carried by no code", rollout, `"waves":2`, `"waves":2,"carried":"a reason"`},
		{"an empty detail", verify, `"detail":"this is why"`, `"detail":""`},
		{"a long detail", verify, `"detail":"this is why"`, `"detail":"` + strings.Repeat("a", 257) + `"`},
		{"a detail in another alphabet", verify, `"detail":"this is why"`, `"detail":"därüm"`},
		{"a reason that is no code", verify, `"reason":"BadSignature"`, `"reason":"bad signature"`},
		{"no stage", verify, `"stage":"verify"`, `"stage":""`},
		{"nothing received at verify", verify, verify[strings.Index(verify, `,"received"`) : len(verify)-1], ""},
		{"received at identity", identity, `"detail":"this is why"`, `"detail":"this is why","received":{"sha256":"` + hash + `","size":1}`},
		{"a negative size received", verify, `"size":17`, `"size":-17`},
		{"a size received beyond 2^53-1", verify, `"size":17`, `"size":9007199254740992`},
		{"no rollout id", verify, `"rolloutId":"edge@0123456789abcdef",`, ``},
		{"a rollout id that cannot be", projection, `"channel":"edge",`, `"channel":"edge","rolloutId":"edge@1",`},
		{"equal sides", cross, `"actual":"0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"`, `"actual":"` + strings.Repeat("0e", 32) + `"`},
		{"no check", cross, `"check":"fleet-hash"`, `"check":""`},
		{"nothing received by a check", cross, cross[strings.Index(cross, `,"received"`) : len(cross)-1], ""},
		{"idle for no reason", idle, `"reason":"no-closure"`, `"reason":""`},
		{"an opening at another place", opened, `"seq":1`, `"seq":2`},
		{"an opening with a number", opened, `"number":0`, `"number":1`},
		{"another format", opened, `"format":1`, `"format":2`},
		{"an opening whose tick is not the lineage", opened, `"tick":"0a0a`, `"tick":"0c0c`},
		{"a lineage of version 7", strings.ReplaceAll(opened, "-1111-4222", "-1111-7222"), ``, ``},
		{"an opening that is not new", opened, `"new":true`, `"new":false`},
		{"no writers", opened, opened[strings.Index(opened, `"writers":[`)+11 : strings.Index(opened, `],"continues"`)], ""},
		{"a writer twice", opened, `"writers":[`, `"writers":["iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w=",`},
		{"an opening by none of its writers", opened, `"writers":["i`, `"writers":["j`},
		{"a key with other bits behind", opened, `"writer":"iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w="`, `"writer":"iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1x="`},
		{"a continued lineage of version 7", opened, `"lineage":"0b0b0b0b-1111-4222`, `"lineage":"0b0b0b0b-1111-7222`},
		{"continues left out", opened, opened[strings.Index(opened, `"continues"`):strings.Index(opened, `"writer":`)], ""},
		{"an unknown outcome", missed, `"outcome":"verified"`, `"outcome":"fine"`},
		{"an unknown way of stating", missed, `"stated":"unchanged"`, `"stated":"same"`},
		{"tick 0", missed, `"number":2,"index"`, `"number":0,"index"`},
		{"a negative count of channels", missed, `"rejected":1`, `"rejected":-1`},
		{"a statement of version 4", missed, `"statement":{"tick":"019ddd00-0000-7000`, `"statement":{"tick":"019ddd00-0000-4000`},
		{"a statement in the opening", missed, `"firstSeq":2,"lastSeq":7,"digest"`, `"firstSeq":1,"lastSeq":7,"digest"`},
		{"a statement that ends before it begins", missed, `"firstSeq":2,"lastSeq":7,"digest"`, `"firstSeq":8,"lastSeq":7,"digest"`},
		{"a statement behind the tick", missed, `"firstSeq":2,"lastSeq":7,"digest"`, `"firstSeq":2,"lastSeq":9,"digest"`},
		{"a set that ends before it begins", missed, `"firstSeq":2,"lastSeq":7},"floor"`, `"firstSeq":8,"lastSeq":7},"floor"`},
		{"no ticks missed", missed, `"missed":{"ticks":2`, `"missed":{"ticks":0`},
		{"missed for no reason", missed, `"reason":"BrokerUnavailable"`, `"reason":""`},
		{"without nothing", without, `"without":["stable"]`, `"without":[]`},
		{"no set", missed, missed[strings.Index(missed, `"set":`):strings.Index(missed, `"floor":`)], ""},
		{"an end of two bodies", fleet + fleet, "", ""},
		{"more than a message holds", fleet, `"source":"control-plane"`, `"source":"` + strings.Repeat("a", MaxBody) + `"`},
		{"bad UTF-8", fleet, "fetched and", "fetched \xff and"},
	} {
		if !strings.Contains(c.body, c.old) {
			t.Errorf("%s: %s is not in %s", c.name, c.old, c.body)
			continue
		}
		_, err := Decode([]byte(strings.Replace(c.body, c.old, c.text, 1)))
		var form *FormError
		if !errors.As(err, &form) {
			t.Errorf("%s: %v, want a FormError", c.name, err)
		}
	}
	for _, body := range []string{opened, fleet, rollout, verify, identity, projection, cross, idle, missed, without} {
		if _, err := Decode([]byte(body)); err != nil {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestReadOpening(t *testing.T) {
	w, other := testWriter(t), otherWriter(t)
	b := newBook(t, nil)
	good := b.written[0]
	unsigned := cloned(b.written)[0]
	delete(unsigned.Header, SignatureHeader)
	foreign := cloned(b.written)[0]
	if err := other.sign(foreign, b.base.Head.Lineage); err != nil {
		t.Fatal(err)
	}
	b.add(b.draft(0, fetched(1, 0, 0)))
	for name, c := range map[string]struct {
		m        Message
		accepted []PublicKey
		ok       bool
	}{
		"trusted on first use":           {good, nil, true},
		"accepted":                       {good, []PublicKey{other.Public(), w.Public()}, true},
		"of a writer that is not":        {good, []PublicKey{other.Public()}, false},
		"unsigned":                       {unsigned, nil, false},
		"signed by another":              {foreign, nil, false},
		"another event":                  {b.written[1], nil, false},
		"of another version":             {replaced(t, good, "LogOpened.v1", "LogOpened.v2"), nil, false},
		"of another fleet":               {edited(t, good, func(e *LogOpened) { e.Fleet = FleetName{"test"} }), nil, false},
		"whose subject is another's":     {Message{good.Subject + "x", good.Header, good.Body}, nil, false},
		"whose signature is for another": {replaced(t, foreign, `"message":"log`, `"message":"Log`), nil, true},
	} {
		head, writers, err := ReadOpening(prod(t), c.m, c.accepted)
		if (err == nil) != c.ok || err != nil && !errors.Is(err, ErrNotOpened) {
			t.Errorf("%s: %v, want it accepted %v", name, err, c.ok)
		}
		if err != nil {
			continue
		}
		if head.Seq != 1 || head.Number != 0 || head.Digest != digestOf(c.m.Body) || head.Lineage != b.base.Head.Lineage {
			t.Errorf("%s: head %+v", name, head)
		}
		if want := len(c.accepted); want > 0 && len(writers) != want || want == 0 && len(writers) != 1 {
			t.Errorf("%s: writers %v", name, writers)
		}
	}
}

func TestLeavesAndTokens(t *testing.T) {
	for eventType, want := range map[string]string{
		TypeRolloutVerified: "RolloutVerified.a=2Eb", "RolloutVerified.v12": "RolloutVerified.a=2Eb",
		"Novelty.vote": "Novelty.vote.a=2Eb", "Novelty": "Novelty.a=2Eb", "Novelty.v": "Novelty.v.a=2Eb",
	} {
		e := &RolloutVerified{Channel: "a.b"}
		e.Type = eventType
		if got := Leaf(e); got != want {
			t.Errorf("%s is stored under %s, want %s", eventType, got, want)
		}
	}
	for name, want := range map[string]string{
		"Az09_-": "Az09_-", "": "=", "a b": "a=20b", "=": "=3D", "ü": "=C3=BC", "*.>": "=2A=2E=3E", "\x00": "=00",
		strings.Repeat("a", 100):         strings.Repeat("a", 100),
		strings.Repeat("a", 97) + ".":    strings.Repeat("a", 97) + "=2E",
		strings.Repeat("a", 101):         "=h",
		strings.Repeat("a", 98) + ".":    "=h",
		strings.Repeat("\xff", 33):       strings.Repeat("=FF", 33),
		strings.Repeat("\xff", 33) + "a": strings.Repeat("=FF", 33) + "a",
		strings.Repeat("\xff", 34):       "=h",
	} {
		got := ChannelToken(name)
		if got != want && (!strings.HasPrefix(want, "=h") || !strings.HasPrefix(got, "=h") || len(got) != 66) {
			t.Errorf("%q has token %s, want %s", name, got, want)
		}
	}
}

func TestDetail(t *testing.T) {
	for in, want := range map[string]string{
		"as it is ~": "as it is ~", "two\nlines": "two?lines", "ü": "??", strings.Repeat("a", 300): strings.Repeat("a", 256),
	} {
		if got := Detail(in); got != want || checkDetail(got) != nil {
			t.Errorf("%.20q becomes %.20q, want %.20q", in, got, want)
		}
	}
}

func TestParsePublicKey(t *testing.T) {
	w := testWriter(t).Public()
	if got, err := ParsePublicKey(w.String()); err != nil || got != w {
		t.Errorf("own text: %v, %v", got, err)
	}
	text := w.String()
	for name, bad := range map[string]string{
		"bits behind the last": text[:42] + "x=", "no padding": text[:43], "line end": text + "\n", "line end inside": text[:20] + "\n" + text[20:],
		"31 bytes": strings.Repeat("A", 40) + "AA==", "empty": "", "URL alphabet": "_" + text[1:],
	} {
		if got, err := ParsePublicKey(bad); err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
}
