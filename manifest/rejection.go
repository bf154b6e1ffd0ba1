package manifest

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

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

// words are the kind as prose: NoTrustRoots is "no trust roots".
func (k Kind) words() string {
	var b strings.Builder
	for i, r := range string(k) {
		if i > 0 && unicode.IsUpper(r) {
			b.WriteByte(' ')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// Rejection refuses an artifact, a trust file, or a channel that cannot be
// projected. Detail is one line of at most 256 bytes, each 0x20 to 0x7E, that is
// the same whenever the fact is: it holds neither an age nor the present time,
// because it goes into signed events.
type Rejection struct {
	Kind   Kind
	Detail string
	Err    error
}

// Error names kind and detail.
func (r *Rejection) Error() string {
	if r.Detail == "" {
		return r.Kind.words()
	}
	return r.Kind.words() + ": " + r.Detail
}

// Unwrap returns the cause.
func (r *Rejection) Unwrap() error { return r.Err }

func reject(kind Kind, format string, args ...any) *Rejection {
	return &Rejection{Kind: kind, Detail: printable(fmt.Sprintf(format, args...))}
}

// because is the rejection with its cause.
func (r *Rejection) because(err error) *Rejection {
	r.Err = err
	return r
}

// maxDetail is the longest detail in bytes.
const maxDetail = 256

// printable escapes what is not printable ASCII and cuts what is too long: the
// text can hold names that an artifact chose.
func printable(s string) string {
	const cut = "..."
	var b strings.Builder
	for _, r := range s {
		if r >= 0x20 && r <= 0x7e {
			b.WriteRune(r)
		} else {
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
		if b.Len() > maxDetail {
			return b.String()[:maxDetail-len(cut)] + cut
		}
	}
	return b.String()
}
