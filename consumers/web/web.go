// Package web serves a reducer's set over HTTP, under the control plane's own
// routes, so that what polls a control plane can poll a reducer instead.
package web

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"fleetlog/consumers/fold"
	"fleetlog/consumers/follower"
	"fleetlog/consumers/view"
	"fleetlog/eventlog"
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
	Ready  func() error // why the source may be behind the log; nil while it is not

	Log       func() *eventlog.Log // that the source follows, nil while it is not open; a nil func: no /v1/events, no /v1/history
	KeepAlive time.Duration        // how often a client that listens is written to; 0: 15 s

	Fleet string // its name, for people
	Look  Look   // nil: no page and no /v1/status

	newest atomic.Pointer[release]
}

// StateHeader marks an answer that may not be the newest truth: "not-ready"
// while the reducer may be behind the log, "stale" while its set is past a
// window, or both. It is absent otherwise.
const StateHeader = "X-Fleetlog-State"

// Handler serves the routes under /v1/ and leaves other paths to rest. Those of
// a control plane, namely /v1/fleet.resolved and /v1/rollouts/{id}, each with
// /sig behind it, answer as one does: the protocol header comes before the
// certificate, and without a set everything is 503. What they add are an ETag of
// body and signature together, so that either route of a pair that was signed
// anew has a new one, and [StateHeader]. All routes of one answer are of one
// set: an id that left the set is 404. /v1/set says what is held, /v1/events
// streams the log, /v1/history says what changed in it, and /v1/status how things
// stand; the page at / shows that to people.
//
// Over TLS everything but /healthz demands a client certificate that has not
// expired and has a common name; that it is of the right authority is the
// listener's to see. Over plain HTTP nobody is asked.
func (s *Server) Handler(rest http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", s.authenticated(rest))
	mux.Handle("/healthz", rest)
	mux.Handle("/v1/", http.HandlerFunc(s.controlPlane))
	mux.Handle("/v1/set", inProtocol(s.authenticated(read(s.set))))
	if s.Log != nil {
		mux.Handle("/v1/events", inProtocol(s.authenticated(read(s.events()))))
		mux.Handle("/v1/history", inProtocol(s.authenticated(read(s.history()))))
	}
	if s.Look != nil {
		seen := s.share()
		mux.Handle("/v1/status", inProtocol(s.authenticated(read(s.status(seen)))))
		s.pages(mux, seen)
	}
	return mux
}

// controlPlane judges a request in the order of a control plane.
func (s *Server) controlPlane(w http.ResponseWriter, r *http.Request) {
	state, _ := s.Source.Current()
	held := s.release(state.Set)
	if held == nil {
		notReady(w)
		return
	}
	inProtocol(s.authenticated(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mark(w.Header(), held)
		held.routes.ServeHTTP(w, r)
	}))).ServeHTTP(w, r)
}

// notReady is what a control plane answers before it has a fleet.
func notReady(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Retry-After", "30")
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = io.WriteString(w, `{"error":"control plane not ready","reason":"awaiting first signed artifact"}`)
}

func (s *Server) mark(h http.Header, held *release) {
	var marks []string
	if s.Ready() != nil {
		marks = append(marks, "not-ready")
	}
	if held.stale(s.Clock()) {
		marks = append(marks, "stale")
	}
	if marks != nil {
		h.Set(StateHeader, strings.Join(marks, ", "))
	}
}

// Stale tells whether the set is past a window of its own now.
func (s *Server) Stale() bool {
	state, _ := s.Source.Current()
	held := s.release(state.Set)
	return held != nil && held.stale(s.Clock())
}

func (s *Server) set(w http.ResponseWriter, _ *http.Request) {
	state, at := s.Source.Current()
	shown := view.Of(state.Set, state.Without, view.Resolved{Seq: at.Sequence, Tick: at.Tick, Time: at.Time}, s.Policy)
	shown.Judge(s.Clock())
	w.Header().Set("Content-Type", "application/json")
	_ = json.MarshalWrite(w, shown, json.Deterministic(true)) // the client is gone
}
