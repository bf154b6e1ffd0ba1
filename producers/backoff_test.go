package producers_test

import (
	"context"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fleetlog/internal/fleetsim"
	"fleetlog/manifest"
	"fleetlog/producers"
)

// unsteady is a source that fails when it is told to, and counts who asks.
type unsteady struct {
	producers.Source
	fails error
	asked int
}

func (u *unsteady) Fleet(ctx context.Context, known manifest.Received) (manifest.Received, error) {
	u.asked++
	if u.fails != nil {
		return manifest.Received{}, u.fails
	}
	return u.Source.Fleet(ctx, known)
}

// TestBackoff polls at every interval and notes at which ticks the source is
// asked, with the longest and the shortest pauses that chance can give.
func TestBackoff(t *testing.T) {
	const interval = 30 * time.Second
	shortest, longest := func(int64) int64 { return 0 }, func(n int64) int64 { return n - 1 }
	down := &producers.FetchError{Reason: "Unreachable", Detail: "connection refused"}
	for what, c := range map[string]struct {
		fails  error
		random func(int64) int64
		want   []int // ticks at which the source is asked
	}{
		"answers":            {nil, longest, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}},
		"down, short":        {down, shortest, []int{0, 1, 2, 4, 6, 8, 10}},
		"down, long":         {down, longest, []int{0, 1, 3, 7}},
		"missing":            {&producers.FetchError{Reason: "HTTPStatus", Detail: "HTTP 404"}, longest, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}},
		"asks to be left":    {&producers.FetchError{Reason: "HTTPStatus", Detail: "HTTP 429", RetryAfter: 5 * interval}, shortest, []int{0, 5, 10}},
		"not ready, upright": {&producers.FetchError{Reason: "Unavailable", Detail: "HTTP 503", RetryAfter: interval}, shortest, []int{0, 1, 2, 4, 6, 8, 10}},
	} {
		t.Run(what, func(t *testing.T) {
			now := signedAt
			source := &unsteady{Source: producers.NewDirectory(sign(t, fleet())), fails: c.fails}
			backoff := producers.NewBackoff(source, interval, func() time.Time { return now }, c.random)
			var asked []int
			for tick := range 11 {
				before := source.asked
				_, err := backoff.Fleet(t.Context(), manifest.Received{})
				if (err == nil) != (c.fails == nil) {
					t.Errorf("tick %d: error %v", tick, err)
				}
				if source.asked > before {
					asked = append(asked, tick)
				}
				now = now.Add(interval)
			}
			if !slices.Equal(asked, c.want) {
				t.Errorf("asked at ticks %v, want %v", asked, c.want)
			}
			source.fails = nil
			before := source.asked
			now = now.Add(5 * interval)
			for range 3 { // one answer ends it, and the cadence is back
				now = now.Add(interval)
				if _, err := backoff.Fleet(t.Context(), manifest.Received{}); err != nil {
					t.Errorf("after the repair: %v", err)
				}
			}
			if source.asked != before+3 {
				t.Errorf("after the repair the source was asked %d times in 3 ticks", source.asked-before)
			}
		})
	}
}

// TestHeldBackTicksAreStated shows that a source that is down costs ticks nothing:
// each states the last error.
func TestHeldBackTicksAreStated(t *testing.T) {
	now := signedAt
	s := newStation(sign(t, fleet()))
	source := &unsteady{Source: s.poll.Source}
	s.poll.Source = producers.NewBackoff(source, time.Minute, func() time.Time { return now }, func(n int64) int64 { return n - 1 })
	wantSaid(t, s.tick(t, 0), allVerified...)
	source.fails = &producers.FetchError{Reason: "Unavailable", Detail: "HTTP 503", RetryAfter: 10 * time.Minute}
	for minute := 1; minute < 10; minute++ {
		now = now.Add(time.Minute)
		wantSaid(t, s.tick(t, time.Duration(minute)*time.Minute), "fleet fetch Unavailable")
	}
	if source.asked != 2 {
		t.Errorf("the source was asked %d times, want once before it said when to come again, and once then", source.asked)
	}
}

// tagging serves release files with a tag of their content, and counts.
type tagging struct {
	release      atomic.Pointer[fleetsim.Release]
	sent, spared atomic.Int64
}

func (s *tagging) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	data, err := fs.ReadFile(*s.release.Load(), strings.TrimPrefix(r.URL.Path, "/"))
	if err != nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	tag := `"` + manifest.Sum(data).String() + `"`
	w.Header().Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag {
		s.spared.Add(1)
		w.WriteHeader(http.StatusNotModified)
		return
	}
	s.sent.Add(1)
	_, _ = w.Write(data)
}

// TestConditionalRequests lets the server tag what it serves.
func TestConditionalRequests(t *testing.T) {
	release := sign(t, fleet())
	p := startPlane(t)
	server := &tagging{}
	server.release.Store(&release)
	p.SetIntercept(fault(server.ServeHTTP))
	transport, err := p.files.Transport(func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	now := signedAt
	s := newStation(nil)
	s.poll.Source, err = producers.NewReleaseURL(p.URL(), producers.HTTP{
		Client: &http.Client{Transport: transport}, Timeout: 10 * time.Second, Clock: func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	wantSaid(t, s.tick(t, time.Minute), allVerified...)
	whole := server.sent.Load()
	wantSaid(t, s.tick(t, time.Minute), allVerified...)
	if server.sent.Load() != whole || server.spared.Load() != whole {
		t.Errorf("second tick: %d bodies sent anew and %d spared, want 0 and %d", server.sent.Load()-whole, server.spared.Load(), whole)
	}
	newer := fleet()
	newer.SignedAt = signedAt.Add(time.Second)
	release = sign(t, newer)
	server.release.Store(&release)
	wantSaid(t, s.tick(t, time.Minute), allVerified...)
	if got := s.memory.Set.Fleet().SignedAt().Time(); !got.Equal(newer.SignedAt) {
		t.Errorf("after the release changed, the set is the one signed at %s", got)
	}
	now = now.Add(time.Hour)
	before := server.spared.Load()
	wantSaid(t, s.tick(t, time.Minute), allVerified...)
	if server.spared.Load() != before {
		t.Error("an hour later a body was still not fetched plainly")
	}
}

// TestMisleadingTags serves a new signature beside a body whose tag did not
// change with it: the body is fetched plainly, and the pair fits.
func TestMisleadingTags(t *testing.T) {
	older, newer := fleet(), fleet()
	newer.SignedAt = signedAt.Add(time.Second)
	p := startPlane(t)
	p.SetRelease(sign(t, older))
	tag := "1"
	p.SetIntercept(func(w http.ResponseWriter, r *http.Request) bool {
		current := `"` + tag + `"`
		if r.URL.Path == "/v1/fleet.resolved" {
			current = `"always"`
		}
		w.Header().Set("ETag", current)
		if r.Header.Get("If-None-Match") == current {
			w.WriteHeader(http.StatusNotModified)
			return true
		}
		return false
	})
	s := newStation(nil)
	s.poll.Source = p.source(t, p.files, 10*time.Second)
	wantSaid(t, s.tick(t, time.Minute), allVerified...)
	p.SetRelease(sign(t, newer))
	tag = "2"
	wantSaid(t, s.tick(t, time.Minute), allVerified...)
	if got := s.memory.Set.Fleet().SignedAt().Time(); !got.Equal(newer.SignedAt) {
		t.Errorf("the set is the one signed at %s", got)
	}
}

// TestUnaskedNotModified is refused: nothing was named that could be unchanged.
func TestUnaskedNotModified(t *testing.T) {
	p := startPlane(t)
	p.SetRelease(sign(t, fleet()))
	p.SetIntercept(fault(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) }))
	s := newStation(nil)
	s.poll.Source = p.source(t, p.files, 10*time.Second)
	wantFleetRefused(t, s.tick(t, time.Minute), "HTTPStatus: HTTP 304")
}
