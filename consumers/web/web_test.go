package web_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"fleetlog/consumers/fold"
	"fleetlog/consumers/follower"
	"fleetlog/consumers/view"
	"fleetlog/consumers/web"
	"fleetlog/events"
	"fleetlog/internal/fleetsim"
	"fleetlog/manifest"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
)

var (
	epoch  = time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	signer = fleetsim.NewEd25519Signer(1)
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// held is a reducer that does not move.
type held struct {
	state    fold.State
	position follower.Position
	notReady error
}

func (h *held) Current() (fold.State, follower.Position) { return h.state, h.position }

func release(t testing.TB, f fleetsim.Fleet) fleetsim.Release {
	t.Helper()
	r, err := f.Sign(signer)
	must(t, err)
	return r
}

// setOf verifies everything that a release holds.
func setOf(t testing.TB, r fleetsim.Release) *manifest.Set {
	t.Helper()
	return setUnder(t, r, signer)
}

func setUnder(t testing.TB, r fleetsim.Release, by *fleetsim.Signer) *manifest.Set {
	t.Helper()
	trust, err := manifest.ParseTrust(by.Trust())
	must(t, err)
	policy := manifest.Policy{Trust: trust, Now: epoch, Window: 3600}
	pair := func(name string) manifest.Received {
		return manifest.Received{Body: r[name].Data, Signature: r[name+".sig"].Data}
	}
	fleet, err := manifest.VerifyFleet(pair("fleet.resolved.json"), policy)
	must(t, err)
	var rollouts []manifest.Verified[manifest.Rollout]
	for _, p := range manifest.Project(fleet, manifest.SchemeOf(fleet.Value())) {
		if !p.Idle {
			rollout, err := manifest.VerifyRollout(pair("rollouts/"+p.ID.String()+".json"), p.ID, policy)
			must(t, err)
			rollouts = append(rollouts, rollout)
		}
	}
	set, err := manifest.NewSet(fleet, rollouts, "")
	must(t, err)
	return set
}

// answer is what a client sees of a response.
type answer struct {
	Status int
	Header http.Header
	Body   string
}

func ask(t testing.TB, client *http.Client, method, url string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	must(t, err)
	request.Header.Set("X-Nixfleet-Protocol", "1")
	return do(t, client, request)
}

func do(t testing.TB, client *http.Client, request *http.Request) answer {
	t.Helper()
	response, err := client.Do(request)
	must(t, err)
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	must(t, err)
	response.Header.Del("Date")
	return answer{response.StatusCode, response.Header, string(data)}
}

// server serves the reducer as the command does: beside a handler of everything
// else.
func server(h *held, now time.Time) *web.Server {
	return &web.Server{
		Source: h, Policy: manifest.Policy{Window: 3600}, Clock: func() time.Time { return now }, Ready: func() error { return h.notReady },
	}
}

func serve(t testing.TB, h *held, now time.Time) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(server(h, now).Handler(http.NotFoundHandler()))
	t.Cleanup(s.Close)
	return s
}

// controlPlane is the real thing's simulation, over mutual TLS.
func controlPlane(t testing.TB, r fleetsim.Release) (url string, client *http.Client) {
	t.Helper()
	pki, err := fleetsim.NewPKI(time.Now())
	must(t, err)
	c, err := fleetsim.Start(t.Context(), pki, 0)
	must(t, err)
	t.Cleanup(func() { must(t, c.Close()) })
	if r != nil {
		c.SetRelease(r)
	}
	files, err := pki.WriteClient(t.TempDir(), time.Now().Add(time.Hour))
	must(t, err)
	return c.URL(), agent(t, files)
}

// agent is a client with a certificate.
func agent(t testing.TB, files fleetsim.ClientFiles) *http.Client {
	t.Helper()
	certificate, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	must(t, err)
	pem, err := os.ReadFile(files.CA)
	must(t, err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{certificate}}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// TestAsTheControlPlane asks both the same: status, headers and body are one's
// like the other's, byte for byte.
func TestAsTheControlPlane(t *testing.T) {
	for name, f := range map[string]fleetsim.Fleet{
		"composite":    {Hosts: 6, Channels: 2, Idle: 1, Commit: "aaaa", SignedAt: epoch},
		"content hash": {Hosts: 6, Channels: 2, Older: true, Commit: "aaaa", SignedAt: epoch},
		"large":        {Hosts: 400, Channels: 2, Commit: "aaaa", SignedAt: epoch},
	} {
		t.Run(name, func(t *testing.T) {
			r := release(t, f)
			set := setOf(t, r)
			paths := []string{"/v1/fleet.resolved", "/v1/rollouts/" + strings.Repeat("0", 64), "/v1/rollouts/abc", "/v1/rollouts/channel-002@aaaa"}
			for _, rollout := range set.Rollouts() {
				id := set.ID(rollout).String()
				paths = append(paths, "/v1/rollouts/"+id, "/v1/rollouts/"+strings.ReplaceAll(id, "@", "%40"), "/v1/rollouts/"+id+".json")
			}
			compare(t, r, &held{state: fold.State{Set: set}}, paths)
		})
	}
	t.Run("no set", func(t *testing.T) {
		compare(t, nil, &held{}, []string{"/v1/fleet.resolved", "/v1/rollouts/abc"})
	})
}

func compare(t *testing.T, r fleetsim.Release, h *held, paths []string) {
	t.Helper()
	theirs, client := controlPlane(t, r)
	ours := serve(t, h, epoch)
	found := 0
	for _, path := range paths {
		for _, path := range []string{path, path + "/sig", path + "?x=1", path + "/more"} {
			for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete} {
				want, got := ask(t, client, method, theirs+path), ask(t, ours.Client(), method, ours.URL+path)
				if (got.Header.Get("ETag") != "") != (got.Status == http.StatusOK) {
					t.Errorf("%s %s: %d with tag %q", method, path, got.Status, got.Header.Get("ETag"))
				}
				got.Header.Del("ETag") // which a control plane has not
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s %s (-control plane +reducer):\n%s", method, path, diff)
				}
				if got.Status == http.StatusOK {
					found++
				}
			}
		}
	}
	if r != nil && found < 12 {
		t.Errorf("%d answers with something in them", found)
	}
}

// TestSet says what is held, where in the log, and whether it is stale now.
func TestSet(t *testing.T) {
	set := setOf(t, release(t, fleetsim.Fleet{Hosts: 4, Channels: 2, Commit: "aaaa", SignedAt: epoch}))
	h := &held{
		state:    fold.State{Set: set, Without: []string{"gone"}},
		position: follower.Position{Sequence: 9, Tick: 3, Time: events.TimeOf(epoch)},
	}
	for _, stale := range []bool{false, true} {
		now := epoch.Add(time.Hour + time.Minute)
		if stale {
			now = now.Add(time.Millisecond)
		}
		server := serve(t, h, now)
		got := ask(t, server.Client(), http.MethodGet, server.URL+"/v1/set")
		var shown view.Set
		must(t, json.Unmarshal([]byte(got.Body), &shown, json.RejectUnknownMembers(true)))
		want := view.Of(set, []string{"gone"}, view.Resolved{Seq: 9, Tick: 3, Time: events.TimeOf(epoch)}, manifest.Policy{Window: 3600})
		want.Stale = stale
		if diff := cmp.Diff(want, shown, cmp.Comparer(func(a, b manifest.Instant) bool { return a == b })); diff != "" {
			t.Errorf("set (-want +got):\n%s", diff)
		}
		if kind := got.Header.Get("Content-Type"); got.Status != http.StatusOK || kind != "application/json" {
			t.Errorf("%d %s", got.Status, kind)
		}
	}
	empty := serve(t, &held{}, epoch)
	got := ask(t, empty.Client(), http.MethodGet, empty.URL+"/v1/set")
	const none = `{"setDigest":null,"fleet":null,"rollouts":{},"resolved":{"seq":0,"tick":0,"time":"1970-01-01T00:00:00.000Z"},"verified":true,"stale":false}`
	if got.Status != http.StatusOK || got.Body != none {
		t.Errorf("without a set: %d %s, want 200 %s", got.Status, got.Body, none)
	}
	if got := ask(t, empty.Client(), http.MethodPost, empty.URL+"/v1/set"); got.Status != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", got.Status)
	}
}
