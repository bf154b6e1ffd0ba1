package brokertest

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"fleetlog/internal/broker"

	"github.com/nats-io/nats.go"
)

// Proxy stands between a client and a broker, and can cut the line when the
// client says something.
type Proxy struct {
	listener net.Listener
	target   string

	mu     sync.Mutex
	fault  *fault
	open   map[net.Conn]bool
	closed bool
}

// fault cuts the connection at the first thing that holds the pattern.
type fault struct {
	pattern []byte
	forward bool // let it reach the server first, but no answer back
	then    func()
	met     chan struct{}
}

// NewProxy starts a proxy of the broker that runs until the test ends.
func NewProxy(t testing.TB, b *broker.Broker) *Proxy {
	t.Helper()
	u, err := url.Parse(b.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{listener: listener, target: u.Host, open: make(map[net.Conn]bool)}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { p.relay(client) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		p.hangUp()
		running.Wait()
	})
	return p
}

// Dial connects through the proxy, at once again whenever the line was cut.
func (p *Proxy) Dial(t testing.TB) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect("nats://"+p.listener.Addr().String(),
		nats.MaxReconnects(-1), nats.ReconnectBufSize(-1), nats.ReconnectWait(10*time.Millisecond), nats.ReconnectJitter(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// Cut cuts the line at the first thing that a client says with the pattern in it,
// once. forward lets that reach the broker, but no answer back; then, if given,
// runs while the line is down. The channel is closed afterwards.
func (p *Proxy) Cut(pattern string, forward bool, then func()) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = &fault{[]byte(pattern), forward, then, make(chan struct{})}
	return p.fault.met
}

// take returns the fault that the client's words meet, once.
func (p *Proxy) take(said []byte) *fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.fault
	if f == nil || !bytes.Contains(said, f.pattern) {
		return nil
	}
	p.fault = nil
	return f
}

func (p *Proxy) hangUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for c := range p.open {
		_ = c.Close()
	}
}

// connect takes note of both ends of a connection, so that it can be cut.
func (p *Proxy) connect(ends ...net.Conn) (ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range ends {
		p.open[c] = true
	}
	return !p.closed
}

func (p *Proxy) disconnect(ends ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range ends {
		_ = c.Close()
		delete(p.open, c)
	}
}

func (p *Proxy) relay(client net.Conn) {
	server, err := new(net.Dialer).DialContext(context.Background(), "tcp", p.target)
	if err != nil {
		_ = client.Close()
		return
	}
	defer p.disconnect(client, server)
	if !p.connect(client, server) {
		return
	}
	var answers sync.WaitGroup
	answers.Go(func() {
		_, _ = io.Copy(client, server)
		_ = client.Close()
	})
	p.listen(client, server)
	_ = client.Close()
	_ = server.Close()
	answers.Wait()
}

// listen passes on what the client says until a fault is met or a side hangs up.
func (p *Proxy) listen(client, server net.Conn) {
	buffer := make([]byte, 1<<20)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			return
		}
		f := p.take(buffer[:n])
		if f == nil {
			if _, err := server.Write(buffer[:n]); err != nil {
				return
			}
			continue
		}
		_ = client.Close()
		if f.forward {
			_, _ = server.Write(buffer[:n])
		}
		if f.then != nil {
			f.then()
		}
		close(f.met)
		return
	}
}
