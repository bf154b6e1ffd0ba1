package process

import (
	"errors"
	"net/http"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Health answers the questions of supervisors:
//
//	GET /healthz   200 while the process is alive, 503 when it is stuck
//	GET /readyz    200 while it serves what it is for, 503 until then
//	GET /metrics   its metrics in Prometheus's format
//
// The first two have the body {"ok":true}, or {"ok":false,"reason":"…"}. /readyz
// gives a reason with "ok":true, too, when there is a note.
type Health struct {
	// Note is what /readyz says while the process is ready, but what it is for is
	// not in order for reasons outside it; empty for nothing. Nil: there is none.
	Note func() string

	mux   *http.ServeMux
	alive func() error

	mu    sync.Mutex
	ready error
}

// NewHealth makes a handler that is not ready. alive is asked at every request
// of /healthz and gives the reason why the process should be restarted.
func NewHealth(metrics prometheus.Gatherer, alive func() error) *Health {
	h := &Health{mux: http.NewServeMux(), alive: alive, ready: errors.New("starting")}
	h.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, h.alive(), "") })
	h.mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { answer(w, h.Ready(), h.note()) })
	h.mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	return h
}

// SetReady says why the process is not ready, or that it is: nil.
func (h *Health) SetReady(reason error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ready = reason
}

// Ready is what [Health.SetReady] was told last.
func (h *Health) Ready() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ready
}

func (h *Health) note() string {
	if h.Note == nil {
		return ""
	}
	return h.Note()
}

// ServeHTTP answers the paths above and 404 to others.
func (h *Health) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

type verdict struct {
	OK     bool   `json:"ok"`
	Reason string `json:"reason,omitzero"`
}

func answer(w http.ResponseWriter, reason error, note string) {
	body, status := verdict{OK: true, Reason: note}, http.StatusOK
	if reason != nil {
		body, status = verdict{Reason: oneLine(reason.Error())}, http.StatusServiceUnavailable
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.MarshalWrite(w, body) // the client has left
}
