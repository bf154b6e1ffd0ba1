package eventlog

import (
	"context"
	"fmt"

	"fleetlog/events"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
)

// ackEvery bounds how many messages of a batch are under way unanswered.
const ackEvery = 500

// publish stores the messages all or none, and returns the sequence of the
// last one. One message needs no batch, which would cost several syncs of the
// disk.
func (l *Log) publish(ctx context.Context, messages []*nats.Msg) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, l.wait.commit)
	defer cancel()
	if len(messages) == 1 {
		ack, err := l.js.PublishMsg(ctx, messages[0], jetstream.WithRetryAttempts(0))
		if err != nil {
			return 0, err
		}
		return ack.Sequence, nil
	}
	ack, err := jetstreamext.PublishMsgBatch(ctx, l.js, messages, jetstreamext.BatchFlowControl{
		AckFirst: true, AckEvery: ackEvery, AckTimeout: l.wait.ack,
	})
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

// publishFenced stores a tick directly behind sequence end, or not at all.
func (l *Log) publishFenced(ctx context.Context, tick []events.Message, end uint64) error {
	messages := make([]*nats.Msg, len(tick))
	for i, m := range tick {
		header := make(nats.Header, len(m.Header)+4)
		for name, values := range m.Header {
			header[name] = values
		}
		messages[i] = &nats.Msg{Subject: m.Subject, Header: header, Data: m.Body}
	}
	messages[0].Header.Set(jetstream.ExpectedLastSeqHeader, fmt.Sprint(end))
	last, err := l.publish(ctx, messages)
	if err != nil {
		return apiError("append tick", err)
	}
	if want := end + uint64(len(tick)); last != want {
		return fmt.Errorf("append tick: stored up to sequence %d, want %d", last, want)
	}
	return nil
}
