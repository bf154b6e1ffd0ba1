package manifest

import "fmt"

// Kind is why an artifact or a trust file is refused.
type Kind string

// The contract's kinds, in the order in which verification can meet them, and
// TrustInvalid and Projection, which are this project's.
const (
	KindTrustInvalid             = Kind("TrustInvalid")
	KindNoTrustRoots             = Kind("NoTrustRoots")
	KindParse                    = Kind("Parse")
	KindCanonicalize             = Kind("Canonicalize")
	KindBadSignature             = Kind("BadSignature")
	KindUnsupportedAlgorithm     = Kind("UnsupportedAlgorithm")
	KindSchemaVersionUnsupported = Kind("SchemaVersionUnsupported")
	KindNotSigned                = Kind("NotSigned")
	KindRejectedBeforeTimestamp  = Kind("RejectedBeforeTimestamp")
	KindStale                    = Kind("Stale")
	KindFutureDated              = Kind("FutureDated")
	KindMismatch                 = Kind("Mismatch")
	KindProjection               = Kind("Projection")
)

// Rejection refuses an artifact, a trust file, or a channel that cannot be
// projected. Detail is one line that is the same whenever the fact is: it holds
// neither an age nor the present time, because it goes into signed events.
type Rejection struct {
	Kind   Kind
	Detail string
	Err    error
}

// Error names kind and detail.
func (r *Rejection) Error() string {
	if r.Detail == "" {
		return string(r.Kind)
	}
	return string(r.Kind) + ": " + r.Detail
}

// Unwrap returns the cause.
func (r *Rejection) Unwrap() error { return r.Err }

func reject(kind Kind, format string, args ...any) *Rejection {
	return &Rejection{Kind: kind, Detail: fmt.Sprintf(format, args...)}
}
