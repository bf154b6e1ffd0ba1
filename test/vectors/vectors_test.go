// Package vectors holds the project's verification against test vectors and an
// independent canonicalizer of others. It is a module of its own so that none
// of them is a dependency of the project.
package vectors

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"io/fs"
	"os"
	"testing"

	"fleetlog/manifest"

	"github.com/c2sp/wycheproof"
	"github.com/go-json-experiment/json"
)

// octets are bytes written in hex.
type octets []byte

func (o *octets) UnmarshalText(text []byte) (err error) {
	*o, err = hex.DecodeString(string(text))
	return err
}

func decode(t *testing.T, data []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatal(err)
	}
}

func ed25519Key(public []byte) manifest.Key {
	return manifest.Key{Algorithm: "ed25519", Public: base64.StdEncoding.EncodeToString(public)}
}

// suite is what is used of a file of Wycheproof's vectors.
type suite struct {
	NumberOfTests int `json:"numberOfTests"`
	TestGroups    []struct {
		PublicKey struct {
			PK           octets `json:"pk"`           // of EdDSA
			Uncompressed octets `json:"uncompressed"` // of ECDSA: 4, X, Y
		} `json:"publicKey"`
		Tests []struct {
			ID        int      `json:"tcId"`
			Comment   string   `json:"comment"`
			Flags     []string `json:"flags"`
			Message   octets   `json:"msg"`
			Signature octets   `json:"sig"`
			Result    string   `json:"result"` // valid, invalid or acceptable
		} `json:"tests"`
	} `json:"testGroups"`
}

func wycheproofSuite(t *testing.T, name string) suite {
	t.Helper()
	data, err := fs.ReadFile(wycheproof.TestVectors, name)
	if err != nil {
		t.Fatal(err)
	}
	var s suite
	decode(t, data, &s)
	return s
}

// TestWycheproof demands the verdict that every vector asks for, without
// exception.
func TestWycheproof(t *testing.T) {
	for name, key := range map[string]func(public []byte) manifest.Key{
		"ed25519_test.json": ed25519Key,
		"ecdsa_secp256r1_sha256_p1363_test.json": func(public []byte) manifest.Key {
			return manifest.Key{Algorithm: "ecdsa-p256", Public: base64.StdEncoding.EncodeToString(public[1:])}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := wycheproofSuite(t, name)
			accepted, refused := 0, 0
			for _, g := range s.TestGroups {
				k := key(append(g.PublicKey.PK, g.PublicKey.Uncompressed...))
				for _, c := range g.Tests {
					got := k.Verify(c.Message, c.Signature)
					if want := c.Result == "valid"; got != want {
						t.Errorf("vector %d, %s %v: verified %t, want %s", c.ID, c.Comment, c.Flags, got, c.Result)
					}
					if got {
						accepted++
					} else {
						refused++
					}
				}
			}
			t.Logf("%d accepted, %d refused", accepted, refused)
			if accepted+refused != s.NumberOfTests || accepted == 0 {
				t.Errorf("%d vectors were judged, the suite has %d", accepted+refused, s.NumberOfTests)
			}
		})
	}
}

// TestManyEdDSAs judges the twelve edge cases of Chalkias, Garillot and
// Nikolaenko, "Taming the many EdDSAs" (2020, https://eprint.iacr.org/2020/1244),
// and lists those in which the standard library is of another opinion.
func TestManyEdDSAs(t *testing.T) {
	data, err := os.ReadFile("testdata/many-eddsas.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		What      string `json:"what"`
		Message   octets `json:"message"`
		Key       octets `json:"key"`
		Signature octets `json:"signature"`
		Valid     bool   `json:"valid"`
	}
	decode(t, data, &cases)
	differ := 0
	for i, c := range cases {
		got := ed25519Key(c.Key).Verify(c.Message, c.Signature)
		if got != c.Valid {
			t.Errorf("case %d, %s: verified %t, want %t", i, c.What, got, c.Valid)
		}
		if library := ed25519.Verify(ed25519.PublicKey(c.Key), c.Message, c.Signature); library != got {
			t.Logf("case %d, %s: %t here, %t by the standard library", i, c.What, got, library)
			differ++
		}
	}
	if len(cases) != 12 || differ != 4 {
		t.Errorf("%d cases with %d differences to the standard library, want 12 with 4", len(cases), differ)
	}
}
