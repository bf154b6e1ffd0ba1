package manifest

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"filippo.io/edwards25519"
)

// SignatureSize is the length of every signature in bytes: R and S of ed25519,
// or r and s of ECDSA P-256.
const SignatureSize = 64

const (
	algorithmEd25519 = "ed25519"
	algorithmP256    = "ecdsa-p256"
)

// verifyAny tries the keys in order and returns the first under which the
// signature over the canonical bytes holds.
func verifyAny(keys []Key, canonical, signature []byte) (Key, *Rejection) {
	attempted := false
	for _, k := range keys {
		switch k.Algorithm {
		case algorithmEd25519, algorithmP256:
			attempted = true
			if k.Verify(canonical, signature) {
				return k, nil
			}
		}
	}
	if !attempted {
		return Key{}, reject(KindUnsupportedAlgorithm, "no key has a known algorithm; the first is %.40q", keys[0].Algorithm)
	}
	const none = "no key in force verifies the signature"
	for _, k := range keys {
		if fault := k.fault(); fault != "" {
			return Key{}, reject(KindBadSignature, "%s; %s verifies nothing: %s", none, k.Slot, fault)
		}
	}
	return Key{}, reject(KindBadSignature, none)
}

// fault says why the key verifies nothing at all; empty when it can.
func (k Key) fault() string {
	public, err := k.bytes()
	if err != nil {
		return "it is not base64"
	}
	switch k.Algorithm {
	case algorithmEd25519:
		if len(public) != ed25519.PublicKeySize {
			return fmt.Sprintf("it has %d bytes, want %d", len(public), ed25519.PublicKeySize)
		}
		if _, err := new(edwards25519.Point).SetBytes(public); err != nil {
			return "it is no point of its curve"
		}
		if isSmallOrder(public) {
			return "it is of small order"
		}
	case algorithmP256:
		if len(public) != sizeP256 {
			return fmt.Sprintf("it has %d bytes, want %d", len(public), sizeP256)
		}
		if _, err := parseP256(public); err != nil {
			return "it is no point of its curve"
		}
	default:
		return fmt.Sprintf("its algorithm is %.40q", k.Algorithm)
	}
	return ""
}

var errLineBreak = errors.New("line break in base64")

// bytes decodes the key, strictly.
func (k Key) bytes() ([]byte, error) {
	if strings.ContainsAny(k.Public, "\r\n") { // the decoder would skip them
		return nil, errLineBreak
	}
	return base64.StdEncoding.Strict().DecodeString(k.Public)
}

// Verify tells whether the signature over the message holds. A key that cannot be
// read, or is of another algorithm than ed25519 and ecdsa-p256, verifies nothing.
func (k Key) Verify(message, signature []byte) bool {
	public, err := k.bytes()
	if err != nil || len(signature) != SignatureSize {
		return false
	}
	switch k.Algorithm {
	case algorithmEd25519:
		return verifyEd25519(public, message, signature)
	case algorithmP256:
		return verifyP256(public, message, signature)
	}
	return false
}

// verifyEd25519 is stricter than the standard library: neither the key nor R
// may be of small order, which would let one signature hold for many messages.
// The library itself demands s below the group order and compares R as bytes.
func verifyEd25519(public, message, signature []byte) bool {
	return len(public) == ed25519.PublicKeySize &&
		!isSmallOrder(public) && !isSmallOrder(signature[:32]) &&
		ed25519.Verify(public, message, signature)
}

func isSmallOrder(encoded []byte) bool {
	point, err := new(edwards25519.Point).SetBytes(encoded)
	if err != nil {
		return false // not a point: nothing verifies with it
	}
	return point.MultByCofactor(point).Equal(edwards25519.NewIdentityPoint()) == 1
}

// sizeP256 is the length of X||Y.
const sizeP256 = 64

func parseP256(public []byte) (*ecdsa.PublicKey, error) {
	return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append([]byte{4}, public...))
}

// verifyP256 takes X||Y and r||s, all big-endian. A high s is accepted: the
// hardware that signs emits it half of the time.
func verifyP256(public, message, signature []byte) bool {
	if len(public) != sizeP256 {
		return false
	}
	key, err := parseP256(public)
	if err != nil {
		return false
	}
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	digest := sha256.Sum256(message)
	return ecdsa.Verify(key, digest[:], r, s)
}
