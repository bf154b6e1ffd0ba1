package vectors

import (
	"bytes"
	"errors"
	"testing"

	"fleetlog/manifest"

	"github.com/gowebpki/jcs"
)

// judged compares the project's canonical form with an independent one, for what
// the project accepts; it accepts less.
func judged(t *testing.T, data []byte) (accepted bool) {
	t.Helper()
	canonical, err := manifest.Canonicalize(data)
	if err != nil {
		var rejection *manifest.Rejection
		if !errors.As(err, &rejection) {
			t.Fatalf("%q: error %v is not a rejection", data, err)
		}
		return false
	}
	other, err := jcs.Transform(data)
	if err != nil {
		t.Fatalf("%q: the judge refuses it: %v", data, err)
	}
	if !bytes.Equal(canonical, other) {
		t.Fatalf("%q: canonical form is %q, the judge's is %q", data, canonical, other)
	}
	return true
}

// FuzzCanonicalFormAgreesWithTheJudge also mutates the samples of RFC 8785.
func FuzzCanonicalFormAgreesWithTheJudge(f *testing.F) {
	for _, seed := range samples {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) { judged(t, data) })
}
