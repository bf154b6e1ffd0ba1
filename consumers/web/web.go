// Package web serves a reducer's set over HTTP, under the control plane's own
// routes, so that what polls a control plane can poll a reducer instead.
package web

import (
	"io"
	"net/http"
	"strconv"
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

// Register adds the routes under /v1/. Those of a control plane, namely
// /v1/fleet.resolved and /v1/rollouts/{id}, each with /sig behind it, answer as
// one does: without a set like one that is not ready. /v1/set says what is held.
func (s *Server) Register(mux *http.ServeMux) {
	routes := http.NewServeMux()
	routes.HandleFunc("GET /v1/fleet.resolved", s.fleet(body))
	routes.HandleFunc("GET /v1/fleet.resolved/sig", s.fleet(signature))
	routes.HandleFunc("GET /v1/rollouts/{id}", s.rollout(body))
	routes.HandleFunc("GET /v1/rollouts/{id}/sig", s.rollout(signature))
	routes.HandleFunc("GET /v1/set", s.set)
	mux.Handle("/v1/", routes) // so that no other route takes their other methods
}

// part is one of the two files of an artifact.
type part func(w http.ResponseWriter, r manifest.Received)

func body(w http.ResponseWriter, r manifest.Received) { write(w, "application/json", r.Body) }

func signature(w http.ResponseWriter, r manifest.Received) {
	write(w, "application/octet-stream", r.Signature)
}

func write(w http.ResponseWriter, contentType string, data []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	_, _ = w.Write(data) // the client is gone
}

// notReady is what a control plane answers before it has a fleet.
func notReady(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Retry-After", "30")
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = io.WriteString(w, `{"error":"control plane not ready","reason":"awaiting first signed artifact"}`)
}

func (s *Server) fleet(answer part) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		state, _ := s.Source.Current()
		if state.Set == nil {
			notReady(w)
			return
		}
		answer(w, state.Set.Fleet().Received())
	}
}

func (s *Server) rollout(answer part) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		state, _ := s.Source.Current()
		if state.Set == nil {
			notReady(w)
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
