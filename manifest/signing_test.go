package manifest

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// signer signs test artifacts with the ed25519 key of a seed of equal bytes.
type signer struct{ private ed25519.PrivateKey }

func newSigner(seed byte) signer {
	return signer{ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(rune(seed)), ed25519.SeedSize)))}
}

func (s signer) public() string {
	return base64.StdEncoding.EncodeToString(s.private.Public().(ed25519.PublicKey))
}

func (s signer) sign(t testing.TB, body string) Received {
	t.Helper()
	canonical, err := Canonicalize([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return Received{[]byte(body), ed25519.Sign(s.private, canonical)}
}

// signAnything signs what need not have a canonical form.
func (s signer) signAnything(body string) Received {
	signed := []byte(body)
	if canonical, err := Canonicalize(signed); err == nil {
		signed = canonical
	}
	return Received{[]byte(body), ed25519.Sign(s.private, signed)}
}

// slot is the member of a key slot that holds the signer's key.
func (s signer) slot(name string) string {
	return fmt.Sprintf(`%q:{"algorithm":"ed25519","public":%q}`, name, s.public())
}

// trusting is the trust file whose release slot has these members.
func trusting(t testing.TB, members ...string) *Trust {
	t.Helper()
	trust, err := ParseTrust([]byte(`{"schemaVersion":1,"ciReleaseKey":{` + strings.Join(members, ",") + `}}`))
	if err != nil {
		t.Fatal(err)
	}
	return trust
}

var (
	alice, bob = newSigner(1), newSigner(2)

	signedAt = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
)

// twoChannels is a fleet of the newer revision, signed at signedAt: channel edge
// with host a, channel stable with hosts b and c, channel idle with none.
const twoChannels = `{"schemaVersion":1,
"hosts":{
 "a":{"platform":"x86_64-linux","tags":[],"channel":"edge","closureHash":"closure-a"},
 "b":{"platform":"x86_64-linux","tags":[],"channel":"stable","closureHash":"closure-b"},
 "c":{"platform":"x86_64-linux","tags":[],"channel":"stable","closureHash":"closure-c"},
 "d":{"platform":"x86_64-linux","tags":[],"channel":"idle"}},
"channels":{
 "edge":{"rolloutPolicy":"all","reconcileIntervalMinutes":30,"freshnessWindow":60,"signingIntervalMinutes":30},
 "stable":{"rolloutPolicy":"all","reconcileIntervalMinutes":30,"freshnessWindow":60,"signingIntervalMinutes":30},
 "idle":{"rolloutPolicy":"all","reconcileIntervalMinutes":30,"freshnessWindow":60,"signingIntervalMinutes":30}},
"rolloutPolicies":{"all":{"strategy":"staged","waves":[],"onHealthFailure":"halt"}},
"waves":{"stable":[{"hosts":["b"],"soakMinutes":5},{"hosts":["c","b"],"soakMinutes":5}]},
"meta":{"schemaVersion":1,"signedAt":"2026-01-01T00:00:00Z","ciCommit":"0123456789abcdef"}}`

func verifiedFleet(t testing.TB, s signer, body string) Verified[Fleet] {
	t.Helper()
	policy := Policy{trusting(t, s.slot("current")), signedAt, 3600, nil}
	fleet, err := VerifyFleet(s.sign(t, body), policy)
	if err != nil {
		t.Fatal(err)
	}
	return fleet
}

// verifiedRollout is the manifest signed and requested under its composite id.
func verifiedRollout(t testing.TB, s signer, body string) Verified[Rollout] {
	t.Helper()
	canonical, err := Canonicalize([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	plain, rejection := decode(canonical, readRollout)
	if rejection != nil {
		t.Fatal(rejection)
	}
	policy := Policy{trusting(t, s.slot("current")), signedAt, 3600, nil}
	rollout, err := VerifyRollout(s.sign(t, body), CompositeID(plain.Channel, plain.ChannelRef), policy)
	if err != nil {
		t.Fatal(err)
	}
	return rollout
}

// projected are the fleet's own manifests by channel, as text to be signed.
func projected(f Verified[Fleet]) map[string]string {
	manifests := make(map[string]string)
	for _, p := range Project(f, Composite) {
		if p.Err == nil && !p.Idle {
			manifests[p.Channel] = string(p.Manifest())
		}
	}
	return manifests
}

// wantKind demands a rejection of the kind; none when it is empty.
func wantKind(t testing.TB, err error, want Kind) {
	t.Helper()
	var rejection *Rejection
	switch {
	case want == "" && err != nil:
		t.Errorf("got %v, want none", err)
	case want != "" && !errors.As(err, &rejection):
		t.Errorf("got %v, want kind %s", err, want)
	case want != "" && rejection.Kind != want:
		t.Errorf("got %v, want kind %s", err, want)
	case want != "":
		checkDetail(t, string(want), rejection.Detail)
	}
}
