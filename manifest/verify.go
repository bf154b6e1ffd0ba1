package manifest

import (
	"bytes"
	"slices"
	"time"
)

// Received is an artifact as it came, with the signature that came beside it.
type Received struct{ Body, Signature []byte }

// Policy is what an artifact is judged by.
type Policy struct {
	Trust    *Trust
	Now      time.Time
	Window   Window          // how old a signature may be
	Channels *ChannelWindows // where they say that instead; nil: nowhere
}

// Verified is an artifact that passed every check. Only verification makes one;
// the zero value is none, and may be asked nothing but IsZero, and for the bytes,
// of which it has none. Bytes and value must not be changed: they share memory.
type Verified[T any] struct {
	value     *T
	meta      Meta
	received  Received
	canonical []byte
	artifact  Digest
	hash      Digest
	key       Key
	keys      []Key // that were in force
	proven    bool  // as prove says it
	derived   *derived
}

// VerifyFleet judges a fleet.resolved.json. The error is a [*Rejection].
func VerifyFleet(r Received, p Policy) (Verified[Fleet], error) {
	return VerifyFleetAfter(Verified[Fleet]{}, r, p)
}

// VerifyFleetAfter is VerifyFleet for one who holds what came before, or nothing.
// When body, signature and the keys in force are the same, neither is the
// signature computed again nor the body read; whatever depends on the time, the
// window or rejectBefore is judged anew.
func VerifyFleetAfter(before Verified[Fleet], r Received, p Policy) (Verified[Fleet], error) {
	v, rejection := verify(before, r, p, fleetReading())
	if rejection != nil {
		return Verified[Fleet]{}, rejection
	}
	if err := v.CheckFresh(p.Now, p.FleetWindow(v.value)); err != nil {
		return Verified[Fleet]{}, err
	}
	return v, nil
}

// VerifyRollout judges a rollout manifest that was requested under id, by the
// policy's own window; see [Policy.For]. The error is a [*Rejection]; a manifest
// of another id is a Mismatch.
func VerifyRollout(r Received, id RolloutID, p Policy) (Verified[Rollout], error) {
	return VerifyRolloutAfter(Verified[Rollout]{}, r, id, p)
}

// VerifyRolloutAfter is to VerifyRollout what [VerifyFleetAfter] is to VerifyFleet.
func VerifyRolloutAfter(before Verified[Rollout], r Received, id RolloutID, p Policy) (Verified[Rollout], error) {
	v, rejection := verify(before, r, p, rolloutReading())
	if rejection != nil {
		return Verified[Rollout]{}, rejection
	}
	if err := v.CheckFresh(p.Now, p.Window); err != nil {
		return Verified[Rollout]{}, err
	}
	if got := v.idUnder(id.Scheme()); got != id {
		return Verified[Rollout]{}, reject(KindMismatch, "manifest has id %.90s", got)
	}
	return v, nil
}

// idUnder is the id that the manifest has by the scheme.
func (v Verified[T]) idUnder(s Scheme) RolloutID {
	if rollout, ok := any(v.value).(*Rollout); ok && s == Composite {
		return CompositeID(rollout.Channel, rollout.ChannelRef)
	}
	return ContentHashID(v.hash)
}

// verify is the contract's order of checks, which decides what a reader learns
// of a broken artifact: keys, JSON, canonical form, signature, shape, schema
// version, signing time, revocation; freshness is the caller's.
func verify[T any](before Verified[T], r Received, p Policy, read reading[T]) (Verified[T], *Rejection) {
	keys := p.Trust.Keys(p.Now)
	v := before
	if !before.isOf(r, keys) {
		var rejection *Rejection
		if v, rejection = establish(r, keys, read); rejection != nil {
			return v, rejection
		}
	}
	return v, v.checkRejectBefore(p.Trust)
}

// isOf tells whether the artifact is what was received, verified under these keys.
func (v Verified[T]) isOf(r Received, keys []Key) bool {
	return !v.IsZero() && slices.Equal(v.keys, keys) &&
		bytes.Equal(v.received.Signature, r.Signature) && bytes.Equal(v.received.Body, r.Body)
}

// establish makes every check that no clock and no rejectBefore takes part in.
func establish[T any](r Received, keys []Key, read reading[T]) (Verified[T], *Rejection) {
	var none Verified[T]
	if len(keys) == 0 {
		return none, reject(KindNoTrustRoots, "trust file has no release key in force")
	}
	canonical, value := read.prove(r.Body)
	proven := value != nil
	if !proven {
		var rejection *Rejection
		if canonical, rejection = canonicalForm(r.Body); rejection != nil {
			return none, rejection
		}
	}
	key, rejection := verifyAny(keys, canonical, r.Signature)
	if rejection != nil {
		return none, rejection
	}
	if !proven {
		if value, rejection = decode(canonical, read.tree); rejection != nil {
			return none, rejection
		}
	}
	version, meta := read.head(value)
	if version != 1 {
		return none, reject(KindSchemaVersionUnsupported, "schemaVersion is %d, want 1", version)
	}
	if meta.SignedAt == nil {
		return none, reject(KindNotSigned, "meta.signedAt is absent")
	}
	hash := Sum(canonical)
	artifact := hash
	if !bytes.Equal(r.Body, canonical) {
		artifact = Sum(r.Body)
	}
	return Verified[T]{value, meta, r, canonical, artifact, hash, key, keys, proven, &derived{}}, nil
}

func (v Verified[T]) checkRejectBefore(t *Trust) *Rejection {
	before, ok := t.RejectBefore()
	if !ok || v.SignedAt().Compare(before) >= 0 {
		return nil
	}
	return reject(KindRejectedBeforeTimestamp, "signed at %s, trust rejects what is signed before %s", v.SignedAt(), before)
}

// CheckFresh judges the artifact's age at now. The error is a [*Rejection] of
// kind Stale or FutureDated.
func (v Verified[T]) CheckFresh(now time.Time, w Window) error {
	at := InstantOf(now)
	limit := int64(min(w, Unlimited)) + Slack
	if sec, nano := at.since(v.SignedAt()); sec > limit || sec == limit && nano > 0 {
		return reject(KindStale, "signed at %s, window %d s", v.SignedAt(), w)
	}
	if sec, nano := v.SignedAt().since(at); sec > Slack || sec == Slack && nano > 0 {
		return reject(KindFutureDated, "future-dated artifact: signed at %s (clock skew tolerance is %ds)", v.SignedAt(), Slack)
	}
	return nil
}

// Reverify judges the artifact again under other trust, in everything but its
// freshness. No cryptography is needed while the key that verified it is still
// in force. The error is a [*Rejection].
func (v Verified[T]) Reverify(t *Trust, now time.Time) error {
	keys := t.Keys(now)
	if len(keys) == 0 {
		return reject(KindNoTrustRoots, "trust file has no release key in force")
	}
	if !v.key.among(keys) {
		if _, rejection := verifyAny(keys, v.canonical, v.received.Signature); rejection != nil {
			return rejection
		}
	}
	if rejection := v.checkRejectBefore(t); rejection != nil {
		return rejection
	}
	return nil
}

func (k Key) among(keys []Key) bool {
	for _, other := range keys {
		if k.Algorithm == other.Algorithm && k.Public == other.Public {
			return true
		}
	}
	return false
}

// IsZero tells whether there is no artifact.
func (v Verified[T]) IsZero() bool { return v.value == nil }

// Value is what the artifact says.
func (v Verified[T]) Value() *T { return v.value }

// Received returns the bytes as they came.
func (v Verified[T]) Received() Received { return v.received }

// Artifact is the SHA-256 of the received body.
func (v Verified[T]) Artifact() Digest { return v.artifact }

// Hash is the fleet hash or manifest hash: the SHA-256 of the canonical form.
func (v Verified[T]) Hash() Digest { return v.hash }

// Key is the key that verified the signature.
func (v Verified[T]) Key() Key { return v.key }

// SignedAt is when the artifact says that it was signed.
func (v Verified[T]) SignedAt() Instant { return *v.meta.SignedAt }

// CICommit is the commit that the artifact was made from, if it says so.
func (v Verified[T]) CICommit() *string { return v.meta.CICommit }
