package manifest

import (
	"bytes"
	"encoding/hex"
	"io/fs"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

// signedPair is an artifact of the real producer with what it verifies under.
type signedPair struct {
	Received
	id     RolloutID // of a rollout
	policy Policy
}

// signedPairs are the fleets, or the manifests, of the smaller releases of the
// corpus.
func signedPairs(t testing.TB, pattern string) []signedPair {
	t.Helper()
	files := corpusFS(t)
	var pairs []signedPair
	for _, release := range []string{"small", "small-composite", "nocommit", "p256", "p256-composite", "resigned-1"} {
		dir := "releases/" + release
		var about struct {
			Now time.Time `json:"now"`
		}
		if err := json.Unmarshal(readFile(t, files, dir+"/release.json"), &about); err != nil {
			t.Fatal(err)
		}
		trust, err := ParseTrust(readFile(t, files, dir+"/trust.json"))
		if err != nil {
			t.Fatal(err)
		}
		names, err := fs.Glob(files, dir+"/releases/"+pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			p := signedPair{policy: Policy{trust, about.Now, 3600, nil}}
			p.Received = Received{readFile(t, files, name), readFile(t, files, name+".sig")}
			if id, err := ParseRolloutID(strings.TrimSuffix(path.Base(name), ".json")); err == nil {
				p.id = id
			}
			pairs = append(pairs, p)
		}
	}
	if len(pairs) == 0 {
		t.Fatal("no signed artifacts")
	}
	return pairs
}

// fuzzSigned mutates signed artifacts. None may verify but with a canonical form
// that the producer signed, and with ed25519 none but with its own signature.
func fuzzSigned(f *testing.F, pattern string, verify func(Received, signedPair) (algorithm string, err error)) {
	pairs := signedPairs(f, pattern)
	genuine := make(map[string]bool) // canonical forms, and forms with their signatures
	for i, p := range pairs {
		canonical, err := Canonicalize(p.Body)
		if err != nil {
			f.Fatal(err)
		}
		genuine[string(canonical)] = true
		genuine[string(canonical)+string(p.Signature)] = true
		if _, err := verify(p.Received, p); err != nil {
			f.Fatalf("%d does not verify: %v", i, err)
		}
		f.Add(uint(i), p.Body, p.Signature)
		f.Add(uint(i), append([]byte(" \n"), p.Body...), p.Signature)
		f.Add(uint(i), bytes.Replace(p.Body, []byte(`"schemaVersion":1`), []byte(`"schemaVersion":1.0`), 1), p.Signature)
		f.Add(uint(i), bytes.Replace(p.Body, []byte("{"), []byte(`{"\u006deta":null,`), 1), p.Signature)
	}
	f.Fuzz(func(t *testing.T, i uint, body, signature []byte) {
		p := pairs[i%uint(len(pairs))]
		algorithm, err := verify(Received{body, signature}, p)
		if err != nil {
			if kindOf(err) == "" {
				t.Fatalf("error %v is not a rejection", err)
			}
			return
		}
		canonical, err := Canonicalize(body)
		if err != nil || !genuine[string(canonical)] {
			t.Fatalf("verifies, and nobody signed it: %q (%v)", body, err)
		}
		if algorithm == algorithmEd25519 && !genuine[string(canonical)+string(signature)] {
			t.Fatalf("verifies under another signature than its own: %s", hex.EncodeToString(signature))
		}
	})
}

func kindOf(err error) Kind {
	if rejection, ok := err.(*Rejection); ok { //nolint:errorlint // verification returns it bare
		return rejection.Kind
	}
	return ""
}

func FuzzVerifyFleet(f *testing.F) {
	fuzzSigned(f, "fleet.resolved.json", func(r Received, p signedPair) (string, error) {
		v, err := VerifyFleet(r, p.policy)
		return v.Key().Algorithm, err
	})
}

func FuzzVerifyRollout(f *testing.F) {
	fuzzSigned(f, "rollouts/*.json", func(r Received, p signedPair) (string, error) {
		v, err := VerifyRollout(r, p.id, p.policy)
		return v.Key().Algorithm, err
	})
}

// A signature that is changed in any way holds no more under ed25519, and under
// ecdsa-p256 only when s is the other one of its two values.
func FuzzSignature(f *testing.F) {
	pairs := signedPairs(f, "fleet.resolved.json")
	for i, p := range pairs {
		f.Add(uint(i), p.Signature)
	}
	f.Fuzz(func(t *testing.T, i uint, signature []byte) {
		p := pairs[i%uint(len(pairs))]
		v, err := VerifyFleet(Received{p.Body, signature}, p.policy)
		if err != nil {
			wantKind(t, err, KindBadSignature)
			return
		}
		same := signature
		if v.Key().Algorithm == algorithmP256 {
			same = same[:32] // the same r: only s may be the other one
		}
		if !bytes.HasPrefix(p.Signature, same) {
			t.Fatalf("another signature holds too: %x", signature)
		}
	})
}
