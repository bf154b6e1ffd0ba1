package manifest

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestKeysInForce(t *testing.T) {
	key := func(slot string) Key {
		return Key{slot, algorithmEd25519, map[string]signer{"current": alice, "previous": bob, "successor": newSigner(3)}[slot].public()}
	}
	all := []string{alice.slot("current"), bob.slot("previous"), newSigner(3).slot("successor")}
	retire := `"retireAt":"2026-01-01T00:00:00Z"`
	for _, c := range []struct {
		name    string
		members []string
		now     time.Time
		want    []Key
	}{
		{"before the successor's turn", append(all, retire), signedAt.Add(-1), []Key{key("current"), key("previous"), key("successor")}},
		{"at the successor's turn", append(all, retire), signedAt, []Key{key("current"), key("previous")}},
		{"no turn announced", all, signedAt, []Key{key("current"), key("previous")}},
		{"previous alone", all[1:2], signedAt, []Key{key("previous")}},
		{"none", nil, signedAt, nil},
		{"null", []string{`"current":null`}, signedAt, nil},
	} {
		if diff := cmp.Diff(c.want, trusting(t, c.members...).Keys(c.now)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestRejectBefore(t *testing.T) {
	if before, ok := trusting(t).RejectBefore(); ok {
		t.Errorf("got %s, want none", before)
	}
	before, ok := trusting(t, `"rejectBefore":"1970-01-01T00:00:00Z"`).RejectBefore()
	if want := parsed(t, "1970-01-01T00:00:00Z"); !ok || before != want {
		t.Errorf("got %s, %v; want %s", before, ok, want)
	}
}

func TestTrustFile(t *testing.T) {
	const slot = `"ciReleaseKey":{}`
	for _, c := range []struct {
		name, file string
		want       Kind
	}{
		{"smallest", `{"schemaVersion":1,` + slot + `}`, ""},
		{"both spellings of the PEM members", `{"schemaVersion":1,` + slot + `,"rootCaPem":"x","rootCAPem":"x","issuanceCaPems":["x"],"issuanceCAPems":["x"]}`, ""},
		{"other version", `{"schemaVersion":2,` + slot + `}`, KindTrustInvalid},
		{"version 1.0", `{"schemaVersion":1.0,` + slot + `}`, KindTrustInvalid},
		{"no slot", `{"schemaVersion":1}`, KindTrustInvalid},
		{"two slots", `{"schemaVersion":1,` + slot + `,` + slot + `}`, KindTrustInvalid},
		{"positional slot", `{"schemaVersion":1,"ciReleaseKey":[]}`, KindTrustInvalid},
		{"list", `[]`, KindTrustInvalid},
		{"empty", ``, KindTrustInvalid},
		{"as large as may be", `{"schemaVersion":1,` + slot + strings.Repeat(" ", MaxTrust-len(slot)-20) + `}`, ""},
		{"larger", `{"schemaVersion":1,` + slot + strings.Repeat(" ", MaxTrust-len(slot)-19) + `}`, KindTrustInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			trust, err := ParseTrust([]byte(c.file))
			wantKind(t, err, c.want)
			if err == nil && trust.Digest() != Sum([]byte(c.file)) {
				t.Errorf("digest %s is not the file's", trust.Digest())
			}
		})
	}
}

// TestTrustWarnings: a key that verifies nothing changes no verdict, and is named.
func TestTrustWarnings(t *testing.T) {
	p256 := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1}, 64))
	for what, c := range map[string]struct{ key, want string }{
		"good":             {alice.slot("current"), ""},
		"not base64":       {`"current":{"algorithm":"ed25519","public":"!"}`, "it is not base64"},
		"line break":       {strings.Replace(alice.slot("current"), `"}`, `\n"}`, 1), "it is not base64"},
		"short":            {`"current":{"algorithm":"ed25519","public":"AAAA"}`, "it has 3 bytes, want 32"},
		"small order":      {`"current":{"algorithm":"ed25519","public":"` + base64.StdEncoding.EncodeToString(make([]byte, 32)) + `"}`, "it is of small order"},
		"not on its curve": {`"current":{"algorithm":"ecdsa-p256","public":"` + p256 + `"}`, "it is no point of its curve"},
		"short P-256":      {`"current":{"algorithm":"ecdsa-p256","public":"AAAA"}`, "it has 3 bytes, want 64"},
		"other algorithm":  {`"current":{"algorithm":"Ed25519","public":"AAAA"}`, `its algorithm is "Ed25519"`},
	} {
		t.Run(what, func(t *testing.T) {
			var want []string
			if c.want != "" {
				want = []string{"ciReleaseKey.current verifies nothing: " + c.want}
			}
			if got := trusting(t, c.key).Warnings(); !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
			if c.want == "" {
				return
			}
			_, err := VerifyFleet(alice.sign(t, twoChannels), Policy{trusting(t, c.key, bob.slot("previous")), signedAt, 3600, nil})
			wantKind(t, err, KindBadSignature)
			if !strings.Contains(err.Error(), "current verifies nothing: "+c.want) {
				t.Errorf("the refusal says %v", err)
			}
		})
	}
}

func TestRotations(t *testing.T) {
	const successor, at = `"successor":{"algorithm":"ed25519","public":"x"}`, `"retireAt":"1970-01-01T00:00:00Z"`
	epoch := parsed(t, "1970-01-01T00:00:00Z")
	for _, c := range []struct {
		name, release, root string
		want                map[string]Instant
	}{
		{"none", ``, `null`, map[string]Instant{}},
		{"an end and no successor", at, `null`, map[string]Instant{}},
		{"a successor without an end", successor, `{` + successor + `}`, map[string]Instant{}},
		{"both", successor + "," + at, `{` + successor + "," + at + `}`, map[string]Instant{"ciReleaseKey": epoch, "orgRootKey": epoch}},
	} {
		trust, err := ParseTrust([]byte(`{"schemaVersion":1,"ciReleaseKey":{` + c.release + `},"orgRootKey":` + c.root + `}`))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, trust.Rotations(), cmp.AllowUnexported(Instant{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}
