// Package web serves a reducer's set over HTTP, under the control plane's own
// routes, so that what polls a control plane can poll a reducer instead.
package web

import (
	"net/http"
	"time"

	"fleetlog/consumers/fold"
	"fleetlog/consumers/follower"
	"fleetlog/consumers/view"
	"fleetlog/manifest"

	"github.com/go-json-experiment/json"
)

// Source is the reducer that is served.
type Source interface {
	Current() (fold.State, follower.Position)
}

// Server answers from the newest state of its source.
type Server struct {
	Source Source
	Policy manifest.Policy // whose windows are shown
	Clock  func() time.Time
}

// Register adds the routes: /v1/fleet.resolved, /v1/rollouts/{id}, each with
// /sig behind it, and /v1/set. Without a set they answer 503.
func (s *Server) Register(mux *http.ServeMux) {
	mux.HandleFunc("GET /v1/fleet.resolved", s.fleet(body))
	mux.HandleFunc("GET /v1/fleet.resolved/sig", s.fleet(signature))
	mux.HandleFunc("GET /v1/rollouts/{id}", s.rollout(body))
	mux.HandleFunc("GET /v1/rollouts/{id}/sig", s.rollout(signature))
	mux.HandleFunc("GET /v1/set", s.set)
}

// part is one of the two files of an artifact.
type part func(w http.ResponseWriter, r manifest.Received)

func body(w http.ResponseWriter, r manifest.Received) { write(w, "application/json", r.Body) }

func signature(w http.ResponseWriter, r manifest.Received) {
	write(w, "application/octet-stream", r.Signature)
}

func write(w http.ResponseWriter, contentType string, data []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(data) // the client is gone
}

func (s *Server) fleet(answer part) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		state, _ := s.Source.Current()
		if state.Set == nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		answer(w, state.Set.Fleet().Received())
	}
}

func (s *Server) rollout(answer part) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		state, _ := s.Source.Current()
		if state.Set == nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		for _, rollout := range state.Set.Rollouts() {
			if state.Set.ID(rollout).String() == r.PathValue("id") {
				answer(w, rollout.Received())
				return
			}
		}
		w.WriteHeader(http.StatusNotFound)
	}
}

func (s *Server) set(w http.ResponseWriter, _ *http.Request) {
	state, at := s.Source.Current()
	shown := view.Of(state.Set, state.Without, view.Resolved{Seq: at.Sequence, Tick: at.Tick, Time: at.Time}, s.Policy)
	shown.Judge(s.Clock())
	w.Header().Set("Content-Type", "application/json")
	_ = json.MarshalWrite(w, shown, json.Deterministic(true)) // the client is gone
}
