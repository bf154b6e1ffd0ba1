package manifest

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

// prove reads what is canonical but for white space, and returns its canonical
// form with it; no value when in doubt.
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
