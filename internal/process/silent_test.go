package process

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestSilentConnectionIsGivenUp lets the network forget the one connection that
// HTTP/2 keeps, without a word to either side: requests soon go over another.
func TestSilentConnectionIsGivenUp(t *testing.T) {
	a := newAuthority(t)
	network := forget(t, a.http2Server(t))
	files := TLSFiles{CA: write(t, filepath.Join(t.TempDir(), "ca.pem"), certPEM(a.cert), 0o600)}
	transport := open(t, files, func(err error) { t.Errorf("reported %v", err) })
	pings := transport.inForce().HTTP2
	pings.SendPingTimeout /= 100 // none remains none
	pings.PingTimeout /= 20
	mustAsk(t, transport, network.url, "HTTP/2.0")
	network.forgotten.Store(network.connections.Load())
	deadline := time.Now().Add(15 * time.Second)
	for {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		err := askOnce(ctx, transport, network.url)
		cancel()
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("requests still go over the forgotten connection: %v", err)
		}
	}
}

func askOnce(ctx context.Context, transport *Transport, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	return response.Body.Close()
}

// http2Server answers with the protocol that it was asked by, and returns its address.
func (a *authority) http2Server(t *testing.T) string {
	t.Helper()
	key := newKey(t)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Proto)
	}))
	s.EnableHTTP2 = true
	s.TLS = &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{{Certificate: [][]byte{a.sign(t, "server", key.Public(), a.cert).Raw}, PrivateKey: key}},
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// network carries connections to a server, but for those that it has forgotten:
// they stay open, and what is sent over them is lost.
type network struct {
	url                    string
	connections, forgotten atomic.Int64 // how many were made; how many of the first are forgotten
	running                sync.WaitGroup
}

func forget(t *testing.T, server string) *network {
	t.Helper()
	var lc net.ListenConfig
	listener, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &network{url: "https://" + listener.Addr().String()}
	n.running.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			number := n.connections.Add(1)
			n.running.Go(func() { n.carry(t, number, client, server) })
		}
	})
	t.Cleanup(func() {
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
		n.running.Wait()
	})
	return n
}

// carry ends when either side does.
func (n *network) carry(t *testing.T, number int64, client net.Conn, server string) {
	var d net.Dialer
	upstream, err := d.DialContext(t.Context(), "tcp", server)
	if err != nil {
		t.Error(err)
		_ = client.Close()
		return
	}
	var both sync.WaitGroup
	for to, from := range map[net.Conn]net.Conn{upstream: client, client: upstream} {
		both.Go(func() {
			defer to.Close()
			for block := make([]byte, 16<<10); ; {
				read, err := from.Read(block)
				if err != nil {
					return
				}
				if number > n.forgotten.Load() {
					_, _ = to.Write(block[:read])
				}
			}
		})
	}
	both.Wait()
}
