package eventlog_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/broker"
	"fleetlog/internal/broker/brokertest"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// sequences are those that a pass over the events brings, up to a number of them.
func sequences(t *testing.T, log *eventlog.Log, first uint64, most int) (all []uint64) {
	t.Helper()
	for m, err := range log.Messages(t.Context(), first) {
		if err != nil {
			t.Fatal(err)
		}
		if m.Subject == "" {
			t.Errorf("sequence %d has no subject", m.Seq)
		}
		if all = append(all, m.Seq); len(all) == most {
			break
		}
	}
	return all
}

// TestMessages reads a log that is longer than one answer, over messages that
// look like the end of one and over messages that are lost.
func TestMessages(t *testing.T) {
	key := writerKey(t, 1)
	nc := dial(t, brokertest.Start(t, func(c *broker.Config) { c.NoSync = true }))
	log := provision(t, nc, key)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	publish := func(status, description string) {
		t.Helper()
		m := &nats.Msg{Subject: fleetName(t).EventSubject("X"), Header: nats.Header{"Status": {status}, "Description": {description}}}
		if _, err := js.PublishMsg(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := appendTick(t.Context(), newWriter(t, log), key, draft(1, 1, 1200)); err != nil {
		t.Fatal(err)
	}
	publish("204", "EOB")
	publish("404", "No Results")
	publish("503", "")
	publish("204", "EOB")
	const end = 1 + 1202 + 4
	var want []uint64
	for seq := uint64(1); seq <= end; seq++ {
		want = append(want, seq)
	}
	if got := sequences(t, log, 1, 0); !slices.Equal(got, want) {
		t.Errorf("read %d messages up to %v, want %d", len(got), got[max(0, len(got)-1):], len(want))
	}
	if got := sequences(t, log, 500, 3); !slices.Equal(got, []uint64{500, 501, 502}) {
		t.Errorf("the first three from 500 on: %v", got)
	}
	if got := sequences(t, log, end+1, 0); len(got) != 0 {
		t.Errorf("behind the end: %v", got)
	}
	keepOneASubject(t, js)
	want = slices.Delete(want, 1203, 1206)
	if got := sequences(t, log, 1, 0); !slices.Equal(got, want) {
		t.Errorf("read %d messages of a stream with a gap, want %d", len(got), len(want))
	}
}

// keepOneASubject makes the stream lose all but the newest event of each subject.
func keepOneASubject(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	stream, err := js.Stream(t.Context(), fleetName(t).EventsStream())
	if err != nil {
		t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	config.MaxMsgsPerSubject = 1
	if _, err := js.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
}

// TestMessagesInADomain: its requests have subjects of their own.
func TestMessagesInADomain(t *testing.T) {
	config := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(config, []byte("jetstream { domain: hub }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	nc := dial(t, brokertest.Start(t, func(c *broker.Config) { c.ConfigFile = config }))
	key := writerKey(t, 1)
	log, err := eventlog.Provision(t.Context(), nc, eventlog.Place{Fleet: fleetName(t), Domain: "hub"}, eventlog.Provisioning{
		Limits: smallLimits(), Opening: events.Opening{Writer: key, Writers: []events.PublicKey{key.Public()}}, Now: epoch, Random: uuid.NewRandom,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := appendTick(t.Context(), newWriter(t, log), key, draft(1, 1, 100)); err != nil {
		t.Fatal(err)
	}
	before := nc.Stats().OutMsgs
	if got := sequences(t, log, 1, 0); len(got) != 103 {
		t.Errorf("read %d messages, want 103", len(got))
	}
	if asked := nc.Stats().OutMsgs - before; asked > 20 {
		t.Errorf("%d requests for 103 messages", asked)
	}
}
