package manifest

import (
	"bytes"
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
// the zero value is none, and may be asked nothing but IsZero. The bytes and the
// value must not be changed.
type Verified[T any] struct {
	value     *T
	meta      Meta
	received  Received
	canonical []byte
	artifact  Digest
	hash      Digest
	key       Key
}

// VerifyFleet judges a fleet.resolved.json. The error is a [*Rejection].
func VerifyFleet(r Received, p Policy) (Verified[Fleet], error) {
	return verify(r, p, fleetReading(), func(f *Fleet) envelope { return envelope{f.SchemaVersion, f.Meta, p.FleetWindow(f)} })
}

// VerifyRollout judges a rollout manifest that was requested under id, by the
// policy's own window; see [Policy.For]. The error is a [*Rejection]; a manifest
// of another id is a Mismatch.
func VerifyRollout(r Received, id RolloutID, p Policy) (Verified[Rollout], error) {
	v, err := verify(r, p, rolloutReading(), func(m *Rollout) envelope { return envelope{m.SchemaVersion, m.Meta, p.Window} })
	if err != nil {
		return v, err
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

// envelope is what every artifact is judged by beside its signature.
type envelope struct {
	version uint32
	meta    Meta
	window  Window
}

// verify is the contract's order of checks, which decides what a reader learns
// of a broken artifact: keys, JSON, canonical form, signature, shape, schema
// version, signing time, revocation, freshness.
func verify[T any](r Received, p Policy, read reading[T], head func(*T) envelope) (Verified[T], error) {
	var none Verified[T]
	keys := p.Trust.Keys(p.Now)
	if len(keys) == 0 {
		return none, reject(KindNoTrustRoots, "trust file has no release key in force")
	}
	canonical, value := read.prove(r.Body)
	if value == nil {
		var rejection *Rejection
		if canonical, rejection = canonicalForm(r.Body); rejection != nil {
			return none, rejection
		}
	}
	key, rejection := verifyAny(keys, canonical, r.Signature)
	if rejection != nil {
		return none, rejection
	}
	if value == nil {
		if value, rejection = read.decode(canonical); rejection != nil {
			return none, rejection
		}
	}
	e := head(value)
	if e.version != 1 {
		return none, reject(KindSchemaVersionUnsupported, "schemaVersion is %d, want 1", e.version)
	}
	if e.meta.SignedAt == nil {
		return none, reject(KindNotSigned, "meta.signedAt is absent")
	}
	hash := Sum(canonical)
	artifact := hash
	if !bytes.Equal(r.Body, canonical) {
		artifact = Sum(r.Body)
	}
	v := Verified[T]{value, e.meta, r, canonical, artifact, hash, key}
	if rejection := v.checkRejectBefore(p.Trust); rejection != nil {
		return none, rejection
	}
	if err := v.CheckFresh(p.Now, e.window); err != nil {
		return none, err
	}
	return v, nil
}

// reading are the two ways to read an artifact. The tree's is the one that
// counts; the other is fast, and gives the same or nothing.
type reading[T any] struct {
	tree    func(*decoding, any) *T
	proving func(*cursor) *T
}

func fleetReading() reading[Fleet]     { return reading[Fleet]{readFleet, (*cursor).fleet} }
func rolloutReading() reading[Rollout] { return reading[Rollout]{readRollout, (*cursor).rollout} }

// prove reads what is canonical but for white space, and returns its canonical
// form with it; nil when in doubt.
func (r reading[T]) prove(received []byte) (canonical []byte, value *T) {
	if value = prove(received, r.proving); value != nil {
		return received, value
	}
	if canonical = compact(received); canonical != nil {
		value = prove(canonical, r.proving)
	}
	return canonical, value
}

// decode reads a canonical form.
func (r reading[T]) decode(canonical []byte) (*T, *Rejection) {
	if value := prove(canonical, r.proving); value != nil {
		return value, nil
	}
	return decode(canonical, r.tree)
}

func decode[T any](canonical []byte, read func(*decoding, any) *T) (*T, *Rejection) {
	v, err := tree(canonical)
	if err != nil {
		return nil, reject(KindParse, "not JSON").because(err)
	}
	var d decoding
	value := read(&d, v)
	if d.err != nil {
		return nil, reject(KindParse, "%v", d.err).because(d.err)
	}
	return value, nil
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
