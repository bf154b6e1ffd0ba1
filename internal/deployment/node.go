package deployment

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
)

// Node is one NATS server with a name, addresses and a store that outlive its
// process.
type Node struct {
	Name string
	URL  string // of clients

	program string // embedded-nats
	file    string // its config file
	store   string
	process *Process // the last one; nil before the first
}

// newNode writes the config file into a directory of the node's own. what is all
// that the file says beside name, address and store.
func newNode(program, dir, name, address, what string) (*Node, error) {
	n := &Node{
		Name: name, URL: "nats://" + address, program: program,
		file: filepath.Join(dir, name, "nats.conf"), store: filepath.Join(dir, name, "store"),
	}
	text := fmt.Sprintf("server_name: %q\nlisten: %q\n%s", name, address, what)
	err := errors.Join(os.MkdirAll(filepath.Dir(n.file), 0o700), os.WriteFile(n.file, []byte(text), 0o600))
	if err != nil {
		return nil, fmt.Errorf("write config of node %s: %w", name, err)
	}
	return n, nil
}

// Start starts the server, which then runs until ctx ends at the longest.
func (n *Node) Start(ctx context.Context) (err error) {
	if n.process != nil && !n.process.Ended() {
		return fmt.Errorf("node %s runs already", n.Name)
	}
	n.process, err = Start(ctx, n.program, []string{"run", "--config", n.file, "--store-dir", n.store})
	return err
}

var ready = regexp.MustCompile(`msg=ready `)

// AwaitReady waits until the server's own health check has passed since it was
// started.
func (n *Node) AwaitReady(ctx context.Context) error {
	if _, err := n.process.Await(ctx, ready); err != nil {
		return fmt.Errorf("node %s: %w", n.Name, err)
	}
	return nil
}

// Process is the server's process, of which there must have been one.
func (n *Node) Process() *Process { return n.process }

// Wipe removes everything that the server has stored, as a new disk does. The
// server must not run.
func (n *Node) Wipe() error {
	if n.process != nil && !n.process.Ended() {
		return fmt.Errorf("node %s runs: its store cannot be wiped", n.Name)
	}
	if err := os.RemoveAll(n.store); err != nil {
		return fmt.Errorf("wipe node %s: %w", n.Name, err)
	}
	return nil
}

// Ports that a system does not give to outgoing connections by itself: they stay
// free while the program that listens there is down.
const (
	firstPort = 20000
	lastPort  = 30000
	maxTries  = 1000
)

// FreePorts picks ports of this machine that nothing listens on.
func FreePorts(ctx context.Context, n int) (ports []int, err error) {
	var config net.ListenConfig
	for tries := 0; len(ports) < n; tries++ {
		port := firstPort + rand.IntN(lastPort-firstPort) //nolint:gosec // it need not be a secret
		door, err := config.Listen(ctx, "tcp", Address(port))
		if errors.Is(err, syscall.EADDRINUSE) && tries < maxTries {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look for a free port: %w", err)
		}
		defer door.Close() // only now: no port is picked twice
		ports = append(ports, port)
	}
	return ports, nil
}

// Address is the port's on loopback.
func Address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
