package eventlog_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"fleetlog/internal/broker"
	"fleetlog/internal/broker/brokertest"

	"github.com/nats-io/nats.go/jetstream"
)

// TestMessagesInBulk reads a long stream ahead: up to its end, up to a loss and
// beyond it, and no further than the caller wants.
func TestMessagesInBulk(t *testing.T) {
	const (
		many = 24000
		lost = 15001 // and those behind it with the same subject
	)
	nc := dial(t, brokertest.Start(t, func(c *broker.Config) { c.NoSync = true }))
	log := provision(t, nc, writerKey(t, 1))
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(1000))
	if err != nil {
		t.Fatal(err)
	}
	want := []uint64{1}
	for seq := uint64(2); seq <= many; seq++ {
		leaf := fmt.Sprintf("X.%d", seq)
		if seq >= lost && seq < lost+5 {
			leaf = "X.lost"
		}
		if _, err := js.PublishAsync(fleetName(t).EventSubject(leaf), []byte("junk"), jetstream.WithStallWait(time.Minute)); err != nil {
			t.Fatal(err)
		}
		want = append(want, seq)
	}
	select {
	case <-js.PublishAsyncComplete():
	case <-t.Context().Done():
		t.Fatal(t.Context().Err())
	}
	if got := sequences(t, log, 1, 0); !slices.Equal(got, want) {
		t.Errorf("read %d messages up to %v, want %d", len(got), got[max(0, len(got)-1):], len(want))
	}
	if got := sequences(t, log, 9000, 3000); len(got) != 3000 || got[0] != 9000 || got[2999] != 11999 {
		t.Errorf("read %d messages from 9000 on", len(got))
	}
	keepOneASubject(t, js)
	want = slices.Delete(want, lost-1, lost+3)
	if got := sequences(t, log, 1, 0); !slices.Equal(got, want) {
		t.Errorf("read %d messages of a stream with a gap, want %d", len(got), len(want))
	}
}
