package process

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestHealth(t *testing.T) {
	metrics := prometheus.NewRegistry()
	ticks := prometheus.NewCounter(prometheus.CounterOpts{Name: "ticks_total", Help: "Ticks."})
	metrics.MustRegister(ticks)
	ticks.Inc()
	var stuck error
	h := NewHealth(metrics, func() error { return stuck })
	get := func(method, path string) (status int, body string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
		return w.Code, w.Body.String()
	}
	check := func(path string, status int, body string) {
		t.Helper()
		if code, got := get(http.MethodGet, path); code != status || got != body {
			t.Errorf("%s: %d %s, want %d %s", path, code, got, status, body)
		}
	}
	check("/readyz", 503, `{"ok":false,"reason":"starting"}`)
	check("/healthz", 200, `{"ok":true}`)
	h.SetReady(nil)
	check("/readyz", 200, `{"ok":true}`)
	note := "the set is stale"
	h.Note = func() string { return note }
	check("/readyz", 200, `{"ok":true,"reason":"the set is stale"}`)
	check("/healthz", 200, `{"ok":true}`)
	h.SetReady(errors.New("sequence gap\nat 7"))
	stuck = errors.New(`no tick for "3m"`)
	check("/readyz", 503, `{"ok":false,"reason":"sequence gap; at 7"}`)
	check("/healthz", 503, `{"ok":false,"reason":"no tick for \"3m\""}`)
	if code, body := get(http.MethodGet, "/metrics"); code != 200 || !strings.Contains(body, "\nticks_total 1\n") {
		t.Errorf("/metrics: %d %s", code, body)
	}
	if code, _ := get(http.MethodPost, "/readyz"); code != http.StatusMethodNotAllowed {
		t.Errorf("POST /readyz: %d, want 405", code)
	}
	if code, _ := get(http.MethodGet, "/"); code != http.StatusNotFound {
		t.Errorf("GET /: %d, want 404", code)
	}
}
