package producers_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"fleetlog/manifest"
)

// TestKnownBodies: whatever is known, what is received is what was sent, and that
// in the memory of what is known only when both are the same.
func TestKnownBodies(t *testing.T) {
	sent := bytes.Repeat([]byte("0123456789abcdef"), 4<<10)
	differing := func(at int) []byte {
		other := bytes.Clone(sent)
		other[at] ^= 1
		return other
	}
	for what, known := range map[string][]byte{
		"nothing": nil, "the same": bytes.Clone(sent), "its beginning": sent[:len(sent)-1], "half of it": sent[:len(sent)/2],
		"more": append(bytes.Clone(sent), '0'), "other beginning": differing(0), "other middle": differing(len(sent) / 2),
		"other end": differing(len(sent) - 1),
	} {
		for how, reader := range map[string]func(io.Reader) io.Reader{
			"whole": func(r io.Reader) io.Reader { return r }, "halves": iotest.HalfReader, "with its end": iotest.DataErrReader,
		} {
			for _, size := range []int{len(sent), -1} {
				t.Run(fmt.Sprintf("%s/%s/%d", what, how, size), func(t *testing.T) {
					before := bytes.Clone(known)
					got, err := fetchKnown(t, reader(bytes.NewReader(sent)), size, known)
					if err != nil || !bytes.Equal(got, sent) {
						t.Fatalf("received %d bytes and %v, not the %d that were sent", len(got), err, len(sent))
					}
					if shared := known != nil && &got[0] == &known[0]; shared != bytes.Equal(known, sent) {
						t.Errorf("in the memory of what was known: %v", shared)
					}
					if !bytes.Equal(known, before) {
						t.Error("what was known is written to")
					}
				})
			}
		}
	}
}

// TestKnownBodyThatIsCut: what ends early is refused, as much as it is known.
func TestKnownBodyThatIsCut(t *testing.T) {
	whole := bytes.Repeat([]byte("0123456789abcdef"), 4<<10)
	half := bytes.NewReader(whole[:len(whole)/2])
	if _, err := fetchKnown(t, half, len(whole), whole); err == nil || !strings.Contains(err.Error(), "connection ended early") {
		t.Errorf("half of what was announced: %v", err)
	}
	broken := io.MultiReader(bytes.NewReader(whole), iotest.ErrReader(io.ErrUnexpectedEOF))
	if _, err := fetchKnown(t, broken, -1, whole); err == nil || !strings.Contains(err.Error(), "connection ended early") {
		t.Errorf("all that is known, and then no end: %v", err)
	}
}

// fetchKnown fetches a fleet that comes from the reader, announced with that size
// (-1: without one), by somebody who knows one.
func fetchKnown(t *testing.T, sent io.Reader, size int, known []byte) ([]byte, error) {
	t.Helper()
	source := releaseURL(t, roundTripper(func(r *http.Request) (*http.Response, error) {
		body, length := sent, int64(size)
		if strings.HasSuffix(r.URL.Path, ".sig") {
			body, length = strings.NewReader("signature"), -1
		}
		return &http.Response{StatusCode: http.StatusOK, ContentLength: length, Body: io.NopCloser(body)}, nil
	}))
	received, err := source.Fleet(t.Context(), manifest.Received{Body: known})
	return received.Body, err
}
