package cmd_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fleetlog/internal/broker/brokertest"
	"fleetlog/internal/deployment"
	"fleetlog/internal/fleetsim"
)

// monitored are all three daemons under mutual TLS, each of which is asked over
// HTTP how it fares.
type monitored struct {
	t       *testing.T
	dir     string
	pki     *fleetsim.PKI
	proxy   *brokertest.Proxy // between the poller and the broker
	daemons map[string]daemon
	at      map[string]string // URLs
	beats   atomic.Int64      // heard of the poller

	mu    sync.Mutex
	shown map[string]bool // serial numbers of certificates that the control plane has seen
}

// heartbeatSecret is in the URL that the poller tells of its ticks.
const heartbeatSecret = "s3cret"

func newMonitored(ctx context.Context, t *testing.T) *monitored {
	t.Helper()
	m := &monitored{t: t, dir: t.TempDir(), daemons: map[string]daemon{}, at: map[string]string{}, shown: map[string]bool{}}
	var err error
	m.pki, err = fleetsim.NewPKI(time.Now())
	m.must(err)
	for _, dir := range []string{"plane", "nats", "server"} {
		m.must(os.Mkdir(m.path(dir), 0o700))
	}
	m.rotate("plane", time.Hour)
	m.rotate("nats", time.Hour)
	m.must(m.pki.WriteServer(m.path("server")))
	m.startBroker(ctx)
	m.startPoller(ctx, m.startPlane(ctx))
	m.startReducer(ctx)
	return m
}

func (m *monitored) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *monitored) path(name string) string { return filepath.Join(m.dir, name) }

// rotate writes another client certificate.
func (m *monitored) rotate(dir string, lifetime time.Duration) {
	m.t.Helper()
	_, err := m.pki.WriteClient(m.path(dir), time.Now().Add(lifetime))
	m.must(err)
}

// start starts a daemon that serves HTTP, and waits for what it says when it is
// ready.
func (m *monitored) start(ctx context.Context, name, ready string, args ...string) []string {
	m.t.Helper()
	p, err := deployment.Start(m.t.Context(), binary(name), append([]string{"run", "--http-listen", "127.0.0.1:0"}, args...))
	m.must(err)
	m.t.Cleanup(func() { <-p.Done() })
	m.daemons[name] = daemon{p, m.t}
	address, err := p.Await(ctx, regexp.MustCompile(`msg="serving HTTP" address="([^"]+)"`))
	m.must(err)
	m.at[name] = "http://" + address[1]
	match, err := p.Await(ctx, regexp.MustCompile(ready))
	m.must(err)
	return match
}

func (m *monitored) startBroker(ctx context.Context) {
	m.t.Helper()
	config := fmt.Sprintf("tls { cert_file: %q, key_file: %q, ca_file: %q, verify: true }\n",
		m.path("server/server.pem"), m.path("server/server.key"), m.path("server/ca.pem"))
	m.must(os.WriteFile(m.path("nats.conf"), []byte(config), 0o600))
	url := m.start(ctx, "embedded-nats", `msg=ready .*url="([^"]+)"`,
		"--config", m.path("nats.conf"), "--listen", "127.0.0.1:-1", "--store-dir", m.path("store"), "--no-sync")[1]
	m.proxy = brokertest.NewProxyOf(m.t, url)
}

// startPlane serves a release, and keeps who has asked for it.
func (m *monitored) startPlane(ctx context.Context) (url string) {
	m.t.Helper()
	signer := fleetsim.NewEd25519Signer(1)
	m.must(os.WriteFile(m.path("trust.json"), signer.Trust(), 0o600))
	release, err := fleetsim.Fleet{Hosts: 4, Channels: 2, Commit: "aaaa", SignedAt: time.Now()}.Sign(signer)
	m.must(err)
	plane, err := fleetsim.Start(ctx, m.pki, 0)
	m.must(err)
	m.t.Cleanup(func() { m.must(plane.Close()) })
	plane.SetRelease(release)
	plane.SetIntercept(func(_ http.ResponseWriter, r *http.Request) bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, c := range r.TLS.PeerCertificates {
			m.shown[c.SerialNumber.String()] = true
		}
		return false
	})
	return plane.URL()
}

func (m *monitored) startPoller(ctx context.Context, plane string) {
	m.t.Helper()
	heard := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/"+heartbeatSecret {
			m.beats.Add(1)
		}
	}))
	m.t.Cleanup(heard.Close)
	m.must(os.WriteFile(m.path("heartbeat"), []byte(heard.URL+"/"+heartbeatSecret), 0o600))
	m.start(ctx, "poller", `seq=\d+ tick=\d+`, append(m.natsFlags(m.proxy.URL()), "--fleet", fleet,
		"--control-plane-url", plane, "--ca-cert", m.path("plane/ca.pem"),
		"--client-cert", m.path("plane/client.pem"), "--client-key", m.path("plane/client.key"),
		"--trust-file", m.path("trust.json"), "--writer-key-file", m.path("writer.key"), "--provision",
		"--interval", "200ms", "--tick-timeout", "30s", "--heartbeat-url-file", m.path("heartbeat"))...)
}

func (m *monitored) startReducer(ctx context.Context) {
	m.t.Helper()
	m.start(ctx, "reducer", `caught up with the log`, append(m.natsFlags(m.proxy.URL()), "--fleet", fleet,
		"--state-dir", m.path("state"), "--trust-file", m.path("trust.json"), "--trust-first-use")...)
}

func (m *monitored) natsFlags(url string) []string {
	return []string{
		"--nats-url", url, "--nats-ca-cert", m.path("nats/ca.pem"),
		"--nats-client-cert", m.path("nats/client.pem"), "--nats-client-key", m.path("nats/client.key"),
	}
}

// ask asks a daemon.
func (m *monitored) ask(ctx context.Context, name, path string) (status int, body string) {
	m.t.Helper()
	return get(ctx, m.t, m.at[name]+path)
}

// sample is what a daemon's metrics say of one series, by name and labels as they
// stand there.
func (m *monitored) sample(ctx context.Context, name, series string) float64 {
	m.t.Helper()
	_, text := m.ask(ctx, name, "/metrics")
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			var n float64
			_, err := fmt.Sscan(value, &n)
			m.must(err)
			return n
		}
	}
	m.must(errors.New(name + " has no series " + series))
	return 0
}
