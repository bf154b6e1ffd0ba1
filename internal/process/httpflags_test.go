package process

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
)

// serveHTTPS serves with the files until the test ends, and tells each client the
// name in the certificate that it has shown.
func serveHTTPS(t *testing.T, files TLSFiles) (url string, lines *logtest.Hook) {
	t.Helper()
	log, hook := logtest.NewNullLogger()
	flags := HTTPFlags{Address: "127.0.0.1:0", Cert: files.Cert, Key: files.Key, ClientCA: files.CA}
	l, err := flags.Listen(t.Context(), log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- Serve(ctx, l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if len(r.TLS.PeerCertificates) > 0 {
				_, _ = io.WriteString(w, r.TLS.PeerCertificates[0].Subject.CommonName)
			}
		}), log)
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return "https://" + l.Addr().String(), hook
}

// warnings are the lines logged at that level or worse.
func warnings(lines *logtest.Hook) []string {
	var all []string
	for _, e := range lines.AllEntries() {
		if text, err := e.String(); e.Level <= logrus.WarnLevel && err == nil {
			all = append(all, text)
		}
	}
	return all
}

func TestHTTPSTakesUpChangedFiles(t *testing.T) {
	a, b := newAuthority(t), newAuthority(t)
	dir := t.TempDir()
	files := a.client(t, dir, "server one")
	url, lines := serveHTTPS(t, files)
	never := func(err error) { t.Errorf("reported %v", err) }
	ofA, ofB := a.client(t, t.TempDir(), "client of a"), b.client(t, t.TempDir(), "client of b")
	mustAsk(t, open(t, ofA, never), url, "client of a")
	anonymous := open(t, TLSFiles{CA: ofA.CA}, never)
	mustAsk(t, anonymous, url, "")
	if _, err := ask(t, open(t, ofB, never), url); err == nil {
		t.Error("a server of another authority was taken")
	}

	next := b.client(t, filepath.Join(dir, "next"), "server two")
	if err := os.Rename(next.CA, files.CA); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(t, open(t, ofA, never), url); err == nil {
		t.Error("a client of the old authority was let in")
	}
	mixed := TLSFiles{CA: ofA.CA, Cert: ofB.Cert, Key: ofB.Key}
	mustAsk(t, open(t, mixed, never), url, "client of b")
	if err := os.Rename(next.Key, files.Key); err != nil {
		t.Fatal(err)
	}
	mustAsk(t, open(t, mixed, never), url, "client of b")
	mustAsk(t, open(t, mixed, never), url, "client of b")
	if said := warnings(lines); len(said) != 1 || !strings.Contains(said[0], "is not the key of --http-cert") {
		t.Errorf("half a rotation was reported as %q, want one line", said)
	}
	if err := os.Rename(next.Cert, files.Cert); err != nil {
		t.Fatal(err)
	}
	mustAsk(t, open(t, ofB, never), url, "client of b")
	if said := warnings(lines); len(said) != 1 {
		t.Errorf("reported %q, want no more than before", said)
	}
}

// TestHTTPSResumesNothing: who was let in once is judged anew by every connection.
func TestHTTPSResumesNothing(t *testing.T) {
	a := newAuthority(t)
	url, _ := serveHTTPS(t, a.client(t, t.TempDir(), "server"))
	transport := open(t, a.client(t, t.TempDir(), "client"), nil)
	transport.inForce().DisableKeepAlives = true
	transport.inForce().TLSClientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(8)
	for range 3 {
		response, err := (&http.Client{Transport: transport}).Get(url)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if response.TLS.DidResume || response.TLS.NegotiatedProtocol != "" {
			t.Errorf("resumed: %t, protocol %q", response.TLS.DidResume, response.TLS.NegotiatedProtocol)
		}
	}
}

func TestCertificateExpiryIsAMetric(t *testing.T) {
	a := newAuthority(t)
	dir := t.TempDir()
	files := a.client(t, dir, "server")
	flags := HTTPFlags{Address: "127.0.0.1:0", Cert: files.Cert, Key: files.Key, ClientCA: files.CA}
	metrics := prometheus.NewPedanticRegistry()
	metrics.MustRegister(flags.Metrics())
	check := func(want float64) {
		t.Helper()
		families, err := metrics.Gather()
		if err != nil || len(families) != 2 {
			t.Fatalf("%d metrics, %v", len(families), err)
		}
		if got := families[0].Metric[0].Gauge.GetValue(); got != want {
			t.Errorf("%s is %f, want %f", families[0].GetName(), got, want)
		}
	}
	check(0)
	log, _ := logtest.NewNullLogger()
	l, err := flags.Listen(t.Context(), log)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	served, err := readCertificate(namedFile{"", files.Cert}, namedFile{"", files.Key})
	if err != nil {
		t.Fatal(err)
	}
	check(float64(served.Leaf.NotAfter.Unix()))
}

func TestHTTPFlagsRefusals(t *testing.T) {
	files := newAuthority(t).client(t, t.TempDir(), "server")
	secure := func(change func(*HTTPFlags)) HTTPFlags {
		h := HTTPFlags{Address: "127.0.0.1:0", Cert: files.Cert, Key: files.Key, ClientCA: files.CA}
		change(&h)
		return h
	}
	for name, c := range map[string]struct {
		flags HTTPFlags
		want  string // in the error; empty for none
	}{
		"none":                {HTTPFlags{}, ""},
		"loopback":            {HTTPFlags{Address: "127.0.0.1:0"}, ""},
		"remote":              {HTTPFlags{Address: "0.0.0.0:0"}, "--http-allow-remote"},
		"remote, allowed":     {HTTPFlags{Address: "0.0.0.0:0", AllowRemote: true}, ""},
		"remote, mutual TLS":  {secure(func(h *HTTPFlags) { h.Address = "0.0.0.0:0" }), ""},
		"no address":          {secure(func(h *HTTPFlags) { h.Address = "" }), "give --http-listen"},
		"allowed, no address": {HTTPFlags{AllowRemote: true}, "give --http-listen"},
		"no key":              {secure(func(h *HTTPFlags) { h.Key = "" }), "together"},
		"no certificate":      {secure(func(h *HTTPFlags) { h.Cert = "" }), "together"},
		"no authority":        {secure(func(h *HTTPFlags) { h.ClientCA = "" }), "together"},
		"missing authority":   {secure(func(h *HTTPFlags) { h.ClientCA += "x" }), "read --http-client-ca"},
		"key as authority":    {secure(func(h *HTTPFlags) { h.ClientCA = h.Key }), "read --http-client-ca"},
		"key as certificate":  {secure(func(h *HTTPFlags) { h.Cert = h.Key }), "read --http-cert"},
	} {
		log, _ := logtest.NewNullLogger()
		l, err := c.flags.Listen(t.Context(), log)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if l != nil {
			l.Close()
		}
	}
}

// TestServeLogsRefusedHandshakes only for debugging: anyone can cause them.
func TestServeLogsRefusedHandshakes(t *testing.T) {
	a := newAuthority(t)
	url, lines := serveHTTPS(t, a.client(t, t.TempDir(), "server"))
	if _, err := ask(t, open(t, TLSFiles{}, nil), url); err == nil {
		t.Fatal("an unknown authority was taken")
	}
	log, hook := logtest.NewNullLogger()
	log.SetLevel(logrus.DebugLevel)
	for line, want := range map[string]logrus.Level{
		"http: TLS handshake error from 1.2.3.4: EOF\n": logrus.DebugLevel, "http: panic serving 1.2.3.4: x\ny\n": logrus.WarnLevel,
	} {
		if n, err := (complaints{log}).Write([]byte(line)); n != len(line) || err != nil {
			t.Errorf("write: %d, %v", n, err)
		}
		if got := hook.LastEntry(); got.Level != want || strings.Contains(got.Message, "\n") {
			t.Errorf("%q was logged as %s %q", line, got.Level, got.Message)
		}
	}
	if said := warnings(lines); len(said) > 0 {
		t.Errorf("warned of %q", said)
	}
}
