package eventlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"fleetlog/events"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Provisioning is what a new log is made with.
type Provisioning struct {
	Limits  Limits
	Opening events.Opening
	Now     time.Time
	Random  func() (uuid.UUID, error) // makes the lineage
	Keep    func() error              // called before anything is made; keeps the key of Opening's writer; nil: it is kept
}

// ErrArtifactsLost refuses to make an artifacts stream for ticks that are there:
// other artifacts would come where those stand that the ticks name.
var ErrArtifactsLost = errors.New("log has ticks but no artifacts stream: restore that, or begin a new log")

// Provision creates both streams and writes LogOpened, where they are not there
// yet, and opens the log. It changes nothing that exists: streams whose
// settings would lose history are refused with a [*DriftError], another message
// at sequence 1 with [events.ErrNotOpened], ticks without an artifacts stream with
// [ErrArtifactsLost]. Two that provision at once agree on the first one's LogOpened.
func Provision(ctx context.Context, nc *nats.Conn, place Place, p Provisioning) (*Log, error) {
	l, err := connect(nc, place)
	if err != nil {
		return nil, err
	}
	// Before one is made the other is looked at: nothing is made that is refused.
	if _, err := l.checkedStream(ctx, artifactsConfig(place.Fleet, p.Limits)); err != nil && !errors.Is(err, ErrMissing) {
		return nil, err
	}
	if err := l.keepKey(ctx, p); err != nil {
		return nil, err
	}
	if l.events, err = l.ensureStream(ctx, eventsConfig(place.Fleet, p.Limits)); err != nil {
		return nil, err
	}
	if l.events.CachedInfo().State.LastSeq > 1 {
		if _, err := l.checkedStream(ctx, artifactsConfig(place.Fleet, p.Limits)); errors.Is(err, ErrMissing) {
			return nil, fmt.Errorf("%w: %s", ErrArtifactsLost, place.Fleet.ArtifactsStream())
		}
	}
	if l.artifacts, err = l.ensureStream(ctx, artifactsConfig(place.Fleet, p.Limits)); err != nil {
		return nil, err
	}
	last, err := l.LastSequence(ctx)
	if err != nil {
		return nil, err
	}
	if last == 0 {
		if err := l.writeOpening(ctx, p); err != nil {
			return nil, err
		}
	}
	return l, l.readOpening(ctx, leader{l, place.Fleet.EventsStream()}) // a copy may not have it yet
}

// keepKey keeps the writer's key where there is no LogOpened yet: what is signed
// by a key that is lost afterwards cannot be written on.
func (l *Log) keepKey(ctx context.Context, p Provisioning) error {
	stream, err := l.checkedStream(ctx, eventsConfig(l.place.Fleet, p.Limits))
	switch {
	case err != nil && !errors.Is(err, ErrMissing):
		return err
	case p.Keep == nil, err == nil && stream.CachedInfo().State.LastSeq > 0:
		return nil
	}
	return p.Keep()
}

func (l *Log) ensureStream(ctx context.Context, want jetstream.StreamConfig) (jetstream.Stream, error) {
	stream, err := l.checkedStream(ctx, want)
	if !errors.Is(err, ErrMissing) {
		return stream, err
	}
	if err := l.createStream(ctx, want); err != nil {
		return nil, apiError("create stream "+want.Name, err)
	}
	return l.checkedStream(ctx, want)
}

// A server that has just deleted a stream may need a moment until there is room for
// another one of that name.
const (
	createTries = 10
	createPause = 200 * time.Millisecond
)

// createStream creates a stream; that it is there already is no error.
func (l *Log) createStream(ctx context.Context, want jetstream.StreamConfig) error {
	for tries := 1; ; tries++ {
		_, err := l.js.CreateStream(ctx, want)
		var api *jetstream.APIError
		switch {
		case err == nil || errors.Is(err, jetstream.ErrStreamNameAlreadyInUse):
			return nil
		case !errors.As(err, &api) || api.ErrorCode != codeStoreNotMade || tries == createTries:
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(createPause):
		}
	}
}

// writeOpening stores LogOpened at sequence 1. That another one is already
// there is not an error: the caller reads which one won.
func (l *Log) writeOpening(ctx context.Context, p Provisioning) error {
	lineage, err := p.Random()
	if err != nil {
		return fmt.Errorf("make lineage: %w", err)
	}
	opening, err := events.Open(l.place.Fleet, lineage.String(), events.TimeOf(p.Now), p.Opening)
	if err != nil {
		return err
	}
	err = l.publishFenced(ctx, []events.Message{opening}, 0)
	var api *jetstream.APIError
	if errors.As(err, &api) && api.ErrorCode == codeWrongLastSequence {
		return nil
	}
	return err
}
