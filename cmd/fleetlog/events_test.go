package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"strings"
	"sync"
	"testing"
	"time"

	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/broker"
	"fleetlog/internal/broker/brokertest"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"
)

// output is what a command has written so far.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write keeps it.
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

// until waits until it holds the words, and returns all.
func (o *output) until(t *testing.T, words string) string {
	t.Helper()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for end := time.After(30 * time.Second); ; {
		o.mu.Lock()
		all := o.text.String()
		o.mu.Unlock()
		if strings.Contains(all, words) {
			return all
		}
		select {
		case <-look.C:
		case <-end:
			t.Fatalf("never said %q, only:\n%s", words, all)
		}
	}
}

// TestEventsFollowWaits takes the broker away under `events --follow`: it says
// so, and goes on behind what it has printed.
func TestEventsFollowWaits(t *testing.T) {
	b := brokertest.Start(t)
	nc, err := nats.Connect(b.ClientURL(), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond), nats.ReconnectBufSize(-1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	name, err := events.ParseFleetName("prod")
	if err != nil {
		t.Fatal(err)
	}
	key, err := events.NewWriter(ed25519.NewKeyFromSeed(make([]byte, 32)))
	if err != nil {
		t.Fatal(err)
	}
	log, err := eventlog.Provision(t.Context(), nc, eventlog.Place{Fleet: name}, eventlog.Provisioning{
		Limits:  eventlog.Limits{Events: 1 << 20, Artifacts: 1 << 20, Replicas: 1},
		Opening: events.Opening{Writer: key, Writers: []events.PublicKey{key.Public()}}, Now: time.Now(), Random: uuid.NewRandom,
	})
	if err != nil {
		t.Fatal(err)
	}
	appendSkipped(t, log, key)

	var stdout, stderr output
	cmd := &cobra.Command{}
	cmd.SetOut(&stdout)
	cmd.SetErr(&stderr)
	ctx, cancel := context.WithCancel(t.Context())
	cmd.SetContext(ctx)
	ended := make(chan error, 1)
	f := &eventsFlags{follow: true, output: "table", check: 50 * time.Millisecond}
	go func() { ended <- f.printFrom(cmd, log, log.Opening()) }()
	stdout.until(t, "TickCompleted")
	listen, dir := strings.TrimPrefix(b.ClientURL(), "nats://"), strings.TrimSuffix(b.StoreDir(), "/jetstream")
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	stderr.until(t, "waiting behind seq:3: look up stream nixfleet-prod-events: broker unavailable: ")
	brokertest.Start(t, func(c *broker.Config) { c.Listen, c.StoreDir = listen, dir })
	for nc.Status() != nats.CONNECTED {
		<-nc.StatusChanged(nats.CONNECTED)
	}
	appendSkipped(t, log, key)
	all := stdout.until(t, "\n5 ")
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n := strings.Count(all, "TickCompleted"); n != 2 {
		t.Errorf("%d ticks are printed, want two:\n%s", n, all)
	}
}

// appendSkipped appends a tick without a fleet.
func appendSkipped(t *testing.T, log *eventlog.Log, key *events.Writer) {
	t.Helper()
	w, err := log.NewWriter(t.Context(), func(uint64, uint64) {})
	if err != nil {
		t.Fatal(err)
	}
	draft := events.Draft{
		Tick: uuid.Must(uuid.NewV7()).String(), Time: max(events.TimeOf(time.Now()), w.Base().Head.Time), Interval: time.Second,
		Findings: []events.Finding{&events.FleetRejected{Stage: events.StageFetch, Reason: events.Timeout}},
	}
	if _, err := w.Append(t.Context(), func(base events.Base, first uint64) ([]events.Message, error) {
		return events.Compose(base, draft, events.Terms{Writer: key}, first)
	}); err != nil {
		t.Fatal(err)
	}
}
