// Package brokertest starts real servers for tests.
package brokertest

import (
	"io"
	"testing"

	"fleetlog/internal/broker"

	"github.com/sirupsen/logrus"
)

// Start runs a server on a free loopback port until the test ends. change, if
// given, adjusts its configuration.
func Start(t testing.TB, change ...func(*broker.Config)) *broker.Broker {
	t.Helper()
	log := logrus.New()
	log.SetOutput(io.Discard)
	c := broker.Config{Listen: "127.0.0.1:-1", StoreDir: t.TempDir(), Log: log}
	for _, f := range change {
		f(&c)
	}
	b, err := broker.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("stop broker: %v", err)
		}
	})
	return b
}
