package manifest

import "time"

// Trust is a trust.json: the keys under which releases are signed. It is
// immutable.
type Trust struct {
	digest  Digest
	release keySlot
	root    *keySlot
}

// Key is one key of the release key slot.
type Key struct {
	Slot      string // current, previous or successor
	Algorithm string
	Public    string // base64, as trust.json has it
}

type keySlot struct {
	current, previous, successor *Key
	rejectBefore, retireAt       *Instant
}

// MaxTrust is the largest trust file in bytes that is read.
const MaxTrust = 1 << 20

// ParseTrust reads a trust.json. It must be strictly valid JSON of that shape;
// otherwise the error is a [*Rejection] of kind [KindTrustInvalid]. The PEM
// members are not used here, and their other spelling, rootCAPem and
// issuanceCAPems, is accepted as any unknown member is.
func ParseTrust(data []byte) (*Trust, error) {
	if len(data) > MaxTrust {
		return nil, reject(KindTrustInvalid, "trust file is larger than %d bytes", MaxTrust)
	}
	if _, rejection := canonicalForm(data); rejection != nil {
		return nil, reject(KindTrustInvalid, "trust file: %s", rejection.Detail).because(rejection)
	}
	v, err := tree(data)
	if err != nil {
		return nil, reject(KindTrustInvalid, "trust file is not JSON").because(err)
	}
	var d decoding
	t := &Trust{digest: Sum(data)}
	t.release, t.root = readTrust(&d, v)
	if d.err != nil {
		return nil, reject(KindTrustInvalid, "trust file: %v", d.err).because(d.err)
	}
	return t, nil
}

func readTrust(d *decoding, v any) (release keySlot, root *keySlot) {
	o := d.object(v, "")
	if version := required(o, "schemaVersion", integer); version != 1 {
		d.fail("schemaVersion", "is %d, want 1", version)
	}
	release = required(o, "ciReleaseKey", readSlot)
	defaulted(o, "cacheKeys", list(text))
	root = nullable(o, "orgRootKey", readSlot)
	nullable(o, "rootCaPem", text)
	defaulted(o, "issuanceCaPems", list(text))
	return release, root
}

func readSlot(d *decoding, v any, at string) keySlot {
	o := d.object(v, at)
	key := func(name string) *Key {
		k := nullable(o, name, readKey)
		if k != nil {
			k.Slot = name
		}
		return k
	}
	return keySlot{
		current: key("current"), previous: key("previous"), successor: key("successor"),
		rejectBefore: nullable(o, "rejectBefore", instant), retireAt: nullable(o, "retireAt", instant),
	}
}

func readKey(d *decoding, v any, at string) Key {
	o := d.object(v, at)
	return Key{Algorithm: required(o, "algorithm", text), Public: required(o, "public", text)}
}

// Digest is the SHA-256 of the file's bytes.
func (t *Trust) Digest() Digest { return t.digest }

// Keys are the release keys in force at now, in the order in which they are
// tried: current, previous, and successor until it is due to replace current.
func (t *Trust) Keys(now time.Time) []Key {
	var keys []Key
	for _, k := range []*Key{t.release.current, t.release.previous} {
		if k != nil {
			keys = append(keys, *k)
		}
	}
	retire := t.release.retireAt
	if t.release.successor != nil && retire != nil && InstantOf(now).Compare(*retire) < 0 {
		keys = append(keys, *t.release.successor)
	}
	return keys
}

// Warnings name the release keys that verify nothing, whatever is signed: they
// cannot be read, or their algorithm is not known.
func (t *Trust) Warnings() []string {
	var w warnings
	for _, k := range []*Key{t.release.current, t.release.previous, t.release.successor} {
		if k == nil {
			continue
		}
		if fault := k.fault(); fault != "" {
			w.add("ciReleaseKey.%s verifies nothing: %s", k.Slot, fault)
		}
	}
	return w
}

// RejectBefore is the instant before which nothing signed counts, if one is set.
func (t *Trust) RejectBefore() (Instant, bool) {
	if t.release.rejectBefore == nil {
		return Instant{}, false
	}
	return *t.release.rejectBefore, true
}

// Rotations are the ends of announced overlaps, by the name of the slot in
// trust.json: from then on its successor no longer counts beside current, and
// must have been made current.
func (t *Trust) Rotations() map[string]Instant {
	due := make(map[string]Instant)
	for name, slot := range map[string]*keySlot{"ciReleaseKey": &t.release, "orgRootKey": t.root} {
		if slot != nil && slot.successor != nil && slot.retireAt != nil {
			due[name] = *slot.retireAt
		}
	}
	return due
}
