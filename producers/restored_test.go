package producers_test

import (
	"errors"
	"strings"
	"testing"

	"fleetlog/eventlog"
	"fleetlog/internal/broker/brokertest"
	"fleetlog/producers"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// putBack makes the events stream one that ends at the sequence, as a restored
// backup does.
func (l theLog) putBack(t *testing.T, end uint64) {
	t.Helper()
	js, err := jetstream.New(l.nc)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), l.Fleet().EventsStream())
	if err != nil {
		t.Fatal(err)
	}
	var kept []*nats.Msg
	for seq := uint64(1); seq <= end; seq++ {
		m, err := stream.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		for name := range m.Header {
			if strings.HasPrefix(name, "Nats-") {
				m.Header.Del(name)
			}
		}
		kept = append(kept, &nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data})
	}
	if err := js.DeleteStream(t.Context(), l.Fleet().EventsStream()); err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), stream.CachedInfo().Config); err != nil {
		t.Fatal(err)
	}
	for _, m := range kept {
		if _, err := js.PublishMsg(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLogPutBack puts an older state of the log in the place of the one that a
// poller writes, shorter than that or grown beyond its end meanwhile. The poller
// ends, saying what to do; one that starts goes on from the end that is there.
func TestLogPutBack(t *testing.T) {
	for name, others := range map[string]int{"shorter": 0, "grown since": 4} {
		t.Run(name, func(t *testing.T) {
			w := writerKey(t, 1)
			log := newLog(t, brokertest.Start(t), w)
			config := log.config(producers.NewDirectory(sign(t, fleet())), w)
			running := producers.NewPoller(config)
			var first uint64
			for n := range 3 {
				recorded, err := running.Once(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if n == 0 {
					first = recorded.Tick.Head.Seq
				}
			}
			log.putBack(t, first)
			for range others {
				log.once(t, config)
			}
			before, err := log.Head(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := running.Once(t.Context()); !errors.Is(err, eventlog.ErrAhead) || !strings.Contains(err.Error(), "start again") {
				t.Errorf("poller that ran through: %v, want ErrAhead and what to do", err)
			}
			if err := running.Run(t.Context()); !errors.Is(err, eventlog.ErrAhead) || !strings.Contains(err.Error(), "start again") {
				t.Errorf("its loop: %v, want ErrAhead and what to do", err)
			}
			if tick := log.once(t, config); tick.Head.Number != before.Number+1 || tick.Completed.Previous != before.Digest {
				t.Errorf("next tick is %d behind %s, want %d behind %s", tick.Head.Number, tick.Completed.Previous, before.Number+1, before.Digest)
			}
		})
	}
}
