package manifest

import (
	"bytes"
	"encoding/base64"
	"io/fs"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

// checkProven holds the two ways to read data against each other, and tells
// whether the fast one had an answer.
func checkProven[T any](t testing.TB, read reading[T], data []byte) bool {
	t.Helper()
	received := bytes.Clone(data)
	canonical, value := read.prove(data)
	if !bytes.Equal(data, received) {
		t.Fatal("the received bytes were changed")
	}
	if value == nil {
		return false
	}
	want, rejection := canonicalForm(data)
	if rejection != nil || !bytes.Equal(canonical, want) {
		t.Fatalf("%q is taken for canonical: %q, want %q, %v", data, canonical, want, rejection)
	}
	slow, rejection := decode(want, read.tree)
	if rejection != nil || !reflect.DeepEqual(value, slow) {
		t.Fatalf("%q is read as %+v, want %+v, %v", data, value, slow, rejection)
	}
	if whole, err := tree(canonical); err != nil || !mayHoldClause(canonical) && len(warningsOf(whole)) > 0 {
		t.Fatalf("%q is warned of: %v, %v", data, warningsOf(whole), err)
	}
	return true
}

func warningsOf(whole any) (w warnings) {
	w.value(whole, "")
	return w
}

// anything reads any JSON value.
func anything() reading[any] {
	whole := func(_ *decoding, v any) *any { return &v }
	return reading[any]{tree: whole, proving: func(c *cursor) *any {
		begin := c.at
		c.skip()
		if c.doubt {
			return nil
		}
		v, _ := tree(c.data[begin:c.at])
		return &v
	}}
}

// checkCompact demands that text without white space is valid when it was, and
// has the same canonical form.
func checkCompact(t testing.TB, data []byte) {
	t.Helper()
	short := compact(data)
	if short == nil {
		return
	}
	want, refused := canonicalForm(data)
	got, rejection := canonicalForm(short)
	if (refused == nil) != (rejection == nil) || !bytes.Equal(got, want) {
		t.Fatalf("%q without white space is %q: %q, %v, want %q, %v", data, short, got, rejection, want, refused)
	}
}

func FuzzProve(f *testing.F) {
	for _, seed := range []string{
		`{}`, `[0,-1,999999999999999,[{}]]`, `{"a":"\u001f\n\"\\ü😀","b":[true,false,null]}`, `[01]`, `[-0]`, `[1000000000000000]`,
		`{"b":1,"a":2}`, `{"a":1,"a":2}`, `{"ä":1}`, `"\/"`, `"\u000a"`, `"\ud800"`, "\"\xff\"", "\"\x1f\"", `1 2`, ` [ 1 , "  " ] `, "\xef\xbb\xbf1",
		`{"דּ":1,"😀":2}`, `{"é":1,"ü":2}`, `"0123456789\u001f0123456789abcdef"`, "\"0123456789\x1f0123456789abcdef\"",
		"\"0123456789\xc30123456789abcdef\"", `"0123456789\"0123456789abcdef"`, "\"0123456789\xc3\xa90123456789abcdef\"", "\"0123456789\\", twoChannels,
	} {
		f.Add([]byte(seed))
	}
	for _, pattern := range []string{"fleet.resolved.json", "rollouts/*.json"} {
		for _, p := range signedPairs(f, pattern) {
			f.Add(p.Body)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		checkProven(t, fleetReading(), data)
		checkProven(t, rolloutReading(), data)
		checkProven(t, anything(), data)
		checkCompact(t, data)
	})
}

// Every fleet and manifest that the producer wrote is read in the fast way, but
// those that were made to have names such as no host has.
func TestProveCorpus(t *testing.T) {
	files := corpusFS(t)
	proven := 0
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data := readFile(t, files, name)
		checkCompact(t, data)
		checkProven(t, anything(), data)
		fleet := checkProven(t, fleetReading(), data)
		rollout := checkProven(t, rolloutReading(), data)
		if strings.HasPrefix(name, "releases/") && !strings.HasPrefix(name, "releases/unicode") &&
			(strings.HasSuffix(name, "/fleet.resolved.json") && !fleet || strings.Contains(name, "/rollouts/") && strings.HasSuffix(name, ".json") && !rollout) {
			t.Errorf("%s is not proven", name)
		}
		if fleet || rollout {
			proven++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d files are read in the fast way", proven)
}

func TestProveCorpusCanonicalForm(t *testing.T) {
	files := corpusFS(t)
	proven := 0
	for _, c := range lines[struct {
		Input string `json:"input"`
	}](t, readFile(t, files, "jcs/cases.jsonl")) {
		data, err := base64.StdEncoding.DecodeString(c.Input)
		if err != nil {
			t.Fatal(err)
		}
		checkCompact(t, data)
		if checkProven(t, anything(), data) {
			proven++
		}
	}
	t.Logf("%d texts are read in the fast way", proven)
}

// everyMember and everyRolloutMember hold each member that the contract knows.
const (
	everyMember = `{"schemaVersion":1,"future":{"é":[1]},
"hosts":{
 "a":{"platform":"p","system":"s","tags":["x","\"y"],"channel":"c","closureHash":"h","pubkey":"k",
  "pin":{"commit":"0","reason":"r","expiresAt":"2026-01-01T00:00:00Z"}},
 "b":{"platform":"p","tags":[],"channel":"c"}},
"channels":{"c":{"rolloutPolicy":"p","reconcileIntervalMinutes":1,"freshnessWindow":2,"signingIntervalMinutes":3,
 "compliance":{"frameworks":["f"],"mode":"enforce"}}},
"rolloutPolicies":{"p":{"strategy":"staged","onHealthFailure":"rollback-and-halt",
 "waves":[{"selector":{"tags":["x"],"tagsAny":["y"],"hosts":["a"],"channel":"c","all":true},"soakMinutes":4}],
 "healthGate":{"systemdFailedUnits":{"max":5},"complianceProbes":{"required":true}}}},
"waves":{"c":[{"hosts":["a"],"soakMinutes":6}]},
"edges":[{"gated":"a","gates":"b","reason":"r"}],
"channelEdges":[{"gated":"c","gates":"d","reason":"r"},{"after":"c","before":"d"}],
"disruptionBudgets":[{"selector":{},"maxInFlight":7,"maxInFlightPct":8}],
"meta":{"schemaVersion":1,"signedAt":"2026-01-01T00:00:00Z","ciCommit":"0","signatureAlgorithm":"ed25519"}}`
	everyRolloutMember = `{"schemaVersion":1,"displayName":"c@0","channel":"c","channelRef":"0","fleetResolvedHash":"h",
"hostSet":[{"hostname":"a","waveIndex":0,"targetClosure":"h"}],
"healthGate":{"systemdFailedUnits":{"max":5},"complianceProbes":{"required":true}},"complianceFrameworks":["f"],
"disruptionBudgets":[{"selector":{"all":true},"hosts":["a"],"maxInFlight":7,"maxInFlightPct":8}],
"meta":{"schemaVersion":1,"signedAt":null}}`
)

// What events, labels and logs take from an artifact does not keep its bytes.
func TestProveOwnNames(t *testing.T) {
	fleet, _ := Canonicalize([]byte(twoChannels))
	f := prove(fleet, (*cursor).fleet)
	rollout := []byte(projected(verifiedFleet(t, alice, twoChannels))["stable"])
	r := prove(rollout, (*cursor).rollout)
	clear(fleet)
	clear(rollout)
	got := []string{f.Channels[0].Name, *f.Meta.CICommit, r.Channel, r.ChannelRef, *r.Meta.SignatureAlgorithm}
	if want := []string{"edge", "0123456789abcdef", "stable", "0123456789abcdef", "ed25519"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Whatever one value is changed to, or left out, both ways agree; and the fast
// one has an answer wherever the other accepts.
func TestProveEveryMember(t *testing.T) {
	checkChanges(t, fleetReading(), everyMember)
	checkChanges(t, rolloutReading(), everyRolloutMember)
}

func checkChanges[T any](t *testing.T, read reading[T], body string) {
	t.Helper()
	var whole any
	if err := json.Unmarshal([]byte(body), &whole); err != nil {
		t.Fatal(err)
	}
	accepted, refused := 0, 0
	changes(whole, func(v any) { whole = v }, func() {
		written, err := json.Marshal(whole)
		if err != nil {
			t.Fatal(err)
		}
		canonical, err := Canonicalize(written)
		if err != nil {
			t.Fatal(err)
		}
		proven := checkProven(t, read, canonical)
		if _, rejection := decode(canonical, read.tree); rejection != nil {
			refused++
		} else if accepted++; !proven && !bytes.Contains(canonical, []byte("1.5")) {
			t.Errorf("not proven: %s", canonical)
		}
	})
	t.Logf("%d changes are accepted, %d refused", accepted, refused)
	if accepted < 100 || refused < 200 {
		t.Error("too few of either")
	}
}

// changes puts other values in the place of v and of everything inside it, one at
// a time, and leaves members out and adds some.
func changes(v any, set func(any), look func()) {
	for _, other := range []any{nil, true, "x", "halt", 1, -1, 1 << 32, 1.5, []any{}, map[string]any{}} {
		set(other)
		look()
	}
	set(v)
	look()
	switch v := v.(type) {
	case []any:
		for i := range v {
			changes(v[i], func(other any) { v[i] = other }, look)
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			value := v[name]
			changes(value, func(other any) { v[name] = other }, look)
			delete(v, name)
			look()
			v[name] = value
		}
		for _, name := range []string{"0", "after", "before", "zero"} {
			if _, there := v[name]; !there {
				v[name] = "x"
				look()
				delete(v, name)
			}
		}
	}
}
