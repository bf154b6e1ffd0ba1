package fleetsim

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"fleetlog/manifest"

	"github.com/go-json-experiment/json"
)

// Signer signs artifacts as a release producer does: over their canonical form.
type Signer struct {
	algorithm string
	public    []byte
	sign      func(message []byte) ([]byte, error)
}

// NewEd25519Signer makes the signer with the key of a seed of 32 equal bytes.
func NewEd25519Signer(seed byte) *Signer {
	key := ed25519.NewKeyFromSeed(seedOf(seed))
	return &Signer{"ed25519", key.Public().(ed25519.PublicKey), func(message []byte) ([]byte, error) {
		return ed25519.Sign(key, message), nil
	}}
}

// NewP256Signer makes the ECDSA P-256 signer whose secret is 32 equal bytes,
// which must not be zero. Its signatures differ from one call to the next.
func NewP256Signer(seed byte) (*Signer, error) {
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), seedOf(seed))
	if err != nil {
		return nil, fmt.Errorf("make signer: %w", err)
	}
	public, err := key.PublicKey.Bytes()
	if err != nil {
		return nil, fmt.Errorf("make signer: %w", err)
	}
	return &Signer{"ecdsa-p256", public[1:], func(message []byte) ([]byte, error) {
		digest := sha256.Sum256(message)
		r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
		if err != nil {
			return nil, err
		}
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...), nil
	}}, nil
}

func seedOf(b byte) []byte {
	seed := make([]byte, 32)
	for i := range seed {
		seed[i] = b
	}
	return seed
}

// Sign signs any JSON and returns it as it was given, with its signature.
func (s *Signer) Sign(body []byte) (manifest.Received, error) {
	canonical, err := manifest.Canonicalize(body)
	if err != nil {
		return manifest.Received{}, fmt.Errorf("sign artifact: %w", err)
	}
	signature, err := s.sign(canonical)
	if err != nil {
		return manifest.Received{}, fmt.Errorf("sign artifact: %w", err)
	}
	return manifest.Received{Body: body, Signature: signature}, nil
}

// Trust is a trust.json whose current release key is the signer's.
func (s *Signer) Trust() []byte {
	data, err := json.Marshal(map[string]any{
		"schemaVersion": 1,
		"ciReleaseKey": map[string]any{"current": map[string]any{
			"algorithm": s.algorithm, "public": base64.StdEncoding.EncodeToString(s.public),
		}},
	}, json.Deterministic(true))
	if err != nil {
		panic("trust file has no JSON form: " + err.Error())
	}
	return data
}
