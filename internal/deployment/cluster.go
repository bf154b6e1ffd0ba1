package deployment

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Cluster is three NATS servers that hold the same streams.
type Cluster struct {
	Nodes [Replicas]*Node

	leaf [Replicas]string // where leaf nodes connect
}

// Replicas is the number of a cluster's nodes.
const Replicas = 3

// clusterDomain is the JetStream domain of a cluster.
const clusterDomain = "hub"

// limits keep a test's servers small; everything else is as embedded-nats has it
// by itself.
const limits = "max_file_store: 8GB, max_memory_store: 64MB"

// NewCluster writes the config files of a cluster of the program embedded-nats
// below dir. It starts nothing.
func NewCluster(ctx context.Context, program, dir string) (*Cluster, error) {
	ports, err := FreePorts(ctx, 3*Replicas)
	if err != nil {
		return nil, err
	}
	client, cluster, leaf := ports[:Replicas], ports[Replicas:2*Replicas], ports[2*Replicas:]
	var routes []string
	for _, port := range cluster {
		routes = append(routes, fmt.Sprintf("%q", "nats-route://"+Address(port)))
	}
	c := &Cluster{}
	for n := range c.Nodes {
		what := fmt.Sprintf("jetstream { domain: %s, %s }\ncluster { name: fleetlog, listen: %q, routes: [ %s ] }\nleafnodes { listen: %q }\n",
			clusterDomain, limits, Address(cluster[n]), strings.Join(routes, ", "), Address(leaf[n]))
		if c.Nodes[n], err = newNode(program, dir, fmt.Sprintf("node-%d", n+1), Address(client[n]), what); err != nil {
			return nil, err
		}
		c.leaf[n] = Address(leaf[n])
	}
	return c, nil
}

// NewSite writes the config file of a leaf node of the cluster, with a JetStream
// domain of its own, which is its name. It starts nothing.
func (c *Cluster) NewSite(ctx context.Context, program, dir, name string) (*Node, error) {
	ports, err := FreePorts(ctx, 1)
	if err != nil {
		return nil, err
	}
	var urls []string
	for _, address := range c.leaf {
		urls = append(urls, fmt.Sprintf("%q", "nats-leaf://"+address))
	}
	what := fmt.Sprintf("jetstream { domain: %s, %s }\nleafnodes { reconnect: 1s, remotes: [ { urls: [ %s ] } ] }\n", name, limits, strings.Join(urls, ", "))
	return newNode(program, dir, name, Address(ports[0]), what)
}

// Domain is the JetStream domain of the cluster's streams.
func (c *Cluster) Domain() string { return clusterDomain }

// Start starts all nodes, which run until ctx ends at the longest.
func (c *Cluster) Start(ctx context.Context) error {
	for _, n := range c.Nodes {
		if err := n.Start(ctx); err != nil {
			return err
		}
	}
	return nil
}

// AwaitReady waits until all nodes are ready.
func (c *Cluster) AwaitReady(ctx context.Context) error {
	for _, n := range c.Nodes {
		if err := n.AwaitReady(ctx); err != nil {
			return err
		}
	}
	return nil
}

// URL is that of all nodes, as clients take it.
func (c *Cluster) URL() string {
	var urls []string
	for _, n := range c.Nodes {
		urls = append(urls, n.URL)
	}
	return strings.Join(urls, ",")
}

// Node is the node with the name; nil when there is none.
func (c *Cluster) Node(name string) *Node {
	for _, n := range c.Nodes {
		if n.Name == name {
			return n
		}
	}
	return nil
}

// lookEvery is how often a cluster is looked at while something is awaited; one
// look may take lookTime.
const (
	lookEvery = 100 * time.Millisecond
	lookTime  = 2 * time.Second
)

// AwaitLeader waits until one of the nodes that run leads the stream, and returns
// it.
func (c *Cluster) AwaitLeader(ctx context.Context, nc *nats.Conn, stream string) (*Node, error) {
	var leader *Node
	err := c.await(ctx, nc, stream, func(info *jetstream.ClusterInfo) error {
		leader = c.Node(info.Leader)
		if leader == nil || leader.process.Ended() {
			return fmt.Errorf("leader is %q", info.Leader)
		}
		return nil
	})
	return leader, err
}

// inFlight is how many operations a node of a busy cluster may be behind its leader
// at any moment.
const inFlight = 10

// AwaitCurrent waits until every stream has a leader and every other node of the
// cluster but those named holds what the leader does, up to what is on its way.
func (c *Cluster) AwaitCurrent(ctx context.Context, nc *nats.Conn, streams []string, but ...string) error {
	absent := make(map[string]bool)
	for _, name := range but {
		absent[name] = true
	}
	for _, stream := range streams {
		err := c.await(ctx, nc, stream, func(info *jetstream.ClusterInfo) error {
			if c.Node(info.Leader) == nil || absent[info.Leader] || len(info.Replicas) != Replicas-1 {
				return fmt.Errorf("leader is %q of %d", info.Leader, len(info.Replicas)+1)
			}
			for _, r := range info.Replicas {
				if !absent[r.Name] && (r.Offline || !r.Current || r.Lag > inFlight) {
					return fmt.Errorf("%s lags by %d operations (current %v, offline %v)", r.Name, r.Lag, r.Current, r.Offline)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// await looks at the stream until it is as wanted.
func (c *Cluster) await(ctx context.Context, nc *nats.Conn, stream string, wanted func(*jetstream.ClusterInfo) error) error {
	js, err := jetstream.NewWithDomain(nc, clusterDomain)
	if err != nil {
		return fmt.Errorf("look at stream %s: %w", stream, err)
	}
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		err := lookAt(ctx, js, stream, wanted)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for stream %s: %w: %w", stream, context.Cause(ctx), err)
		case <-look.C:
		}
	}
}

func lookAt(ctx context.Context, js jetstream.JetStream, stream string, wanted func(*jetstream.ClusterInfo) error) error {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	s, err := js.Stream(ctx, stream)
	if err != nil {
		return err
	}
	info := s.CachedInfo().Cluster
	if info == nil {
		return errors.New("it is of no cluster")
	}
	return wanted(info)
}
