package producers_test

import (
	"encoding/pem"
	"io"
	"log" //nolint:depguard // what net/http takes
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fleetlog/events"
	"fleetlog/internal/process"
	"fleetlog/producers"
)

// TestHTTPVersions polls servers that speak HTTP/1.1 alone and HTTP/2 too, over
// connections that are reused.
func TestHTTPVersions(t *testing.T) {
	release := sign(t, fleet())
	for want, offersHTTP2 := range map[int]bool{1: false, 2: true} {
		var major, connections atomic.Int64
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			major.Store(int64(r.ProtoMajor))
			http.FileServerFS(release).ServeHTTP(w, r)
		}))
		server.EnableHTTP2 = offersHTTP2
		server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				connections.Add(1)
			}
		}
		server.StartTLS()
		t.Cleanup(server.Close)
		s := newStation(nil)
		s.poll.Source = releaseSource(t, server, 10*time.Second)
		for range 5 {
			wantSaid(t, s.tick(t, time.Minute), allVerified...)
		}
		if got := int(major.Load()); got != want {
			t.Errorf("HTTP/%d was spoken, want HTTP/%d", got, want)
		}
		// Six requests of a tick are made at once, and a connection may come just too
		// late for one of them; without reuse there were thirty.
		if n := connections.Load(); n > 15 {
			t.Errorf("%d connections for five ticks", n)
		}
	}
}

// TestFaultsOverHTTP2 answers for one manifest over HTTP/2, where one stream ends
// and the connection goes on. The detail, which goes into the log, is the same
// every time.
func TestFaultsOverHTTP2(t *testing.T) {
	release := sign(t, fleet())
	faulty := "/" + rolloutFile(t, release, c0)
	for what, c := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"stream reset": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "Unreachable: request failed"},
		"body cut": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte("{"))
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, "Unreachable: request failed"},
		"shorter than declared": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte("{}"))
		}, "Unreachable: "},
		"endless": {func(w http.ResponseWriter, _ *http.Request) {
			for block := make([]byte, 1<<20); ; {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
		}, "TooLarge: "},
		"never answers":    {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "Timeout: no answer in time"},
		"header too large": {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 1<<20)) }, "Unreachable: request failed"},
		"redirect":         {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusFound) }, "HTTPStatus: HTTP 302"},
	} {
		t.Run(what, func(t *testing.T) {
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == faulty {
					c.answer(w, r)
					return
				}
				http.FileServerFS(release).ServeHTTP(w, r)
			}))
			server.EnableHTTP2, server.Config.ErrorLog = true, log.New(io.Discard, "", 0)
			server.StartTLS()
			t.Cleanup(server.Close)
			s := newStation(nil)
			s.poll.Source = releaseSource(t, server, time.Second)
			for range 2 {
				r := s.tick(t, time.Minute)
				reason, _, _ := strings.Cut(c.want, ":")
				wantSaid(t, r, "fleet", c0+" fetch "+reason, c1, c2+" idle")
				if f, ok := r.Findings[1].(*events.RolloutRejected); !ok || !strings.HasPrefix(string(f.Reason)+": "+f.Detail, c.want) {
					t.Errorf("finding %+v, want %s", r.Findings[1], c.want)
				}
			}
		})
	}
}

// releaseSource reads the release that the server has at its root.
func releaseSource(t *testing.T, server *httptest.Server, timeout time.Duration) producers.Source {
	t.Helper()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	transport, err := process.TLSFiles{CA: ca}.Transport(func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	source, err := producers.NewReleaseURL(server.URL, producers.HTTP{
		Client: &http.Client{Transport: transport}, Timeout: timeout, Clock: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return source
}
