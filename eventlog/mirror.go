package eventlog

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Mirror makes, in the place's JetStream domain, copies of the two streams of the
// log that is in the domain origin, where they are not there yet. A copy holds the
// same messages at the same sequences, and can be read as the log; nothing can be
// appended to it. It need not reach the origin now: the copies fill up once it
// can be reached. Like [Provision] it changes nothing that exists: a stream that
// would lose history, or that is no copy of the origin's, is refused with a
// [*DriftError].
func Mirror(ctx context.Context, nc *nats.Conn, place Place, origin string, limits Limits) error {
	l, err := connect(nc, place)
	if err != nil {
		return err
	}
	for _, config := range []jetstream.StreamConfig{eventsConfig(place.Fleet, limits), artifactsConfig(place.Fleet, limits)} {
		if err := l.ensureMirror(ctx, config, mirrorOf(config, origin)); err != nil {
			return err
		}
	}
	return nil
}

// mirrorOf has its messages from the stream of the same name in the domain.
func mirrorOf(c jetstream.StreamConfig, origin string) jetstream.StreamConfig {
	c.Subjects, c.AllowAtomicPublish = nil, false
	c.Mirror = &jetstream.StreamSource{Name: c.Name, External: &jetstream.ExternalStream{APIPrefix: "$JS." + origin + ".API"}}
	return c
}

// ensureMirror makes the mirror of a stream of the log, if there is none.
func (l *Log) ensureMirror(ctx context.Context, of, want jetstream.StreamConfig) error {
	stream, err := l.checkedStream(ctx, of)
	if errors.Is(err, ErrMissing) {
		if err := l.createStream(ctx, want); err != nil {
			return apiError("create mirror "+want.Name, err)
		}
		stream, err = l.checkedStream(ctx, of)
	}
	if err != nil {
		return err
	}
	if has := mirrored(stream.CachedInfo().Config.Mirror); has != mirrored(want.Mirror) {
		return &DriftError{want.Name, []Difference{{"mirror", mirrored(want.Mirror), has}}}
	}
	return nil
}

func mirrored(s *jetstream.StreamSource) string {
	switch {
	case s == nil:
		return "none"
	case s.External == nil:
		return s.Name
	}
	return fmt.Sprintf("%s at %s", s.Name, s.External.APIPrefix)
}
