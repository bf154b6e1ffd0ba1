package producers_test

import (
	"errors"
	"testing"
	"time"

	"fleetlog/eventlog"
	"fleetlog/events"
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

// TestPartsOfAResignedFleetAreNamedAgain: of a fleet in several parts that is only
// signed anew, one is stored.
func TestPartsOfAResignedFleetAreNamedAgain(t *testing.T) {
	w := writerKey(t, 1)
	log := newLog(t, brokertest.Start(t), w)
	large := fleet()
	large.Hosts = 4000
	s := &served{release: sign(t, large)}
	poller := producers.NewPoller(log.config(producers.NewDirectory(s), w))
	first, err := poller.Once(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	large.SignedAt = large.SignedAt.Add(time.Second)
	s.release = sign(t, large)
	second, err := poller.Once(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	before, after := fleetParts(t, first), fleetParts(t, second)
	if len(before) < 2 || len(before) != len(after) {
		t.Fatalf("parts %v and %v", before, after)
	}
	named := 0
	for i := range after {
		if after[i] == before[i] {
			named++
		}
	}
	if named != len(after)-1 {
		t.Errorf("of parts %v, %v are stored for the fleet signed anew", before, after)
	}
}

func fleetParts(t *testing.T, r *producers.Recorded) []uint64 {
	t.Helper()
	for _, f := range r.Tick.Findings {
		if f, ok := f.(*events.FleetFetched); ok {
			return f.Artifact.Parts
		}
	}
	t.Fatalf("no fleet in %+v", r.Tick.Findings)
	return nil
}
