package eventlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"fleetlog/events"

	"github.com/nats-io/nats.go/jetstream"
)

// In a cluster, a server that was suspended or cut off answers as the leader that
// it was before it learns that another one leads. It then lacks what was stored
// meanwhile. So what a replicated stream seems to have lost is asked for again,
// until a server that leads no longer must have noticed.
const (
	staleFor   = 20 * time.Second
	staleEvery = 250 * time.Millisecond
)

// infoFrom looks up the events stream, whose end should be at seq or behind it.
// When it ends before, it truly does.
func (l *Log) infoFrom(ctx context.Context, seq uint64) (info *jetstream.StreamInfo, err error) {
	lacks := fmt.Errorf("the end of %s seems to be before sequence %d", l.place.Fleet.EventsStream(), seq)
	waited := l.untilCurrent(ctx, lacks, func() bool {
		info, err = l.info(ctx, l.events)
		return err != nil || info.State.LastSeq >= seq
	})
	if waited != nil {
		return nil, waited
	}
	return info, err
}

// untilCurrent asks until an answer is current, or must be. Error:
// [ErrUnavailable] with what is lacking, when ctx ends before that.
func (l *Log) untilCurrent(ctx context.Context, lacks error, current func() bool) error {
	if current() || !l.replicated {
		return nil
	}
	again := time.NewTicker(staleEvery)
	defer again.Stop()
	over := time.After(staleFor)
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w: %w", ErrUnavailable, lacks, context.Cause(ctx))
		case <-over:
			return nil
		case <-again.C:
			if current() {
				return nil
			}
		}
	}
}

// message reads a message that should be there. When it is not, it is lost.
func (s leader) message(ctx context.Context, seq uint64) (m events.Message, err error) {
	lacks := fmt.Errorf("%s seems to lack sequence %d", s.stream, seq)
	waited := s.log.untilCurrent(ctx, lacks, func() bool {
		var r messageResponse
		r, err = s.get(ctx, messageRequest{Seq: seq})
		m = r.read()
		return !errors.Is(err, ErrNoMessage)
	})
	if waited != nil {
		return m, waited
	}
	return m, err
}
