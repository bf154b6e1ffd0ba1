package producers_test

import (
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

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
		s.poll.Source = releaseSource(t, server)
		for range 5 {
			wantSaid(t, s.tick(t, time.Minute), allVerified...)
		}
		if got := int(major.Load()); got != want {
			t.Errorf("HTTP/%d was spoken, want HTTP/%d", got, want)
		}
		if n := connections.Load(); n > 8 { // four requests are made at once, and a connection may come just too late for one of them
			t.Errorf("%d connections for five ticks", n)
		}
	}
}

// releaseSource reads the release that the server has at its root.
func releaseSource(t *testing.T, server *httptest.Server) producers.Source {
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
		Client: &http.Client{Transport: transport}, Timeout: 10 * time.Second, Clock: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return source
}
