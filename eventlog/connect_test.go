package eventlog_test

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/broker"
	"fleetlog/internal/broker/brokertest"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/sirupsen/logrus"
)

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestWriterKeyConnectsNowhere gives the writer's key to the connection in every
// way that there is. No server is needed to refuse it, and none must be asked.
func TestWriterKeyConnectsNowhere(t *testing.T) {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	writer := events.PublicKey(key.Public().(ed25519.PublicKey))
	seed, err := nkeys.EncodeSeed(nkeys.PrefixByteUser, key.Seed())
	if err != nil {
		t.Fatal(err)
	}
	other, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	otherSeed, err := other.Seed()
	if err != nil {
		t.Fatal(err)
	}
	decorated := func(seed []byte) string {
		return fmt.Sprintf("-----BEGIN NATS USER JWT-----\ne30.e30.e30\n------END NATS USER JWT------\n\n"+
			"-----BEGIN USER NKEY SEED-----\n%s\n------END USER NKEY SEED------\n", seed)
	}
	context := func(member, path string) string {
		return writeFile(t, "context.json", fmt.Sprintf(`{"url":"nats://127.0.0.1:1",%q:%q}`, member, path))
	}
	quiet := logrus.New()
	quiet.SetOutput(io.Discard)
	for name, c := range map[string]struct {
		endpoint eventlog.Endpoint
		same     bool
	}{
		"nkey":              {eventlog.Endpoint{NKeyFile: writeFile(t, "seed", string(seed))}, true},
		"credentials":       {eventlog.Endpoint{CredsFile: writeFile(t, "creds", decorated(seed))}, true},
		"nkey of a context": {eventlog.Endpoint{Context: context("nkey", writeFile(t, "seed", string(seed)))}, true},
		"credentials of a context": {
			eventlog.Endpoint{Context: context("creds", writeFile(t, "creds", decorated(seed)))}, true},
		"another nkey":        {eventlog.Endpoint{NKeyFile: writeFile(t, "seed", string(otherSeed))}, false},
		"another credentials": {eventlog.Endpoint{CredsFile: writeFile(t, "creds", decorated(otherSeed))}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if c.endpoint.Context == "" {
				c.endpoint.URL = "nats://127.0.0.1:1"
			}
			connection := eventlog.Connection{Endpoint: c.endpoint, Patient: true, Log: quiet}
			nc, err := eventlog.Connect(connection, &writer)
			if nc != nil {
				nc.Close()
			}
			if errors.Is(err, eventlog.ErrSameKey) != c.same || !c.same && err != nil {
				t.Errorf("connect: %v, want it refused %v", err, c.same)
			}
			if nc, err := eventlog.Connect(connection, nil); err != nil {
				t.Errorf("connect a reader: %v", err)
			} else {
				nc.Close()
			}
		})
	}
}

// TestSecretsAreNotForEverybody: a secret that everybody may read is refused by its
// name, one that a group may read is taken.
func TestSecretsAreNotForEverybody(t *testing.T) {
	quiet := logrus.New()
	quiet.SetOutput(io.Discard)
	for name, endpoint := range map[string]func(path string) eventlog.Endpoint{
		"nkey":        func(path string) eventlog.Endpoint { return eventlog.Endpoint{NKeyFile: path} },
		"credentials": func(path string) eventlog.Endpoint { return eventlog.Endpoint{CredsFile: path} },
		"client key":  func(path string) eventlog.Endpoint { return eventlog.Endpoint{KeyFile: path} },
	} {
		path := writeFile(t, "secret", "not read")
		for mode, refused := range map[os.FileMode]bool{0o644: true, 0o640: false} {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
			at := endpoint(path)
			at.URL = "nats://127.0.0.1:1"
			_, err := eventlog.Connect(eventlog.Connection{Endpoint: at, Log: quiet}, nil)
			if err == nil || strings.Contains(err.Error(), "chmod 600 "+path) != refused {
				t.Errorf("%s, mode %o: %v", name, mode, err)
			}
		}
	}
}

// TestConnectionOutlivesRefusals: the broker's configuration is wrong for a
// while.
func TestConnectionOutlivesRefusals(t *testing.T) {
	serve := func(listen, password string) *broker.Broker {
		return brokertest.Start(t, func(c *broker.Config) {
			c.Listen = listen
			c.ConfigFile = writeFile(t, "nats.conf", "authorization { user: poller, password: "+password+" }\n")
		})
	}
	first := serve("127.0.0.1:-1", "right")
	listen := strings.TrimPrefix(first.ClientURL(), "nats://")
	log := logrus.New()
	refusals := &refused{}
	log.SetOutput(io.Discard)
	log.AddHook(refusals)
	nc, err := eventlog.Connect(eventlog.Connection{
		Endpoint: eventlog.Endpoint{URL: "nats://poller:right@" + listen}, Log: log,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	until := func(what string, done func() bool) {
		t.Helper()
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for end := time.After(30 * time.Second); !done(); {
			select {
			case <-tick.C:
			case <-end:
				t.Fatalf("waited in vain until %s; the connection is %s", what, nc.Status())
			}
		}
	}
	stop := func(b *broker.Broker) {
		t.Helper()
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	stop(first)
	second := serve(listen, "wrong")
	until("refused three times", func() bool { return refusals.count.Load() >= 3 || nc.IsClosed() })
	stop(second)
	serve(listen, "right")
	until("connected again", func() bool { return nc.IsConnected() || nc.IsClosed() })
	if !nc.IsConnected() {
		t.Errorf("the connection is %s", nc.Status())
	}
}

// refused counts the broker's refusals in a log.
type refused struct{ count atomic.Int64 }

func (r *refused) Levels() []logrus.Level { return logrus.AllLevels }

func (r *refused) Fire(e *logrus.Entry) error {
	if err, ok := e.Data[logrus.ErrorKey].(error); ok && errors.Is(err, nats.ErrAuthorization) {
		r.count.Add(1)
	}
	return nil
}
