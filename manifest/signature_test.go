package manifest

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"math/big"
	"slices"
	"testing"

	"filippo.io/edwards25519"
)

// The contract's test key, a published vector.
func TestHarnessKey(t *testing.T) {
	seed := sha256.Sum256([]byte("nixfleet-harness-test-seed-2026"))
	private := ed25519.NewKeyFromSeed(seed[:])
	k := Key{Algorithm: algorithmEd25519, Public: "XGEGLc7caQGxOHt9EcWsRyhKk2fj6v5OVdDd+BFO8KY="}
	message := []byte(`{"a":1}`)
	if !k.Verify(message, ed25519.Sign(private, message)) {
		t.Error("the harness key's public text does not verify what its seed signs")
	}
	if k.Verify([]byte(`{"a":2}`), ed25519.Sign(private, message)) {
		t.Error("signature holds for another message")
	}
}

func TestSmallOrderEncodings(t *testing.T) {
	for _, text := range []string{ // little-endian y: 0, 1, p-1, p, p+1 and both of order 8
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	} {
		encoded, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, sign := range []byte{0, 0x80} {
			encoded[31] = encoded[31]&0x7f | sign
			if !isSmallOrder(encoded) {
				t.Errorf("%x is taken for a point of large order", encoded)
			}
		}
	}
	if isSmallOrder(edwards25519.NewGeneratorPoint().Bytes()) {
		t.Error("the generator is taken for a point of small order")
	}
}

// The standard library accepts both forgeries below.
func TestSmallOrderRefused(t *testing.T) {
	message := []byte("any message at all")
	identity := edwards25519.NewIdentityPoint().Bytes()

	one := append([]byte{1}, make([]byte, 31)...)
	universal := append(edwards25519.NewGeneratorPoint().Bytes(), one...)
	if !ed25519.Verify(identity, message, universal) {
		t.Fatal("the forgery under a small-order key is none")
	}
	if verifyEd25519(identity, message, universal) {
		t.Error("a small-order key verifies")
	}

	public := alice.private.Public().(ed25519.PublicKey)
	digest := sha512.Sum512(alice.private.Seed())
	secret, err := new(edwards25519.Scalar).SetBytesWithClamping(digest[:32])
	if err != nil {
		t.Fatal(err)
	}
	challenge := sha512.Sum512(slices.Concat(identity, public, message))
	k, err := new(edwards25519.Scalar).SetUniformBytes(challenge[:])
	if err != nil {
		t.Fatal(err)
	}
	signature := append(slices.Clone(identity), k.Multiply(k, secret).Bytes()...)
	if !ed25519.Verify(public, message, signature) {
		t.Fatal("the signature with a small-order R is none")
	}
	if verifyEd25519(public, message, signature) {
		t.Error("a small-order R verifies")
	}
}

func TestMalleableRefused(t *testing.T) {
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	message := []byte("message")
	signature := ed25519.Sign(alice.private, message)
	k := Key{Algorithm: algorithmEd25519, Public: alice.public()}
	if !k.Verify(message, signature) {
		t.Fatal("signature does not hold")
	}
	s := slices.Clone(signature[32:])
	slices.Reverse(s)
	moved := new(big.Int).Add(new(big.Int).SetBytes(s), order).FillBytes(make([]byte, 32))
	slices.Reverse(moved)
	if k.Verify(message, append(slices.Clone(signature[:32]), moved...)) {
		t.Error("s beyond the group order verifies")
	}
}

func TestP256(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	uncompressed, err := private.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	public, message := uncompressed[1:], []byte("message")
	digest := sha256.Sum256(message)
	r, s, err := ecdsa.Sign(rand.Reader, private, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	n, zero := elliptic.P256().Params().N, new(big.Int)
	pair := func(r, s *big.Int) []byte {
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	}
	offCurve := slices.Clone(public)
	offCurve[63] ^= 1
	for _, c := range []struct {
		name              string
		public, signature []byte
		want              bool
	}{
		{"as signed", public, pair(r, s), true},
		{"other half of s", public, pair(r, new(big.Int).Sub(n, s)), true},
		{"r zero", public, pair(zero, s), false},
		{"s zero", public, pair(r, zero), false},
		{"r the order", public, pair(n, s), false},
		{"s the order", public, pair(r, n), false},
		{"r and s swapped", public, pair(s, r), false},
		{"key with prefix", uncompressed, pair(r, s), false},
		{"key off the curve", offCurve, pair(r, s), false},
		{"key all zero", make([]byte, 64), pair(r, s), false},
		{"byte behind", public, append(pair(r, s), 0), false},
		{"byte short", public, pair(r, s)[:63], false},
	} {
		k := Key{Algorithm: algorithmP256, Public: base64.StdEncoding.EncodeToString(c.public)}
		if got := k.Verify(message, c.signature); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestKeyText(t *testing.T) {
	message := []byte("message")
	signature := ed25519.Sign(alice.private, message)
	text := alice.public() // 43 digits and one =; the last digit's low bits are zero
	for _, c := range []struct {
		name, public string
		want         bool
	}{
		{"as written", text, true},
		{"no padding", text[:43], false},
		{"line end", text + "\n", false},
		{"line end inside", text[:20] + "\r\n" + text[20:], false},
		{"space", text + " ", false},
		{"bits behind the last", text[:42] + string(text[42]+1) + "=", false},
		{"31 bytes", base64.StdEncoding.EncodeToString(make([]byte, 31)), false},
		{"empty", "", false},
	} {
		if got := (Key{Algorithm: algorithmEd25519, Public: c.public}).Verify(message, signature); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
