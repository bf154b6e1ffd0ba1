package manifest

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// unsigned makes both the artifact and what is received again bear a signature
// that does not hold: only who does not compute it accepts them.
func unsigned[T any](v Verified[T]) (Verified[T], Received) {
	v.received.Signature = make([]byte, SignatureSize)
	return v, Received{bytes.Clone(v.received.Body), make([]byte, SignatureSize)}
}

func TestVerifyUnchangedFleet(t *testing.T) {
	current := alice.slot("current")
	before, again := unsigned(verifiedFleet(t, alice, twoChannels))
	same := Policy{trusting(t, current), signedAt, 3600, nil}
	other := Received{append(bytes.Clone(again.Body), ' '), again.Signature}
	signed := alice.sign(t, twoChannels)
	for _, c := range []struct {
		name string
		r    Received
		p    Policy
		want Kind
	}{
		{"the same", again, same, ""},
		{"other body", other, same, KindBadSignature},
		{"no JSON any more", Received{again.Body[1:], again.Signature}, same, KindParse},
		{"other signature, which holds", signed, same, ""},
		{"other signature", Received{again.Body, bytes.Repeat([]byte{1}, SignatureSize)}, same, KindBadSignature},
		{"key in another slot", again, Policy{trusting(t, alice.slot("previous")), signedAt, 3600, nil}, KindBadSignature},
		{"one key more", again, Policy{trusting(t, current, bob.slot("previous")), signedAt, 3600, nil}, KindBadSignature},
		{"other key", again, Policy{trusting(t, bob.slot("current")), signedAt, 3600, nil}, KindBadSignature},
		{"no key", again, Policy{trusting(t), signedAt, 3600, nil}, KindNoTrustRoots},
		{"too old by now", again, Policy{same.Trust, signedAt.Add(2 * time.Hour), 3600, nil}, KindStale},
		{"old, in a wide window", again, Policy{same.Trust, signedAt.Add(2 * time.Hour), 7200, nil}, ""},
		{"old, by its own channels", again, Policy{same.Trust, signedAt.Add(2 * time.Hour), 7200, &ChannelWindows{Cap: 3600}}, KindStale},
		{"clock set back", again, Policy{same.Trust, signedAt.Add(-time.Hour), 3600, nil}, KindFutureDated},
		{"rejected since", again, Policy{trusting(t, current, `"rejectBefore":"2026-01-02T00:00:00Z"`), signedAt, 3600, nil}, KindRejectedBeforeTimestamp},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, err := VerifyFleetAfter(before, c.r, c.p)
			wantKind(t, err, c.want)
			if v.IsZero() != (err != nil) {
				t.Errorf("verified although %v", err)
			}
		})
	}
	v, err := VerifyFleetAfter(before, again, same)
	if err != nil || &v.Received().Body[0] != &before.received.Body[0] || v.Value() != before.Value() {
		t.Error("what was held before is not used")
	}
	if v, err := VerifyFleetAfter(Verified[Fleet]{}, signed, same); err != nil || v.Hash() != before.Hash() {
		t.Errorf("after nothing: %v", err)
	}
}

func TestVerifyUnchangedRollout(t *testing.T) {
	body := projected(verifiedFleet(t, alice, twoChannels))["stable"]
	before, again := unsigned(verifiedRollout(t, alice, body))
	policy := Policy{trusting(t, alice.slot("current")), signedAt, 3600, nil}
	id := CompositeID("stable", "0123456789abcdef")
	late := policy
	late.Now = signedAt.Add(2 * time.Hour)
	for _, c := range []struct {
		name string
		r    Received
		id   RolloutID
		p    Policy
		want Kind
	}{
		{"the same", again, id, policy, ""},
		{"by its hash", again, ContentHashID(before.Hash()), policy, ""},
		{"other id", again, CompositeID("edge", "0123456789abcdef"), policy, KindMismatch},
		{"too old by now", again, id, late, KindStale},
		{"other body", Received{[]byte(strings.Replace(body, "closure-b", "closure-x", 1)), again.Signature}, id, policy, KindBadSignature},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := VerifyRolloutAfter(before, c.r, c.id, c.p)
			wantKind(t, err, c.want)
		})
	}
}
