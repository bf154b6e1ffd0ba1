package bundle_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"fleetlog/consumers/bundle"
	"fleetlog/consumers/check"
)

// flipPlaces are the bytes in which a bit is changed: many of what is around the
// files, some of what is in them.
func flipPlaces(size int, files spans, random *rand.Rand) (places []int) {
	for at := 0; at < size; {
		places = append(places, at)
		if _, inside := files.at(at); inside {
			at += 1 + random.IntN(200)
		} else {
			at += 1 + random.IntN(12)
		}
	}
	return places
}

// TestEveryBit: one changed bit, wherever it is, is found, and in which file.
func TestEveryBit(t *testing.T) {
	_, log := quiet(t, 10, 4)
	data := written(t, check.OnBroker(log), contents(log, between(t, log, "", "")))
	files := filesOf(t, data)
	random := rand.New(rand.NewPCG(1, 2))
	places := flipPlaces(len(data), files, random)
	for _, at := range places {
		flipped := bytes.Clone(data)
		flipped[at] ^= 1 << random.IntN(8)
		b, err := bundle.Open(t.Context(), bytes.NewReader(flipped), int64(len(flipped)))
		var form *bundle.FormError
		name, inside := files.at(at)
		switch {
		case err != nil && !errors.As(err, &form):
			t.Fatalf("byte %d of %s: %v", at, name, err)
		case err != nil && inside && name != "SHA256SUMS" && name != "bundle.json" && form.File != name:
			t.Errorf("byte %d of %s is found in %q: %v", at, name, form.File, err)
		case err != nil && !inside && (form.Offset > int64(at) || form.Offset < int64(at)-1024):
			t.Errorf("byte %d behind %s is found at %d: %v", at, name, form.Offset, err)
		case err == nil && len(b.Damaged()) != 1:
			t.Errorf("byte %d of %s: damaged is %+v", at, name, b.Damaged())
		case err == nil && inside && name != "SHA256SUMS" && b.Damaged()[0].File != name:
			t.Errorf("byte %d of %s is found in %s", at, name, b.Damaged()[0].File)
		case err == nil && !inside:
			t.Errorf("byte %d behind %s changes a file: %+v", at, name, b.Damaged())
		}
	}
	if len(places) < 1000 {
		t.Errorf("only %d places", len(places))
	}
}

// spans are where files are in an archive.
type spans []struct {
	name     string
	from, to int
}

func filesOf(t *testing.T, data []byte) (all spans) {
	t.Helper()
	reader := bytes.NewReader(data)
	r := tar.NewReader(reader)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		must(t, err)
		from := len(data) - reader.Len()
		all = append(all, struct {
			name     string
			from, to int
		}{h.Name, from, from + int(h.Size)})
	}
}

// at is the file that holds the byte, or that is before it.
func (s spans) at(place int) (name string, inside bool) {
	for _, f := range s {
		if place < f.from {
			return name, false
		}
		if name = f.name; place < f.to {
			return name, true
		}
	}
	return name, false
}

// TestCutShort: a bundle that ends early is none.
func TestCutShort(t *testing.T) {
	_, log := quiet(t, 10, 4)
	data := written(t, check.OnBroker(log), contents(log, between(t, log, "", "")))
	for _, size := range []int{0, 1, 511, 512, 1024, len(data) / 2, len(data) - 512, len(data) - 1} {
		var form *bundle.FormError
		if _, err := bundle.Open(t.Context(), bytes.NewReader(data[:size]), int64(size)); !errors.As(err, &form) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	long := append(bytes.Clone(data), make([]byte, 512)...)
	if _, err := bundle.Open(t.Context(), bytes.NewReader(long), int64(len(long))); err == nil {
		t.Error("what is behind the end is not looked at")
	}
}
