package manifest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Digest is a SHA-256, written as 64 lower-case hex digits.
type Digest [sha256.Size]byte

// Sum is the digest of b.
func Sum(b []byte) Digest { return sha256.Sum256(b) }

// ParseDigest accepts exactly 64 lower-case hex digits.
func ParseDigest(s string) (d Digest, err error) {
	raw, err := hex.DecodeString(s)
	if err != nil || len(raw) != len(d) || hex.EncodeToString(raw) != s {
		return Digest{}, fmt.Errorf("digest %.70q: want 64 lower-case hex digits", s)
	}
	return Digest(raw), nil
}

// String returns the 64 hex digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// IsZero tells a digest that was never set.
func (d Digest) IsZero() bool { return d == Digest{} }

// MarshalText returns the 64 hex digits.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText is [ParseDigest].
func (d *Digest) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDigest(string(text))
	return err
}
