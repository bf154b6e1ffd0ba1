package producers_test

import (
	"errors"
	"testing"

	"fleetlog/eventlog"
	"fleetlog/internal/broker"
	"fleetlog/internal/broker/brokertest"
	"fleetlog/producers"

	"github.com/nats-io/nats.go/jetstream"
)

// TestArtifactsOfUnrecordedTicksAreStoredOnce polls again and again for a server
// that takes no tick: the artifacts stream, which nothing is ever deleted from,
// must not grow by every attempt.
func TestArtifactsOfUnrecordedTicksAreStoredOnce(t *testing.T) {
	w := writerKey(t, 1)
	log := newLog(t, brokertest.Start(t, func(c *broker.Config) { c.MaxBatch = 2 }), w)
	poller := producers.NewPoller(log.config(producers.NewDirectory(sign(t, fleet())), w))
	js, err := jetstream.New(log.nc)
	if err != nil {
		t.Fatal(err)
	}
	var stored uint64
	for attempt := range 4 {
		if _, err := poller.Once(t.Context()); !errors.Is(err, eventlog.ErrBatchTooLarge) {
			t.Fatalf("tick that is too large: %v", err)
		}
		stream, err := js.Stream(t.Context(), log.Fleet().ArtifactsStream())
		if err != nil {
			t.Fatal(err)
		}
		last := stream.CachedInfo().State.LastSeq
		if attempt > 0 && last != stored {
			t.Errorf("attempt %d: %d artifacts are stored, after the one before it %d", attempt, last, stored)
		}
		stored = last
	}
	if stored == 0 {
		t.Error("no artifact was stored")
	}
}
