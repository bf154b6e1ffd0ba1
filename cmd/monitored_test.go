package cmd_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestMonitoring asks all three daemons how they fare while certificates are
// replaced and one of them is held up.
func TestMonitoring(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), *faultPatience)
	defer cancel()
	m := newMonitored(ctx, t)
	m.tellTheirMetrics(ctx)
	m.replaceCertificates(ctx)
	m.holdUpReducer(ctx)
	wait(ctx, t, "heartbeats", func() bool { return m.beats.Load() > 1 })
	for name, d := range m.daemons {
		if strings.Contains(d.Said(), heartbeatSecret) {
			t.Errorf("%s tells the secret:\n%s", name, d.Said())
		}
	}
	for _, name := range []string{"reducer", "poller", "embedded-nats"} {
		m.daemons[name].stop()
	}
}

const (
	clientExpiry = `nixfleet_tls_cert_expiry_timestamp_seconds{use="client"}`
	natsExpiry   = `nixfleet_tls_cert_expiry_timestamp_seconds{use="nats"}`
	stored       = `nixfleet_poller_publish_total{outcome="stored"}`
)

// replaceCertificates replaces the certificates that the poller shows the control
// plane and the broker while it works: no tick fails, each is in use from then on,
// and the metrics move.
func (m *monitored) replaceCertificates(ctx context.Context) {
	m.t.Helper()
	client, nats := m.sample(ctx, "poller", clientExpiry), m.sample(ctx, "poller", natsExpiry)
	if at := float64(time.Now().Unix()); client < at+3000 || nats < at+3000 {
		m.t.Errorf("certificates that end in an hour end at %f and %f, now is %f", client, nats, at)
	}
	for n := range 3 {
		lifetime := time.Duration(n+2) * time.Hour
		m.rotate("plane", lifetime)
		m.rotate("nats", lifetime)
		m.further(ctx, 3)
	}
	const later = 3 * 3600 // seconds
	if got := m.sample(ctx, "poller", clientExpiry) - client; got < later-60 || got > later+60 {
		m.t.Errorf("the client certificate ends %f s later than before, want %d", got, later)
	}
	if got := m.sample(ctx, "poller", natsExpiry) - nats; got < later-60 || got > later+60 {
		m.t.Errorf("the broker's client certificate ends %f s later than before, want %d", got, later)
	}
	m.mu.Lock()
	if len(m.shown) < 4 {
		m.t.Errorf("the control plane has seen %d certificates, want at least 4", len(m.shown))
	}
	m.mu.Unlock()
	m.noneFailed(ctx)
	m.proxy.HangUp() // from here on, that of the connection to the broker
	m.further(ctx, 3)
}

// further waits for more recorded ticks.
func (m *monitored) further(ctx context.Context, ticks float64) {
	m.t.Helper()
	before := m.sample(ctx, "poller", stored)
	wait(ctx, m.t, "further ticks", func() bool { return m.sample(ctx, "poller", stored) >= before+ticks })
}

// noneFailed demands that every tick so far was verified and recorded.
func (m *monitored) noneFailed(ctx context.Context) {
	m.t.Helper()
	_, text := m.ask(ctx, "poller", "/metrics")
	for line := range strings.Lines(text) {
		failed := strings.HasPrefix(line, "nixfleet_poller_publish_total") && !strings.HasPrefix(line, stored) ||
			strings.HasPrefix(line, `nixfleet_poller_ticks_total{outcome="skipped"}`) ||
			strings.HasPrefix(line, "nixfleet_poller_verify_total") && !strings.Contains(line, `reason="ok"`)
		if failed && !strings.HasSuffix(line, " 0\n") {
			m.t.Errorf("a tick has failed: %s", line)
		}
	}
}

// holdUpReducer holds the reducer up: it answers nobody, which is what an alert is
// for, and the others do not care.
func (m *monitored) holdUpReducer(ctx context.Context) {
	m.t.Helper()
	m.must(m.daemons["reducer"].Pause(ctx))
	soon, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	if status, body := m.ask(soon, "reducer", "/healthz"); status != 0 {
		m.t.Errorf("a reducer that stands still answers %d %s", status, body)
	}
	m.further(ctx, 3)
	for _, name := range []string{"poller", "embedded-nats"} {
		for _, path := range []string{"/healthz", "/readyz"} {
			if status, body := m.ask(ctx, name, path); status != http.StatusOK || body != `{"ok":true}` {
				m.t.Errorf("%s %s: %d %s", name, path, status, body)
			}
		}
	}
	m.must(m.daemons["reducer"].Resume())
	const applied = "nixfleet_reducer_applied_sequence"
	before := m.sample(ctx, "reducer", applied)
	wait(ctx, m.t, "the reducer to go on", func() bool { return m.sample(ctx, "reducer", applied) > before })
}
