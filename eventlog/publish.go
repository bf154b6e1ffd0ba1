package eventlog

import (
	"context"
	"errors"
	"fmt"

	"fleetlog/events"
	"fleetlog/internal/failpoint"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// publish stores the messages all or none, and returns the sequence of the
// last one. One message needs no batch, which would cost several syncs of the
// disk. Its error leaves open whether they are stored.
func (l *Log) publish(ctx context.Context, messages []*nats.Msg) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, l.wait.commit)
	defer cancel()
	ctx, release := l.whileConnected(ctx)
	defer release()
	var last uint64
	var err error
	if len(messages) == 1 {
		var ack *jetstream.PubAck
		if ack, err = l.js.PublishMsg(ctx, messages[0], jetstream.WithRetryAttempts(0)); err == nil {
			last = ack.Sequence
		}
	} else {
		last, err = l.publishBatch(ctx, messages)
	}
	if err != nil && errors.Is(context.Cause(ctx), errConnectionLost) {
		err = errConnectionLost
	}
	return last, err
}

var errConnectionLost = errors.New("connection lost before the answer came")

// whileConnected is a context that ends with the connection: the answer to what
// was sent before would be waited for in vain.
func (l *Log) whileConnected(ctx context.Context) (connected context.Context, release func()) {
	connected, cancel := context.WithCancelCause(ctx)
	lost := l.nc.StatusChanged(nats.RECONNECTING, nats.DISCONNECTED, nats.CLOSED)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, open := <-lost; open {
			cancel(errConnectionLost)
		}
	}()
	return connected, func() {
		l.nc.RemoveStatusListener(lost)
		<-done
		cancel(nil)
	}
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
	if err := failpoint.At("tick"); err != nil {
		return err
	}
	last, err := l.publish(ctx, messages)
	if err != nil {
		return apiError("append tick to "+l.place.Fleet.EventsStream(), err)
	}
	if err := failpoint.At("acknowledged"); err != nil {
		return err
	}
	if want := end + uint64(len(tick)); last != want {
		return fmt.Errorf("append tick: stored up to sequence %d, want %d", last, want)
	}
	return nil
}
