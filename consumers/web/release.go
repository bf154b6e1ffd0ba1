package web

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"fleetlog/consumers/view"
	"fleetlog/manifest"
)

// release is one set as it is served.
type release struct {
	set    *manifest.Set
	routes *http.ServeMux
	shown  view.Set // for its windows

	channels []channel // with hosts, by name
}

// channel is one that the fleet has hosts in.
type channel struct {
	name   string
	window manifest.Window
}

// release returns the set's release, nil without a set. It is made once for a
// set: hashing and projecting are not for every request.
func (s *Server) release(set *manifest.Set) *release {
	if set == nil {
		return nil
	}
	if r := s.newest.Load(); r != nil && r.set == set {
		return r
	}
	r := publish(set, s.Policy)
	s.newest.Store(r)
	return r
}

func publish(set *manifest.Set, policy manifest.Policy) *release {
	r := &release{set: set, routes: http.NewServeMux(), shown: view.Of(set, nil, view.Resolved{}, policy)}
	for _, p := range manifest.Project(set.Fleet(), manifest.SchemeOf(set.Fleet().Value())) {
		if !p.Idle {
			r.channels = append(r.channels, channel{p.Channel, policy.For(set.Fleet().Value(), p.Channel).Window})
		}
	}
	fleet := pairOf(set.Fleet().Received())
	rollouts := make(map[string]pair)
	for _, rollout := range set.Rollouts() {
		rollouts[set.ID(rollout).String()] = pairOf(rollout.Received())
	}
	always := func(*http.Request) (pair, bool) { return fleet, true }
	byID := func(r *http.Request) (pair, bool) {
		p, ok := rollouts[r.PathValue("id")]
		return p, ok
	}
	r.routes.Handle("/v1/fleet.resolved", serve(always, pair.body))
	r.routes.Handle("/v1/fleet.resolved/sig", serve(always, pair.signature))
	r.routes.Handle("/v1/rollouts/{id}", serve(byID, pair.body))
	r.routes.Handle("/v1/rollouts/{id}/sig", serve(byID, pair.signature))
	r.routes.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) })
	return r
}

func (r *release) stale(now time.Time) bool {
	shown := r.shown
	shown.Judge(now)
	return shown.Stale
}

// pair is an artifact with the tag of its two files together.
type pair struct {
	received manifest.Received
	etag     string
}

func pairOf(r manifest.Received) pair {
	h := sha256.New()
	_ = binary.Write(h, binary.BigEndian, uint64(len(r.Body))) // a hash takes everything
	h.Write(r.Body)
	h.Write(r.Signature)
	return pair{r, fmt.Sprintf(`"%x"`, h.Sum(nil))}
}

func (p pair) body() (contentType string, data []byte) { return "application/json", p.received.Body }

func (p pair) signature() (contentType string, data []byte) {
	return "application/octet-stream", p.received.Signature
}

// serve answers with one file of the pair that the request names.
func serve(find func(*http.Request) (pair, bool), file func(pair) (contentType string, data []byte)) http.Handler {
	return read(func(w http.ResponseWriter, r *http.Request) {
		p, ok := find(r)
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("ETag", p.etag)
		if has(r.Header.Values("If-None-Match"), p.etag) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		contentType, data := file(p)
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Content-Length", strconv.Itoa(len(data)))
		_, _ = w.Write(data) // the client is gone
	})
}

// has tells whether If-None-Match names the tag; a weak one does, too (RFC 9110,
// 13.1.2).
func has(ifNoneMatch []string, etag string) bool {
	for tag := range strings.SplitSeq(strings.Join(ifNoneMatch, ","), ",") {
		tag = strings.TrimSpace(tag)
		if tag == "*" || strings.TrimPrefix(tag, "W/") == etag {
			return true
		}
	}
	return false
}
