package manifest

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"
)

func TestFreshness(t *testing.T) {
	fleet := verifiedFleet(t, alice, twoChannels)
	for _, c := range []struct {
		age    time.Duration
		window Window
		want   Kind
	}{
		{time.Hour, 3600, ""},
		{time.Hour + Slack*time.Second, 3600, ""},
		{time.Hour + Slack*time.Second + 1, 3600, KindStale},
		{time.Hour + Slack*time.Second, 3599, KindStale},
		{Slack * time.Second, 0, ""},
		{Slack*time.Second + 1, 0, KindStale},
		{-Slack * time.Second, 0, ""},
		{-Slack*time.Second - 1, 0, KindFutureDated},
		{-48 * time.Hour, math.MaxUint64, KindFutureDated},
		{math.MaxInt64, 1 << 40, ""},
		{math.MaxInt64, math.MaxInt64, ""},
		{math.MaxInt64, math.MaxUint64, ""},
		{math.MaxInt64, Unlimited, ""},
	} {
		err := fleet.CheckFresh(signedAt.Add(c.age), c.window)
		t.Logf("age %v, window %d: %v", c.age, c.window, err)
		wantKind(t, err, c.want)
	}
	early, late := fleet.CheckFresh(signedAt.Add(2*time.Hour), 60), fleet.CheckFresh(signedAt.Add(3*time.Hour), 60)
	if early == nil || late == nil || early.Error() != late.Error() {
		t.Errorf("the detail moves with the clock: %v, then %v", early, late)
	}
}

func TestVerifiedFleet(t *testing.T) {
	r := alice.sign(t, twoChannels)
	fleet, err := VerifyFleet(r, Policy{trusting(t, bob.slot("current"), alice.slot("previous")), signedAt, 3600, nil})
	if err != nil {
		t.Fatal(err)
	}
	canonical, err := Canonicalize(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	if fleet.IsZero() || fleet.Artifact() != Sum(r.Body) || fleet.Hash() != Sum(canonical) || fleet.Artifact() == fleet.Hash() {
		t.Errorf("artifact %s, hash %s", fleet.Artifact(), fleet.Hash())
	}
	if got := fleet.Received(); !bytes.Equal(got.Body, r.Body) || !bytes.Equal(got.Signature, r.Signature) {
		t.Error("the received bytes are not kept")
	}
	if want := (Key{"previous", algorithmEd25519, alice.public()}); fleet.Key() != want {
		t.Errorf("key %+v, want %+v", fleet.Key(), want)
	}
	if fleet.SignedAt() != InstantOf(signedAt) || *fleet.CICommit() != "0123456789abcdef" || len(fleet.Value().Hosts) != 4 {
		t.Errorf("signed at %s, commit %s, %d hosts", fleet.SignedAt(), *fleet.CICommit(), len(fleet.Value().Hosts))
	}
	if !(Verified[Fleet]{}).IsZero() {
		t.Error("the zero value is not zero")
	}
}

// Both faults are there; the order of checks decides which is told.
func TestOrderOfChecks(t *testing.T) {
	stale, now := strings.Replace(twoChannels, "2026-01-01", "2025-01-01", 1), signedAt
	current := alice.slot("current")
	for _, c := range []struct {
		name  string
		r     Received
		trust *Trust
		want  Kind
	}{
		{"no keys, no JSON", Received{[]byte("{"), nil}, trusting(t), KindNoTrustRoots},
		{"no JSON, no signature", Received{[]byte("{"), nil}, trusting(t, current), KindParse},
		{"unknown algorithm, no signature", Received{[]byte("{}"), nil}, trusting(t, `"current":{"algorithm":"x","public":""}`), KindUnsupportedAlgorithm},
		{"no signature, no fleet", Received{[]byte("{}"), nil}, trusting(t, current), KindBadSignature},
		{"version 2 without members", alice.sign(t, `{"schemaVersion":2}`), trusting(t, current), KindParse},
		{"version 2 without time", alice.sign(t, `{"schemaVersion":2,"hosts":{},"channels":{},"waves":{},"meta":{"schemaVersion":1}}`), trusting(t, current), KindSchemaVersionUnsupported},
		{"without time", alice.sign(t, `{"schemaVersion":1,"hosts":{},"channels":{},"waves":{},"meta":{"schemaVersion":7}}`), trusting(t, current), KindNotSigned},
		{"rejected and stale", alice.sign(t, stale), trusting(t, current, `"rejectBefore":"2025-06-01T00:00:00Z"`), KindRejectedBeforeTimestamp},
		{"stale", alice.sign(t, stale), trusting(t, current, `"rejectBefore":"2025-01-01T00:00:00Z"`), KindStale},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, err := VerifyFleet(c.r, Policy{c.trust, now, 3600, nil})
			wantKind(t, err, c.want)
			if !v.IsZero() {
				t.Error("a refused artifact came out verified")
			}
		})
	}
}

func TestVerifyRolloutIdentity(t *testing.T) {
	body := projected(verifiedFleet(t, alice, twoChannels))["stable"]
	hash := Sum([]byte(body))
	for _, c := range []struct {
		id   RolloutID
		want Kind
	}{
		{CompositeID("stable", "0123456789abcdef"), ""},
		{ContentHashID(hash), ""},
		{CompositeID("edge", "0123456789abcdef"), KindMismatch},
		{CompositeID("stable", ""), KindMismatch},
		{CompositeID("stable", "0123456789abcde"), KindMismatch},
		{ContentHashID(Digest{}), KindMismatch},
		{RolloutID{}, KindMismatch},
	} {
		v, err := VerifyRollout(alice.sign(t, body), c.id, Policy{trusting(t, alice.slot("current")), signedAt, 3600, nil})
		wantKind(t, err, c.want)
		if v.IsZero() != (err != nil) {
			t.Errorf("id %s: verified although %v", c.id, err)
		}
	}
	pretty := strings.Replace(body, ",", " ,\n", 1)
	_, err := VerifyRollout(alice.sign(t, pretty), ContentHashID(hash), Policy{trusting(t, alice.slot("current")), signedAt, 3600, nil})
	wantKind(t, err, "") // the id is of the canonical form
}

func TestReverify(t *testing.T) {
	fleet := verifiedFleet(t, alice, twoChannels)
	years := signedAt.AddDate(50, 0, 0) // age does not matter here
	for _, c := range []struct {
		name    string
		members []string
		want    Kind
	}{
		{"same key", []string{alice.slot("current")}, ""},
		{"key moved to previous", []string{bob.slot("current"), alice.slot("previous")}, ""},
		{"key announced, its turn past", []string{bob.slot("current"), alice.slot("successor"), `"retireAt":"2026-06-01T00:00:00Z"`}, KindBadSignature},
		{"key gone", []string{bob.slot("current")}, KindBadSignature},
		{"unknown algorithm only", []string{`"current":{"algorithm":"x","public":""}`}, KindUnsupportedAlgorithm},
		{"no key", nil, KindNoTrustRoots},
		{"signed too early", []string{alice.slot("current"), `"rejectBefore":"2026-01-01T00:00:00.000000001Z"`}, KindRejectedBeforeTimestamp},
		{"signed just in time", []string{alice.slot("current"), `"rejectBefore":"2026-01-01T00:00:00Z"`}, ""},
	} {
		t.Run(c.name, func(t *testing.T) { wantKind(t, fleet.Reverify(trusting(t, c.members...), years), c.want) })
	}
}

// With its key still in force the signature is not computed again; with another
// text of the same key it is.
func TestReverifyCryptography(t *testing.T) {
	fleet := verifiedFleet(t, alice, twoChannels)
	fleet.received.Signature = make([]byte, SignatureSize)
	wantKind(t, fleet.Reverify(trusting(t, bob.slot("current"), alice.slot("previous")), signedAt), "")
	fleet.key.Public = "other"
	wantKind(t, fleet.Reverify(trusting(t, alice.slot("current")), signedAt), KindBadSignature)
}
