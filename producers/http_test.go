package producers_test

import (
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fleetlog/events"
	"fleetlog/internal/corpus"
	"fleetlog/internal/fleetsim"
	"fleetlog/internal/process"
	"fleetlog/manifest"
	"fleetlog/producers"

	"github.com/go-json-experiment/json"
)

// plane is a control plane over real mutual TLS, and what connects to it.
type plane struct {
	*fleetsim.ControlPlane
	pki   *fleetsim.PKI
	files process.TLSFiles
}

func startPlane(t testing.TB) *plane {
	t.Helper()
	pki, err := fleetsim.NewPKI(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return startPlaneOn(t, pki, func(c *fleetsim.ControlPlane) {
		t.Cleanup(func() {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
	})
}

// startPlaneOn leaves the closing to the caller.
func startPlaneOn(t testing.TB, pki *fleetsim.PKI, closing func(*fleetsim.ControlPlane)) *plane {
	t.Helper()
	c, err := fleetsim.Start(t.Context(), pki, 0)
	if err != nil {
		t.Fatal(err)
	}
	closing(c)
	return &plane{c, pki, clientFiles(t, pki, time.Now().Add(time.Hour))}
}

func clientFiles(t testing.TB, pki *fleetsim.PKI, until time.Time) process.TLSFiles {
	t.Helper()
	files, err := pki.WriteClient(t.TempDir(), until)
	if err != nil {
		t.Fatal(err)
	}
	return process.TLSFiles{CA: files.CA, Cert: files.Cert, Key: files.Key}
}

func (p *plane) source(t testing.TB, files process.TLSFiles, timeout time.Duration) *producers.ControlPlane {
	t.Helper()
	transport, err := files.Transport(func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	source, err := producers.NewControlPlane(p.URL(), producers.HTTP{
		Client: &http.Client{Transport: transport}, Timeout: timeout, Clock: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// TestRealReleasesVerify polls every release of the corpus, from a directory and
// from a control plane, and demands the set that the producer signed.
func TestRealReleasesVerify(t *testing.T) {
	files, err := corpus.FS()
	if err != nil {
		t.Fatal(err)
	}
	entries, err := fs.ReadDir(files, "releases")
	if err != nil {
		t.Fatal(err)
	}
	p := startPlane(t)
	overTLS := p.source(t, p.files, 10*time.Second)
	ticks := 0
	for _, e := range entries {
		dir := func(name string) string { return "releases/" + e.Name() + "/" + name }
		release, err := fs.Sub(files, dir("releases"))
		if err != nil {
			t.Fatal(err)
		}
		var about struct {
			Now      time.Time         `json:"now"`
			Rollouts map[string]string `json:"rollouts"`
			CICommit *string           `json:"ciCommit"`
			Scheme   manifest.Scheme   `json:"scheme"`
		}
		data, err := fs.ReadFile(files, dir("release.json"))
		if err == nil {
			err = json.Unmarshal(data, &about)
		}
		if err != nil {
			t.Fatal(err)
		}
		trust, err := fs.ReadFile(files, dir("trust.json"))
		if err != nil {
			t.Fatal(err)
		}
		p.SetRelease(release)
		sources := map[string]producers.Source{"directory": producers.NewDirectory(release), "control plane": overTLS}
		for kind, source := range sources {
			want := len(about.Rollouts)
			if source == overTLS && about.Scheme == manifest.Composite && about.CICommit == nil {
				want = 0 // no control plane serves the id channel@
			}
			poll := producers.Poll{
				Source: source, Trust: func() ([]byte, error) { return trust, nil }, Window: 3600, Concurrency: 8,
			}
			r := poll.Tick(t.Context(), about.Now, producers.Memory{})
			if set := r.Memory.Set; set == nil || len(set.Rollouts()) != want {
				t.Errorf("%s from a %s: %q, want %d rollouts", e.Name(), kind, said(r), want)
				continue
			}
			for _, rollout := range r.Memory.Set.Rollouts() {
				if got := r.Memory.Set.ID(rollout).String(); got != about.Rollouts[rollout.Value().Channel] {
					t.Errorf("%s from a %s: rollout %s, want %s", e.Name(), kind, got, about.Rollouts[rollout.Value().Channel])
				}
			}
			ticks++
		}
	}
	t.Logf("%d releases, %d ticks", len(entries), ticks)
}

// fault answers every request with h.
func fault(h http.HandlerFunc) fleetsim.Intercept {
	return func(w http.ResponseWriter, r *http.Request) bool {
		h(w, r)
		return true
	}
}

func TestControlPlaneFaults(t *testing.T) {
	release := sign(t, fleet())
	body := release["fleet.resolved.json"].Data
	var followed atomic.Int64
	for what, c := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"not ready": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "30")
			w.WriteHeader(http.StatusServiceUnavailable)
		}, "Unavailable: HTTP 503"},
		"no content":  {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, "HTTPStatus: HTTP 204"},
		"bad gateway": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, "HTTPStatus: HTTP 502"},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/elsewhere" {
				followed.Add(1)
			}
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		}, "HTTPStatus: HTTP 302"},
		"error page": {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>down</html>") }, "BadSignature|Parse: "},
		"compressed": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = z.Write(body)
			_ = z.Close()
		}, "Parse: "},
		"declared too long": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(manifest.MaxArtifact+1))
		}, "TooLarge: "},
		"endless": {func(w http.ResponseWriter, _ *http.Request) {
			for block := make([]byte, 1<<20); ; {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
		}, "TooLarge: "},
		"truncated": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
			_, _ = w.Write(body[:len(body)/2])
		}, "Unreachable: connection ended early"},
		"cut":           {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "Unreachable: connection ended early"},
		"never answers": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "Timeout: no answer in time"},
		"slow drip": {func(w http.ResponseWriter, r *http.Request) {
			pause := time.NewTicker(20 * time.Millisecond)
			defer pause.Stop()
			for r.Context().Err() == nil {
				_, _ = w.Write([]byte(" "))
				_ = http.NewResponseController(w).Flush()
				<-pause.C
			}
		}, "Timeout: "},
	} {
		t.Run(what, func(t *testing.T) {
			p := startPlane(t)
			p.SetRelease(release)
			p.SetIntercept(fault(c.answer))
			s := newStation(nil)
			s.poll.Source = p.source(t, p.files, time.Second)
			r := s.tick(t, time.Minute)
			f, ok := r.Findings[0].(*events.FleetRejected)
			if !ok || len(r.Findings) != 1 {
				t.Fatalf("findings %q, want the fleet refused", said(r))
			}
			reasons, detail, _ := strings.Cut(c.want, ": ")
			if !slices.Contains(strings.Split(reasons, "|"), string(f.Reason)) || !strings.HasPrefix(f.Detail, detail) {
				t.Errorf("%s: %s, want %s", f.Reason, f.Detail, c.want)
			} else {
				provoked.note(f.Reason)
			}
		})
	}
	if followed.Load() > 0 {
		t.Error("a redirect was followed")
	}
}

// TestBodyThatEndsWithTheWait: a server that sees its client give up may still
// close the body in good order. What it sent until then is no answer.
func TestBodyThatEndsWithTheWait(t *testing.T) {
	transport := roundTripper(func(r *http.Request) (*http.Response, error) {
		body := readerFunc(func([]byte) (int, error) {
			<-r.Context().Done()
			return 0, io.EOF
		})
		return &http.Response{StatusCode: http.StatusOK, ContentLength: -1, Body: io.NopCloser(body)}, nil
	})
	source, err := producers.NewControlPlane("https://cp.example", producers.HTTP{
		Client: &http.Client{Transport: transport}, Timeout: time.Millisecond, Clock: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	s := newStation(nil)
	s.poll.Source = source
	wantFleetRefused(t, s.tick(t, time.Minute), "Timeout: no answer in time")
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestControlPlaneConnections(t *testing.T) {
	release := sign(t, fleet())
	p := startPlane(t)
	p.SetRelease(release)
	otherPKI, err := fleetsim.NewPKI(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	wrongCA := p.files
	wrongCA.CA = clientFiles(t, otherPKI, time.Now().Add(time.Hour)).CA
	uncertified := p.files
	uncertified.Cert, uncertified.Key = "", ""
	for what, c := range map[string]struct {
		files process.TLSFiles
		want  string
	}{
		"good":                {p.files, ""},
		"wrong CA":            {wrongCA, "Unreachable: server certificate is not signed by the given CA"},
		"expired certificate": {clientFiles(t, p.pki, time.Now().Add(-time.Hour)), "Unreachable: server refused the TLS connection: "},
		"foreign certificate": {func() process.TLSFiles {
			foreign := clientFiles(t, otherPKI, time.Now().Add(time.Hour))
			foreign.CA = p.files.CA
			return foreign
		}(), "Unreachable: server refused the TLS connection: "},
		"no certificate": {uncertified, "HTTPStatus: HTTP 401"},
	} {
		t.Run(what, func(t *testing.T) {
			s := newStation(nil)
			s.poll.Source = p.source(t, c.files, 10*time.Second)
			wantFleetRefused(t, s.tick(t, time.Minute), c.want)
		})
	}
	t.Run("nothing listens", func(t *testing.T) {
		gone := startPlaneOn(t, p.pki, func(c *fleetsim.ControlPlane) {
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
		})
		s := newStation(nil)
		s.poll.Source = gone.source(t, gone.files, 10*time.Second)
		wantFleetRefused(t, s.tick(t, time.Minute), "Unreachable: connection refused")
	})
}

func wantFleetRefused(t *testing.T, r *producers.Result, want string) {
	t.Helper()
	f, refused := r.Findings[0].(*events.FleetRejected)
	switch {
	case want == "" && refused:
		t.Errorf("%s: %s, want the fleet verified", f.Reason, f.Detail)
	case want != "" && !refused:
		t.Errorf("findings %q, want %s", said(r), want)
	case want != "" && !strings.HasPrefix(string(f.Reason)+": "+f.Detail, want):
		t.Errorf("%s: %s, want %s", f.Reason, f.Detail, want)
	}
}

// TestRequestsCarryProtocol also shows that a 404 to an id that no control plane
// looks up is told apart from a missing manifest.
func TestRequestsCarryProtocol(t *testing.T) {
	release := sign(t, fleet())
	f := fleet()
	f.Commit = "NotHex"
	odd := sign(t, f)
	p := startPlane(t)
	p.SetRelease(release)
	var without atomic.Int64
	p.SetIntercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if !slices.Equal(r.Header["X-Nixfleet-Protocol"], []string{"1"}) {
			without.Add(1)
		}
		return false
	})
	s := newStation(nil)
	s.poll.Source = p.source(t, p.files, 10*time.Second)
	wantSaid(t, s.tick(t, time.Minute), allVerified...)
	if without.Load() > 0 {
		t.Errorf("%d requests without X-Nixfleet-Protocol: 1", without.Load())
	}
	p.SetRelease(edit(release, rolloutFile(t, release, c0), nil))
	s.memory = producers.Memory{}
	wantSaid(t, s.tick(t, time.Minute), "fleet", c0+" fetch HTTPStatus", c1, c2+" idle")
	p.SetRelease(odd)
	s.memory = producers.Memory{}
	wantSaid(t, s.tick(t, time.Minute), "fleet", c0+" fetch IdentityUnservable", c1+" fetch IdentityUnservable", c2+" idle")
}

// TestReleaseURL reads a release directory behind a URL, with a bearer token.
func TestReleaseURL(t *testing.T) {
	release := sign(t, fleet())
	p := startPlane(t)
	files := http.FileServerFS(release)
	p.SetIntercept(fault(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		http.StripPrefix("/org/fleet/raw", files).ServeHTTP(w, r)
	}))
	transport, err := p.files.Transport(func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	token := "wrong"
	source, err := producers.NewReleaseURL(p.URL()+"/org/fleet/raw/", producers.HTTP{
		Client: &http.Client{Transport: transport}, Timeout: 10 * time.Second, Clock: time.Now,
		Token: func() (string, error) { return token, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	s := newStation(nil)
	s.poll.Source = source
	wantSaid(t, s.tick(t, time.Minute), "fleet fetch HTTPStatus")
	token = "secret"
	wantSaid(t, s.tick(t, time.Minute), allVerified...)
}

func TestURLsRefused(t *testing.T) {
	for _, url := range []string{"", "cp.example.com", "http://cp.example.com", "https://", "https://user@cp", "https://cp?x=1", "https://cp#x", "ftp://cp"} {
		if _, err := producers.NewControlPlane(url, producers.HTTP{Client: &http.Client{}}); err == nil {
			t.Errorf("URL %q: accepted", url)
		}
	}
}
