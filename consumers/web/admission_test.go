package web_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"fleetlog/consumers/fold"
	"fleetlog/consumers/web"
	"fleetlog/eventlog"
	"fleetlog/internal/fleetsim"
	"fleetlog/internal/process"

	"github.com/google/go-cmp/cmp"
	logtest "github.com/sirupsen/logrus/hooks/test"
)

// site is a control plane and a reducer over mutual TLS of one authority.
type site struct {
	pki          *fleetsim.PKI
	theirs, ours string
	dir          string // of the reducer's files
}

func newSite(t *testing.T, h *held, r fleetsim.Release, now time.Time) *site {
	t.Helper()
	pki, err := fleetsim.NewPKI(time.Now())
	must(t, err)
	plane, err := fleetsim.Start(t.Context(), pki, 0)
	must(t, err)
	t.Cleanup(func() { must(t, plane.Close()) })
	if r != nil {
		plane.SetRelease(r)
	}
	s := &site{pki: pki, theirs: plane.URL(), dir: t.TempDir()}
	must(t, pki.WriteServer(s.dir))
	reducer := server(h, now)
	reducer.Look = says(web.Seen{})
	reducer.Log = func() *eventlog.Log { return nil }
	s.ours = "https://" + serveTLS(t, s.dir, reducer.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "rest "+r.URL.Path)
	})))
	return s
}

// serveTLS serves as the command does, with the files in dir.
func serveTLS(t *testing.T, dir string, h http.Handler) (address string) {
	t.Helper()
	log, _ := logtest.NewNullLogger()
	flags := process.HTTPFlags{
		Address: "127.0.0.1:0", Cert: filepath.Join(dir, "server.pem"), Key: filepath.Join(dir, "server.key"), ClientCA: filepath.Join(dir, "ca.pem"),
	}
	listener, err := flags.Listen(t.Context(), log)
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- process.Serve(ctx, listener, h, log) }()
	t.Cleanup(func() {
		cancel()
		must(t, <-served)
	})
	return listener.Addr().String()
}

func (s *site) client(t *testing.T, pki *fleetsim.PKI, until time.Time) *http.Client {
	t.Helper()
	files, err := pki.WriteClient(t.TempDir(), until)
	must(t, err)
	c := agent(t, files)
	if pki != s.pki { // it is the client that is foreign, not the server
		c.Transport.(*http.Transport).TLSClientConfig.InsecureSkipVerify = true
	}
	return c
}

func stranger(t *testing.T) *http.Client {
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// askIn asks under the values of the protocol header.
func askIn(t *testing.T, client *http.Client, url string, protocol []string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	must(t, err)
	request.Header["X-Nixfleet-Protocol"] = protocol
	got := do(t, client, request)
	got.Header.Del("ETag")
	return got
}

// TestAdmissionAsTheControlPlane: who comes with which header is answered as
// there, before and after there is a set.
func TestAdmissionAsTheControlPlane(t *testing.T) {
	protocols := map[string][]string{
		"none": nil, "1": {"1"}, "+1": {"+1"}, "01": {"01"}, "1 and 2": {"1", "2"}, "2 and 1": {"2", "1"}, "2": {"2"}, "0": {"0"}, "+2": {"+2"},
		"abc": {"abc"}, "empty": {""}, "-1": {"-1"}, "++1": {"++1"}, "+": {"+"}, "too large": {"99999999999"}, "1.0": {"1.0"},
	}
	r := release(t, fleetsim.Fleet{Hosts: 4, Channels: 2, Commit: "aaaa", SignedAt: epoch})
	for name, h := range map[string]*held{"set": {state: fold.State{Set: setOf(t, r)}}, "no set": {}} {
		if h.state.Set == nil {
			r = nil
		} else {
			r = release(t, fleetsim.Fleet{Hosts: 4, Channels: 2, Commit: "aaaa", SignedAt: epoch})
		}
		s := newSite(t, h, r, epoch)
		statuses := map[int]int{}
		for who, client := range map[string]*http.Client{"agent": s.client(t, s.pki, time.Now().Add(time.Hour)), "stranger": stranger(t)} {
			for protocol, values := range protocols {
				for _, path := range []string{"/v1/fleet.resolved", "/v1/rollouts/channel-000@aaaa/sig", "/v1/nothing"} {
					want, got := askIn(t, client, s.theirs+path, values), askIn(t, client, s.ours+path, values)
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("%s, %s, protocol %s, %s (-control plane +reducer):\n%s", name, who, protocol, path, diff)
					}
					statuses[got.Status]++
				}
			}
		}
		want := map[int]int{200: 10, 400: 7 * 6, 401: 15, 404: 5, 426: 4 * 6}
		if r == nil {
			want = map[int]int{503: 16 * 6}
		}
		if diff := cmp.Diff(want, statuses); diff != "" {
			t.Errorf("%s: statuses (-want +got):\n%s", name, diff)
		}
	}
}

// TestCertificates: over TLS only /healthz is for everyone, and a certificate
// counts until it expires, on a connection that is open already, too.
func TestCertificates(t *testing.T) {
	h := &held{state: fold.State{Set: setOf(t, release(t, fleetsim.Fleet{Hosts: 4, Channels: 2, Commit: "aaaa", SignedAt: epoch}))}}
	s := newSite(t, h, nil, time.Now().Add(2*time.Hour))
	lasting, expiring := s.client(t, s.pki, time.Now().Add(3*time.Hour)), s.client(t, s.pki, time.Now().Add(time.Hour))
	for path, want := range map[string][3]int{
		"/healthz": {200, 200, 200}, "/readyz": {200, 401, 401}, "/metrics": {200, 401, 401}, "/v1/set": {200, 401, 401},
		"/v1/fleet.resolved": {200, 401, 401}, "/elsewhere": {200, 401, 401}, "/": {200, 401, 401}, "/page.css": {200, 401, 401},
		"/page.js": {200, 401, 401}, "/explain/": {200, 401, 401}, "/explain/Stale": {200, 401, 401}, "/v1/status": {200, 401, 401},
		"/v1/history": {503, 401, 401}, "/v1/events": {503, 401, 401},
	} {
		for i, client := range []*http.Client{lasting, expiring, stranger(t)} {
			got := ask(t, client, http.MethodGet, s.ours+path)
			if got.Status != want[i] || got.Status == http.StatusUnauthorized && (got.Body != "" || got.Header.Get("Content-Type") != "") {
				t.Errorf("%s, client %d: %d %q, want %d", path, i, got.Status, got.Body, want[i])
			}
		}
	}
	other, err := fleetsim.NewPKI(time.Now())
	must(t, err)
	for name, client := range map[string]*http.Client{
		"another authority": s.client(t, other, time.Now().Add(time.Hour)), "expired": s.client(t, s.pki, time.Now().Add(-time.Hour)),
	} {
		if response, err := client.Get(s.ours + "/healthz"); err == nil {
			t.Errorf("%s: %s, want no answer", name, response.Status)
		}
	}
}

// TestNamelessCertificate: as there, a certificate without a common name is none.
func TestNamelessCertificate(t *testing.T) {
	h := &held{state: fold.State{Set: setOf(t, release(t, fleetsim.Fleet{Hosts: 4, Channels: 2, Commit: "aaaa", SignedAt: epoch}))}}
	for name, want := range map[string]int{"": http.StatusUnauthorized, "operator": http.StatusOK} {
		shown := &x509.Certificate{Subject: pkix.Name{CommonName: name}, NotAfter: epoch}
		request := httptest.NewRequest(http.MethodGet, "/v1/fleet.resolved", nil)
		request.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{shown}, VerifiedChains: [][]*x509.Certificate{{shown}}}
		w := httptest.NewRecorder()
		server(h, epoch).Handler(http.NotFoundHandler()).ServeHTTP(w, request)
		if w.Code != want {
			t.Errorf("name %q: %d, want %d", name, w.Code, want)
		}
	}
}
