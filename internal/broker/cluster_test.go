package broker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// patience bounds what a cluster is waited for.
const patience = 50 * time.Second

// nodes are the configurations of a cluster's three servers.
func nodes(t *testing.T) []Config {
	t.Helper()
	var doors []net.Listener
	routes := ""
	for range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		doors, routes = append(doors, l), routes+fmt.Sprintf("%q, ", "nats-route://"+l.Addr().String())
	}
	var configs []Config
	for n, door := range doors {
		door.Close()
		c := config(t)
		c.Name = fmt.Sprintf("node-%d", n)
		c.ConfigFile = configFile(t, fmt.Sprintf("cluster { name: c, listen: %q, routes: [ %s ] }\n", door.Addr(), routes))
		configs = append(configs, c)
	}
	return configs
}

// fares remembers what a server last said of its health.
type fares struct {
	mu   sync.Mutex
	last error
}

func (f *fares) tell(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last = err
}

func (f *fares) say(what string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return what == "" && f.last == nil || what != "" && f.last != nil && strings.Contains(f.last.Error(), what)
}

func until(ctx context.Context, t *testing.T, what string, holds func() bool) {
	t.Helper()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("wait for %s: %v", what, context.Cause(ctx))
		case <-look.C:
		}
	}
}

// serving runs a server until it is told to stop, or its start fails. What is not
// the node of a cluster must be ready at once.
func serving(t *testing.T, c Config) (b *Broker, stop func() error) {
	t.Helper()
	b, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	b.bound = time.Nanosecond
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		err := b.Start(ctx)
		if err == nil {
			err = b.Run(ctx)
		}
		ended <- err
	}()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() { _ = stop() })
	return b, stop
}

// TestNodeWaitsForItsPeers starts one node of three alone: it is neither ready
// nor does it fail. Once it has its peers, all are healthy. When they are gone, it
// says so; and whenever it is told to stop, it stops in good order.
func TestNodeWaitsForItsPeers(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	configs := nodes(t)
	var said [3]fares
	for n := range configs {
		said[n].last = errors.New("has said nothing")
		configs[n].Health = said[n].tell
	}
	const waits = "server is unavailable"
	_, stop := serving(t, configs[0])
	until(ctx, t, "the node to wait", func() bool { return said[0].say(waits) })
	if err := stop(); !errors.Is(err, context.Canceled) {
		t.Errorf("stop while it waits: %v, want it cancelled", err)
	}

	_, stop = serving(t, configs[0])
	until(ctx, t, "the node to wait again", func() bool { return said[0].say(waits) })
	var peers []*Broker
	for _, c := range configs[1:] {
		peer, _ := serving(t, c)
		peers = append(peers, peer)
	}
	for n := range said {
		until(ctx, t, fmt.Sprintf("node %d to be healthy", n), func() bool { return said[n].say("") })
	}
	for _, peer := range peers {
		if err := peer.Close(); err != nil {
			t.Fatal(err)
		}
	}
	until(ctx, t, "the node to miss its peers", func() bool { return said[0].say(waits) })
	if err := stop(); err != nil {
		t.Errorf("stop without peers: %v", err)
	}
	wantFree(t, configs[0])
}

// servingCluster runs a cluster whose nodes are healthy, each until it is told to
// stop. What it returns is by the nodes' names.
func servingCluster(ctx context.Context, t *testing.T) (urls map[string]string, stops map[string]func() error) {
	t.Helper()
	var servers []*Broker
	var said [3]fares
	urls, stops = make(map[string]string), make(map[string]func() error)
	for n, c := range nodes(t) {
		said[n].last = errors.New("has said nothing")
		c.Health = said[n].tell
		var server *Broker
		server, stops[c.Name] = serving(t, c)
		servers = append(servers, server)
	}
	for n, server := range servers {
		until(ctx, t, "a healthy node", func() bool { return said[n].say("") })
		urls[server.config.Name] = server.ClientURL()
	}
	return urls, stops
}

func dial(t *testing.T, url string) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// TestLeadershipIsHandedOver stops the node that leads a stream: before it has
// stopped, another one leads.
func TestLeadershipIsHandedOver(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	urls, stops := servingCluster(ctx, t)
	js, err := jetstream.New(dial(t, slices.Collect(maps.Values(urls))[0]))
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}, Replicas: 3})
	if err != nil {
		t.Fatal(err)
	}
	before := stream.CachedInfo().Cluster.Leader
	delete(urls, before) // what is said while a client changes its node is lost to it
	nc := dial(t, slices.Collect(maps.Values(urls))[0])
	elected, err := nc.SubscribeSync("$JS.EVENT.ADVISORY.STREAM.LEADER_ELECTED.S")
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.FlushWithContext(ctx); err != nil {
		t.Fatal(err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- stops[before]() }()
	if _, err := elected.NextMsgWithContext(ctx); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-stopped:
		t.Errorf("node %s had stopped (%v) before another one led", before, err)
	default:
		if err := <-stopped; err != nil {
			t.Errorf("stop node %s: %v", before, err)
		}
	}
}
