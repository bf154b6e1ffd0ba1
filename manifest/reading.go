package manifest

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// reading are the two ways to read an artifact. The tree's is the one that
// counts; the other is fast, and gives the same or nothing.
type reading[T any] struct {
	tree    func(*decoding, any) *T
	proving func(*cursor) *T
	head    func(*T) (schemaVersion uint32, meta Meta)
}

func fleetReading() reading[Fleet] {
	return reading[Fleet]{readFleet, (*cursor).fleet, func(f *Fleet) (uint32, Meta) { return f.SchemaVersion, f.Meta }}
}

func rolloutReading() reading[Rollout] {
	return reading[Rollout]{readRollout, (*cursor).rollout, func(r *Rollout) (uint32, Meta) { return r.SchemaVersion, r.Meta }}
}

// prove returns the canonical form of what was received, and its value: of what
// is canonical already, or is but for white space, without much ado. No value when
// in doubt: also whatever the library's canonical form is more lenient with than
// [canonicalForm], depth and the size of numbers, is in doubt.
func (r reading[T]) prove(received []byte) (canonical []byte, value *T) {
	if value = prove(received, r.proving); value != nil {
		return received, value
	}
	canonical = compact(received)
	if canonical == nil {
		canonical = bytes.Clone(received)
	} else if value = prove(canonical, r.proving); value != nil {
		return canonical, value
	}
	if (*jsontext.Value)(&canonical).Canonicalize() != nil {
		return nil, nil
	}
	return canonical, prove(canonical, r.proving)
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
