package eventlog_test

import (
	"errors"
	"testing"

	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/broker/brokertest"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"
)

// TestProvisionRefusesLostArtifacts: an artifacts stream is made for a log that
// has only been opened, after a start that was cut short, but never for ticks.
func TestProvisionRefusesLostArtifacts(t *testing.T) {
	key := writerKey(t, 1)
	nc := dial(t, brokertest.Start(t))
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	lose := func() {
		t.Helper()
		if err := js.DeleteStream(t.Context(), fleetName(t).ArtifactsStream()); err != nil {
			t.Fatal(err)
		}
	}
	first := provision(t, nc, key)
	lose()
	log := provision(t, nc, key)
	if log.Lineage() != first.Lineage() {
		t.Errorf("lineage %s, want %s", log.Lineage(), first.Lineage())
	}
	if _, err := appendTick(t.Context(), newWriter(t, log), key, draft(1, 1, 1)); err != nil {
		t.Fatal(err)
	}
	lose()
	_, err = eventlog.Provision(t.Context(), nc, eventlog.Place{Fleet: fleetName(t)}, eventlog.Provisioning{
		Limits: smallLimits(), Opening: events.Opening{Writer: key, Writers: []events.PublicKey{key.Public()}}, Now: epoch, Random: uuid.NewRandom,
	})
	if !errors.Is(err, eventlog.ErrArtifactsLost) {
		t.Errorf("provision of a log with a tick and no artifacts: %v, want ErrArtifactsLost", err)
	}
	if _, err := js.Stream(t.Context(), fleetName(t).ArtifactsStream()); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("artifacts stream afterwards: %v, want none", err)
	}
}
