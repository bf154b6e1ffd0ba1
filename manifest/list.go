package manifest

// signedList is revocations.json or bootstrap-nonces.json, which a release can have
// beside its fleet. Nothing here acts by their entries, so none is kept.
type signedList struct {
	schemaVersion uint32
	meta          Meta
}

// VerifyRevocations judges a revocations.json: as a fleet is judged, by the
// policy's own window. Of its entries it demands what they must have. The error
// is a [*Rejection].
func VerifyRevocations(r Received, p Policy) error {
	return verifyList(r, p, "revocations", func(d *decoding, v any, at string) struct{} {
		o := d.object(v, at)
		required(o, "hostname", text)
		required(o, "notBefore", instant)
		return struct{}{}
	})
}

// VerifyBootstrapNonces is to a bootstrap-nonces.json what [VerifyRevocations] is
// to a revocations.json.
func VerifyBootstrapNonces(r Received, p Policy) error {
	return verifyList(r, p, "bootstrapNonces", func(d *decoding, v any, at string) struct{} {
		o := d.object(v, at)
		required(o, "nonce", text)
		required(o, "hostname", text)
		required(o, "expiresAt", instant)
		return struct{}{}
	})
}

func verifyList(r Received, p Policy, member string, entry reader[struct{}]) error {
	v, rejection := verify(Verified[signedList]{}, r, p, reading[signedList]{
		tree: func(d *decoding, v any) *signedList {
			o := d.object(v, "")
			required(o, member, list(entry))
			return &signedList{required(o, "schemaVersion", integer), required(o, "meta", readMeta)}
		},
		proving: func(*cursor) *signedList { return nil },
		head:    func(l *signedList) (uint32, Meta) { return l.schemaVersion, l.meta },
	})
	if rejection != nil {
		return rejection
	}
	return v.CheckFresh(p.Now, p.Window)
}
