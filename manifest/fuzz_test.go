package manifest

import (
	"bytes"
	"slices"
	"testing"
)

func FuzzCanonicalize(f *testing.F) {
	for _, seed := range []string{
		`{}`, `[1.0,-0,1e21,1e-7,9007199254740993]`, `{"\ud83d\ude00":1,"\ufb33":2,"\r":3}`, `"\u2028\/\u001f"`,
		`{"a":1,"a":2}`, `1e400`, `"\ud800"`, ` [ true , null ] `, "\xef\xbb\xbf1", `1 2`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		received := bytes.Clone(data)
		canonical, err := Canonicalize(data)
		if !bytes.Equal(data, received) {
			t.Fatal("the received bytes were changed")
		}
		if err != nil {
			wantKind(t, err, KindParse)
			return
		}
		again, err := Canonicalize(canonical)
		if err != nil || !bytes.Equal(again, canonical) {
			t.Fatalf("%q is not its own canonical form: %q, %v", canonical, again, err)
		}
	})
}

func FuzzParseInstant(f *testing.F) {
	for _, seed := range []string{
		"2026-05-01T00:00:00Z", "2016-12-31t23:59:60.5+05:30", "0000-01-01T00:00:00.123456789123z", "9999-12-31T23:59:59-00:01",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		i, err := ParseInstant(s)
		if err != nil {
			if !i.IsZero() {
				t.Fatalf("%q is refused, yet gives %s", s, i)
			}
			return
		}
		if year := i.Time().Year(); year < 0 || year > 9999 {
			return // no four digits hold it
		}
		back, err := ParseInstant(i.String())
		if err != nil || back != i {
			t.Fatalf("%q is %s, which is read as %s, %v", s, i, back, err)
		}
	})
}

func FuzzParseTrust(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":1,"ciReleaseKey":{` + alice.slot("current") + `,"rejectBefore":"2026-01-01T00:00:00Z"}}`))
	f.Add([]byte(`{"schemaVersion":1,"ciReleaseKey":{"current":null,"é":[]},"cacheKeys":["x"]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		trust, err := ParseTrust(data)
		if err != nil {
			wantKind(t, err, KindTrustInvalid)
			return
		}
		_, err = VerifyFleet(Received{}, Policy{trust, signedAt, 3600, nil})
		if err == nil {
			t.Fatal("nothing at all is a verified fleet")
		}
	})
}

// Whatever fleet is read, its projection is a manifest of the same hosts.
func FuzzProject(f *testing.F) {
	f.Add([]byte(twoChannels))
	f.Add([]byte(`{"schemaVersion":1,"hosts":{},"channels":{"c":{}},"waves":{},"meta":{"schemaVersion":1}}`))
	files := corpusFS(f)
	for _, c := range lines[projectionCase](f, readFile(f, files, "projection/cases.jsonl")) {
		f.Add(readFile(f, files, c.Fleet))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		canonical, err := Canonicalize(data)
		if err != nil {
			return
		}
		fleet, rejection := decode(canonical, readFleet)
		if rejection != nil {
			wantKind(t, rejection, KindParse)
			return
		}
		if at := fleet.Meta.SignedAt; at != nil && (at.Time().Year() < 0 || at.Time().Year() > 9999) {
			return
		}
		for _, p := range project(fleet, Sum(canonical), SchemeOf(fleet)) {
			if p.Err != nil || p.Idle {
				continue
			}
			rollout, rejection := decode(p.Manifest(), readRollout)
			if rejection != nil || !slices.Equal(rollout.HostSet, p.HostSet) || rollout.Channel != p.Channel {
				t.Fatalf("channel %q is projected to %s: %v", p.Channel, p.Manifest(), rejection)
			}
		}
	})
}
