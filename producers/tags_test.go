package producers_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestTagsThatStay tags the fleet and its signature with what does not change
// when the same commit is signed anew, and the manifests not at all: the fleet is
// fetched plainly once its manifests do not fit.
func TestTagsThatStay(t *testing.T) {
	older, newer := fleet(), fleet()
	newer.SignedAt = signedAt.Add(time.Second)
	for what, tagged := range map[string]string{"fleet": "/v1/fleet.resolved", "manifests": "/v1/rollouts/"} {
		t.Run(what, func(t *testing.T) {
			p := startPlane(t)
			p.SetRelease(sign(t, older))
			p.SetIntercept(func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.HasPrefix(r.URL.Path, tagged) {
					return false
				}
				w.Header().Set("ETag", `"always"`)
				if r.Header.Get("If-None-Match") == "" {
					return false
				}
				w.WriteHeader(http.StatusNotModified)
				return true
			})
			s := newStation(nil)
			s.poll.Source = p.source(t, p.files, 10*time.Second)
			wantSaid(t, s.tick(t, time.Minute), allVerified...)
			p.SetRelease(sign(t, newer))
			wantSaid(t, s.tick(t, time.Minute), allVerified...)
			if got := s.memory.Set.Fleet().SignedAt().Time(); !got.Equal(newer.SignedAt) {
				t.Errorf("the set is the one signed at %s", got)
			}
		})
	}
}

// TestTagsWithoutEnd are not sent back: whoever serves the next request may refuse
// such a header.
func TestTagsWithoutEnd(t *testing.T) {
	p := startPlane(t)
	p.SetRelease(sign(t, fleet()))
	s := newStation(nil)
	s.poll.Source = p.source(t, p.files, 10*time.Second)
	p.SetIntercept(func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("ETag", `"`+strings.Repeat("x", 60_000)+`"`)
		return false
	})
	wantSaid(t, s.tick(t, time.Minute), allVerified...)
	p.SetIntercept(func(w http.ResponseWriter, r *http.Request) bool {
		if len(r.Header.Get("If-None-Match")) < 8000 {
			return false
		}
		w.WriteHeader(http.StatusRequestHeaderFieldsTooLarge)
		return true
	})
	wantSaid(t, s.tick(t, time.Minute), allVerified...)
}
