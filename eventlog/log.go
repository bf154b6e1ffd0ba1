package eventlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"fleetlog/events"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Place says where a log is and whose ticks count in it.
type Place struct {
	Fleet   events.FleetName
	Domain  string             // JetStream domain; empty: the server's own
	Writers []events.PublicKey // accepted writers; empty: those that LogOpened names
}

// Log is an open log. It keeps no state beside what LogOpened says, and may be
// used by several goroutines.
type Log struct {
	place      Place
	nc         *nats.Conn
	js         jetstream.JetStream
	events     jetstream.Stream
	artifacts  jetstream.Stream
	opening    events.Head
	replicated bool // the events stream is, in a cluster
	writers    []events.PublicKey
	wait       waits
}

// waits bound how long a broker that does not answer is waited for.
type waits struct {
	api    time.Duration // one question
	commit time.Duration // one attempt to store a tick or an artifact
}

func defaultWaits() waits {
	return waits{api: 5 * time.Second, commit: 10 * time.Second}
}

// Open checks that both streams are there with settings that keep history, and
// that the log begins with a LogOpened by an accepted writer. Errors:
// [ErrMissing], [*DriftError], [events.ErrNotOpened], [ErrUnavailable].
func Open(ctx context.Context, nc *nats.Conn, place Place) (*Log, error) {
	l, err := connect(nc, place)
	if err != nil {
		return nil, err
	}
	if l.events, err = l.checkedStream(ctx, eventsConfig(place.Fleet, Limits{})); err != nil {
		return nil, err
	}
	if l.artifacts, err = l.checkedStream(ctx, artifactsConfig(place.Fleet, Limits{})); err != nil {
		return nil, err
	}
	if err := l.readOpening(ctx, anyCopy{l.events, l}); err != nil {
		return nil, err
	}
	return l, nil
}

// connect binds the log to a connection without asking the broker anything.
func connect(nc *nats.Conn, place Place) (*Log, error) {
	var js jetstream.JetStream
	var err error
	if place.Domain == "" {
		js, err = jetstream.New(nc)
	} else {
		js, err = jetstream.NewWithDomain(nc, place.Domain)
	}
	if err != nil {
		return nil, fmt.Errorf("open jetstream: %w", err)
	}
	return &Log{place: place, nc: nc, js: js, wait: defaultWaits()}, nil
}

func (l *Log) checkedStream(ctx context.Context, want jetstream.StreamConfig) (jetstream.Stream, error) {
	stream, err := l.js.Stream(ctx, want.Name)
	if err != nil {
		return nil, apiError("look up stream "+want.Name, err)
	}
	if err := drift(want, stream.CachedInfo().Config); err != nil {
		return nil, err
	}
	return stream, nil
}

// readOpening reads LogOpened. Where it is lost, no reader can tell whose log
// the rest is.
func (l *Log) readOpening(ctx context.Context, from source) error {
	l.replicated = l.events.CachedInfo().Config.Replicas > 1
	m, err := from.message(ctx, 1)
	if first := l.events.CachedInfo().State.FirstSeq; errors.Is(err, ErrNoMessage) && first > 1 {
		err = &GapError{l.place.Fleet.EventsStream(), 1, first - 1}
	}
	if err != nil {
		return fmt.Errorf("read the log's opening: %w", err)
	}
	l.opening, l.writers, err = events.ReadOpening(l.place.Fleet, m, l.place.Writers)
	return err
}

// Fleet is the fleet whose log this is.
func (l *Log) Fleet() events.FleetName { return l.place.Fleet }

// Opening is the head of the log before its first tick.
func (l *Log) Opening() events.Head { return l.opening }

// Lineage is the identity of the log.
func (l *Log) Lineage() string { return l.opening.Lineage }

// Writers are the keys whose ticks count: those given, or those that LogOpened
// names.
func (l *Log) Writers() []events.PublicKey { return l.writers }

// Settings are those of both streams, events first, as they were when the log
// was opened.
func (l *Log) Settings() []jetstream.StreamConfig {
	return []jetstream.StreamConfig{l.events.CachedInfo().Config, l.artifacts.CachedInfo().Config}
}

// StreamState is what a broker has said of a stream.
type StreamState struct {
	Last     uint64 // sequence of its newest message
	Bytes    uint64
	MaxBytes int64
}

// Streams are as the broker has said last, for whatever reason it was asked: the
// events stream and that of the artifacts. It is not asked for this.
func (l *Log) Streams() (events, artifacts StreamState) {
	return stateOf(l.events.CachedInfo()), stateOf(l.artifacts.CachedInfo())
}

func stateOf(info *jetstream.StreamInfo) StreamState {
	return StreamState{info.State.LastSeq, info.State.Bytes, info.Config.MaxBytes}
}

// Message reads one message of the events stream, from any copy. Error:
// [ErrNoMessage], [ErrUnavailable].
func (l *Log) Message(ctx context.Context, seq uint64) (events.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, l.wait.api)
	defer cancel()
	return anyCopy{l.events, l}.message(ctx, seq)
}

// LastSequence is the sequence of the newest stored event.
func (l *Log) LastSequence(ctx context.Context) (uint64, error) {
	info, err := l.info(ctx, l.events)
	if err != nil {
		return 0, err
	}
	return info.State.LastSeq, nil
}

// Usage is how full one stream is.
type Usage struct {
	Stream       string
	LastSequence uint64
	Bytes        uint64
	MaxBytes     uint64
	Replicas     int
}

// Usage is that of both streams, events first. Errors: [*DriftError] when a stream
// no longer keeps history, beside which the figures are returned; [ErrUnavailable].
func (l *Log) Usage(ctx context.Context) ([]Usage, error) {
	stored, drifted := l.eventsInfo(ctx)
	if stored == nil {
		return nil, drifted
	}
	kept, err := l.artifactsInfo(ctx)
	if kept == nil {
		return nil, err
	}
	return []Usage{usageOf(stored), usageOf(kept)}, errors.Join(drifted, err)
}

func usageOf(info *jetstream.StreamInfo) Usage {
	return Usage{
		Stream: info.Config.Name, LastSequence: info.State.LastSeq, Bytes: info.State.Bytes,
		MaxBytes: uint64(max(info.Config.MaxBytes, 0)), Replicas: info.Config.Replicas,
	}
}

func (l *Log) info(ctx context.Context, stream jetstream.Stream) (*jetstream.StreamInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, l.wait.api)
	defer cancel()
	info, err := stream.Info(ctx)
	if err != nil {
		return nil, apiError("look up stream "+stream.CachedInfo().Config.Name, err)
	}
	return info, nil
}

// eventsInfo looks up the events stream. Error: [*DriftError] when it no longer
// keeps history.
func (l *Log) eventsInfo(ctx context.Context) (*jetstream.StreamInfo, error) {
	info, err := l.info(ctx, l.events)
	if err != nil {
		return nil, err
	}
	return info, drift(eventsConfig(l.place.Fleet, Limits{}), info.Config)
}

// artifactsInfo is eventsInfo of the artifacts stream.
func (l *Log) artifactsInfo(ctx context.Context) (*jetstream.StreamInfo, error) {
	info, err := l.info(ctx, l.artifacts)
	if err != nil {
		return nil, err
	}
	return info, drift(artifactsConfig(l.place.Fleet, Limits{}), info.Config)
}
