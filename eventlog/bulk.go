package eventlog

import (
	"context"
	"time"

	"fleetlog/events"

	"github.com/nats-io/nats.go/jetstream"
)

// bulkFrom is how many messages are worth a consumer.
const bulkFrom = 10 * passMessages

// bulk reads up to end ahead of the caller, several times as quickly as batches
// come. It ends early, and not in error, at whatever a batch may tell better: a
// gap, a consumer that is refused or stands still.
func (p *pass) bulk(ctx context.Context, end uint64) error {
	consumer, err := p.log.js.OrderedConsumer(ctx, p.log.place.Fleet.EventsStream(), jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: p.next,
	})
	if err != nil {
		return ctx.Err()
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(pullMessages))
	if err != nil {
		return ctx.Err()
	}
	chunks := make(chan []Stored, 4)
	reading, cancel := context.WithCancel(ctx)
	go func() {
		defer close(chunks)
		collect(reading, messages, end, chunks)
	}()
	defer func() {
		cancel()
		messages.Stop()
		for range chunks { //nolint:revive // it ends when the reader has
		}
	}()
	return p.takeChunks(ctx, chunks)
}

func (p *pass) takeChunks(ctx context.Context, chunks <-chan []Stored) error {
	still := time.NewTimer(p.log.wait.commit)
	defer still.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-still.C:
			return nil
		case chunk, ok := <-chunks:
			if !ok {
				return nil
			}
			for _, m := range chunk {
				if m.Seq != p.next {
					return nil
				}
				if p.take(m.Seq, m.Message); p.stopped {
					return nil
				}
			}
			still.Reset(p.log.wait.commit)
		}
	}
}

// collect moves messages up to end to the channel.
func collect(ctx context.Context, messages jetstream.MessagesContext, end uint64, to chan<- []Stored) {
	for {
		var chunk []Stored
		for full := false; !full; {
			m, err := messages.Next()
			if err != nil {
				return
			}
			meta, err := m.Metadata()
			if err != nil {
				return
			}
			chunk = append(chunk, Stored{meta.Sequence.Stream, events.Message{Subject: m.Subject(), Header: m.Headers(), Body: m.Data()}})
			full = len(chunk) == chunkMessages || meta.Sequence.Stream >= end || meta.NumPending == 0
		}
		select {
		case to <- chunk:
		case <-ctx.Done():
			return
		}
		if chunk[len(chunk)-1].Seq >= end {
			return
		}
	}
}
