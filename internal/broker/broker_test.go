package broker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fleetlog/internal/durable"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/sirupsen/logrus"
)

// config is a server's on a free port, with a store of its own.
func config(t *testing.T) Config {
	t.Helper()
	log := logrus.New()
	log.SetOutput(io.Discard)
	return Config{Listen: "127.0.0.1:-1", StoreDir: filepath.Join(t.TempDir(), "store"), Log: log}
}

func configFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func start(t *testing.T, c Config) *Broker {
	t.Helper()
	b, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b
}

func stop(t *testing.T, b *Broker) {
	t.Helper()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}

// wantFree demands that the store can be used by a new server.
func wantFree(t *testing.T, c Config) {
	t.Helper()
	c.Listen, c.ConfigFile = "127.0.0.1:-1", ""
	stop(t, start(t, c))
}

func TestRefusedConfigurations(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Config){
		"no store directory":     func(c *Config) { c.StoreDir = "" },
		"a store that is a file": func(c *Config) { c.StoreDir = file },
		"no such config file":    func(c *Config) { c.ConfigFile = file + ".conf" },
		"a broken config file":   func(c *Config) { c.ConfigFile = configFile(t, "jetstream {") },
		"an unknown setting":     func(c *Config) { c.ConfigFile = configFile(t, "jetstraem: true\n") },
		"a node of a cluster without a name": func(c *Config) {
			c.ConfigFile = configFile(t, "cluster { name: c, listen: 127.0.0.1:-1 }\n")
		},
		"a node of a cluster without a name for that": func(c *Config) {
			c.ConfigFile = configFile(t, "server_name: one\ncluster { listen: 127.0.0.1:-1 }\n")
		},
		"options that clash": func(c *Config) {
			c.ConfigFile = configFile(t, "accounts { A { users: [{ user: a, password: b }] } }\nno_auth_user: x\n")
		},
	} {
		c := config(t)
		change(&c)
		b, err := New(c)
		var refused *ConfigError
		if !errors.As(err, &refused) || b != nil {
			t.Errorf("%s: %v, want a ConfigError", name, err)
		}
		if c.ConfigFile != "" {
			wantFree(t, c)
		}
	}
}

func TestStoreIsLocked(t *testing.T) {
	c := config(t)
	b := start(t, c)
	if _, err := New(c); !errors.Is(err, durable.ErrLocked) || !strings.Contains(err.Error(), c.StoreDir) {
		t.Errorf("a second server on the store: %v, want ErrLocked and its name", err)
	}
	stop(t, b)
	stop(t, b) // does no harm
	wantFree(t, c)
}

// TestPortInUse demands an error, and neither a hang nor the end of the process,
// whether the port is taken before or while the server starts.
func TestPortInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	c := config(t)
	c.Listen = taken.Addr().String()
	var refused *ConfigError
	if _, err := New(c); !errors.As(err, &refused) || !strings.Contains(err.Error(), c.Listen) {
		t.Errorf("new server: %v, want a ConfigError with the address", err)
	}
	if _, err := os.Stat(c.StoreDir); !errors.Is(err, os.ErrNotExist) {
		t.Error("a store was made for a port in use")
	}
	taken.Close()
	b, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	again, err := net.Listen("tcp", c.Listen)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if err := b.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("start: %v, want the address in use", err)
	}
	wantFree(t, c)

	other := config(t)
	other.ConfigFile = configFile(t, fmt.Sprintf("websocket { listen: %q, no_tls: true }\n", c.Listen))
	if b, err = New(other); err != nil {
		t.Fatal(err)
	}
	if err := b.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("start with another door: %v, want the address in use", err)
	}
	wantFree(t, other)
}

// TestStartIsBounded demands that a server that does not become ready is given up.
func TestStartIsBounded(t *testing.T) {
	c := config(t)
	b, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	b.bound = time.Nanosecond
	if err := b.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "not ready in 1ns: server is ") {
		t.Errorf("start: %v, want it given up", err)
	}
	wantFree(t, c)
}

func TestStartIsCancelled(t *testing.T) {
	c := config(t)
	b, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Start(ctx); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("start: %v, want it cancelled, or started all the same", err)
	}
	stop(t, b)
	wantFree(t, c)
}

// TestHealthy asks before, while and after the server stores.
func TestHealthy(t *testing.T) {
	b, err := New(config(t))
	if err != nil {
		t.Fatal(err)
	}
	if b.Healthy() == nil {
		t.Error("healthy before it was started")
	}
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.Healthy(); err != nil {
		t.Errorf("started: %v", err)
	}
	if err := b.server.ShutdownJetStream(); err != nil {
		t.Fatal(err)
	}
	if b.Healthy() == nil {
		t.Error("healthy without JetStream")
	}
	stop(t, b)
	if b.Healthy() == nil {
		t.Error("healthy after it was stopped")
	}
}

// TestStoreOutlivesServer stores a message, and reads it from the next server.
func TestStoreOutlivesServer(t *testing.T) {
	c := config(t)
	for round := range uint64(3) {
		b := start(t, c)
		nc, err := nats.Connect(b.ClientURL())
		if err != nil {
			t.Fatal(err)
		}
		js, err := jetstream.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		stream, err := js.CreateOrUpdateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}, Storage: jetstream.FileStorage})
		if err != nil {
			t.Fatal(err)
		}
		ack, err := js.Publish(t.Context(), "s", fmt.Append(nil, round))
		if err != nil || ack.Sequence != round+1 {
			t.Fatalf("round %d: %+v, %v", round, ack, err)
		}
		for seq := range round + 1 {
			if m, err := stream.GetMsg(t.Context(), seq+1); err != nil || string(m.Data) != fmt.Sprint(seq) {
				t.Errorf("round %d: message %d is %v, %v", round, seq+1, m, err)
			}
		}
		nc.Close()
		stop(t, b)
	}
}

func TestRunStops(t *testing.T) {
	c := config(t)
	b := start(t, c)
	nc, err := nats.Connect(b.ClientURL(), nats.NoReconnect())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("run: %v", err)
	}
	wantFree(t, c)
}

// TestRunEndsWhenStoringEnds: a server that no longer stores must not look like
// one that runs.
func TestRunEndsWhenStoringEnds(t *testing.T) {
	c := config(t)
	b := start(t, c)
	if err := b.server.ShutdownJetStream(); err != nil {
		t.Fatal(err)
	}
	if err := b.Run(t.Context()); !errors.Is(err, ErrJetStreamDisabled) {
		t.Errorf("run: %v, want ErrJetStreamDisabled", err)
	}
	wantFree(t, c)
}
