package producers_test

import (
	"bytes"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"fleetlog/internal/fleetsim"
	"fleetlog/producers"
)

// inMemory answers requests for the files of a release without a network, both
// ends of which would allocate in this process. When there is a tag, it is every
// file's.
type inMemory struct {
	release fleetsim.Release
	tag     string
}

func (m inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	data := m.release[strings.TrimPrefix(r.URL.Path, "/")].Data
	answer := &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, ContentLength: int64(len(data))}
	if m.tag != "" {
		answer.Header.Set("ETag", m.tag)
		if r.Header.Get("If-None-Match") == m.tag {
			answer.StatusCode, data = http.StatusNotModified, nil
		}
	}
	answer.Body = io.NopCloser(bytes.NewReader(data))
	return answer, nil
}

// releaseURL is the source of a release whose requests the transport answers.
func releaseURL(t *testing.T, transport http.RoundTripper) producers.Source {
	t.Helper()
	source, err := producers.NewReleaseURL("https://release.example", producers.HTTP{
		Client: &http.Client{Transport: transport}, Timeout: time.Minute, Clock: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// TestUnchangedTickAllocates what its channels need, however many hosts there are:
// ten times as many cost nothing that could hold what the source sends of them.
func TestUnchangedTickAllocates(t *testing.T) {
	sign := func(hosts int) fleetsim.Release {
		return sign(t, fleetsim.Fleet{Hosts: hosts, Channels: 10, Commit: "aaaa", SignedAt: signedAt})
	}
	small, large := sign(1000), sign(10_000)
	bound := uint64(len(large[rolloutFile(t, large, c0)].Data)) // the least of what grows with the hosts
	for what, from := range map[string]func(fleetsim.Release) producers.Source{
		"without tags": func(r fleetsim.Release) producers.Source { return releaseURL(t, inMemory{release: r}) },
		"with tags":    func(r fleetsim.Release) producers.Source { return releaseURL(t, inMemory{r, `"1"`}) },
		"of files":     func(r fleetsim.Release) producers.Source { return producers.NewDirectory(r) },
	} {
		few, many := allocated(t, from(small)), allocated(t, from(large))
		t.Logf("%s: %d bytes for 1,000 hosts, %d for 10,000", what, few, many)
		if many > few+bound {
			t.Errorf("%s: an unchanged tick allocates %d bytes for 1,000 hosts and %d for 10,000, want at most %d more",
				what, few, many, bound)
		}
	}
}

// allocated is the least that one of some unchanged ticks allocates, in bytes:
// now and then the runtime takes away what is kept for the next one.
func allocated(t *testing.T, source producers.Source) uint64 {
	t.Helper()
	s := newStation(nil)
	s.poll.Source = source
	least := ^uint64(0)
	for i := range 7 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		s.tick(t, time.Minute)
		runtime.ReadMemStats(&after)
		if i > 0 {
			least = min(least, after.TotalAlloc-before.TotalAlloc)
		}
	}
	if s.memory.Set == nil || len(s.memory.Set.Rollouts()) != 10 {
		t.Fatal("the release was not verified")
	}
	return least
}
