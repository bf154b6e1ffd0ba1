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

	mu      sync.Mutex
	fault   *fault
	open    map[net.Conn]bool
	closed  bool
	stalled chan struct{} // closed when answers may pass again; nil: they may
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
	return NewProxyOf(t, b.ClientURL())
}

// NewProxyOf is NewProxy of what serves at a URL.
func NewProxyOf(t testing.TB, at string) *Proxy {
	t.Helper()
	u, err := url.Parse(at)
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
		p.mu.Lock()
		p.closed = true
		p.mu.Unlock()
		p.HangUp()
		running.Wait()
	})
	return p
}

// URL is where clients connect.
func (p *Proxy) URL() string { return "nats://" + p.listener.Addr().String() }

// Stall lets no answer of the broker pass until resume is called: the line is up,
// and nothing comes.
func (p *Proxy) Stall() (resume func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	stalled := make(chan struct{})
	p.stalled = stalled
	return sync.OnceFunc(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.stalled = nil
		close(stalled)
	})
}

func (p *Proxy) stall() chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stalled
}

// answering passes on what the broker answers. While it is stalled the broker
// finds nobody who reads.
type answering struct {
	*Proxy
	from net.Conn
}

// Read reads what the broker says, and returns once that may pass.
func (a answering) Read(b []byte) (int, error) {
	n, err := a.from.Read(b)
	if stalled := a.stall(); stalled != nil {
		<-stalled
	}
	return n, err
}

// Dial connects through the proxy, at once again whenever the line was cut.
func (p *Proxy) Dial(t testing.TB) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(p.URL(),
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

// HangUp cuts every line that is up.
func (p *Proxy) HangUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
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
		_, _ = io.Copy(client, answering{p, server})
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
