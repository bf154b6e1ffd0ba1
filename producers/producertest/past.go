// Package producertest writes logs as a poller would have over a long time, as
// fast as the machine can.
package producertest

import (
	"context"
	"encoding/binary"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"time"

	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/manifest"
	"fleetlog/producers"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Past says what a poller has seen. The same value, but for the lineage of the
// log, gives the same ticks.
type Past struct {
	Writer   *events.Writer
	Trust    []byte        // trust.json
	Begin    time.Time     // of the first tick
	Interval time.Duration // from tick to tick
	Ticks    int
	Window   manifest.Window // freshness, of poller and readers
	Restate  time.Duration   // how old a statement gets; 0: every tick is written out

	// Serve is what is served to a tick, numbered from 1 and at this moment; nil
	// means the same as to the tick before it, which is then not judged anew: no
	// more changes than in what a poller would have found.
	Serve func(number int, at time.Time) (fs.FS, error)
	// Silence, if given, is the time before a tick in which none was recorded.
	Silence func(number int) time.Duration
	// Written, if given, is told every tick, in order.
	Written func(*events.Tick)
}

// pending bounds how many messages are under way unanswered.
const pending = 4000

// stallWait is how long the broker may take to answer one of them.
const stallWait = time.Minute

// Append writes the past behind the log's opening; the log must hold no tick,
// and nobody else may write it. Ticks are stored as single messages, not as
// batches; no reader can tell. Everything is stored when it returns nil.
func Append(ctx context.Context, nc *nats.Conn, log *eventlog.Log, past Past) error {
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(pending))
	if err != nil {
		return fmt.Errorf("write past: %w", err)
	}
	a := &appending{
		Past: past, log: log, js: js, random: rand.New(rand.NewPCG(1, 2)), //nolint:gosec // ids, not secrets
		base: events.Base{Fleet: log.Fleet(), Head: log.Opening()}, seq: log.Opening().Seq, stored: map[manifest.Digest][]uint64{}, like: map[string]eventlog.Kept{},
		poll: producers.Poll{Window: past.Window, Concurrency: 1, Trust: func() ([]byte, error) { return past.Trust, nil }},
	}
	for n := 1; n <= past.Ticks; n++ {
		if err := a.tick(ctx, n); err != nil {
			return fmt.Errorf("write past: tick %d: %w", n, err)
		}
	}
	return a.settle(ctx)
}

type appending struct {
	Past
	log    *eventlog.Log
	js     jetstream.JetStream
	random *rand.Rand
	base   events.Base
	seq    uint64 // of the newest message
	silent time.Duration
	poll   producers.Poll
	memory producers.Memory
	result *producers.Result
	stored map[manifest.Digest][]uint64 // parts of the artifacts
	like   map[string]eventlog.Kept     // last artifact of each subject
}

func (a *appending) tick(ctx context.Context, number int) error {
	if a.Silence != nil {
		a.silent += a.Silence(number)
	}
	at := a.Begin.Add(time.Duration(number-1)*a.Interval + a.silent)
	if err := a.look(ctx, number, at); err != nil {
		return err
	}
	draft := events.Draft{
		Tick: a.id(at), Time: events.TimeOf(at), Findings: a.result.Findings,
		Set: a.result.Reference(), Floor: a.memory.Floor, Interval: a.Interval,
	}
	messages, err := events.Compose(a.base, draft, events.Terms{Writer: a.Writer, RestateEvery: a.Restate}, a.seq+1)
	if err != nil {
		return err
	}
	return a.publish(messages)
}

// look polls what is served, when that is new.
func (a *appending) look(ctx context.Context, number int, at time.Time) error {
	served, err := a.Serve(number, at)
	if served == nil || err != nil {
		return err
	}
	a.poll.Source = producers.NewDirectory(served)
	a.result = a.poll.Tick(ctx, at, a.memory)
	a.memory = a.result.Memory
	for _, f := range a.result.Findings {
		if artifact := events.ArtifactOf(f); artifact != nil {
			if artifact.Parts, err = a.store(ctx, f, artifact.SHA256); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *appending) store(ctx context.Context, f events.Finding, digest manifest.Digest) (parts []uint64, err error) {
	if parts = a.stored[digest]; parts != nil {
		return parts, nil
	}
	subject := a.log.Fleet().FleetArtifactSubject()
	if channel, ok := f.ChannelName(); ok {
		subject = a.log.Fleet().RolloutArtifactSubject(channel)
	}
	body := a.result.Artifacts[digest]
	parts, err = a.log.PutArtifact(ctx, subject, body, a.like[subject])
	a.stored[digest], a.like[subject] = parts, eventlog.Kept{Body: body, Parts: parts}
	return parts, err
}

// id is a UUIDv7 of that moment.
func (a *appending) id(at time.Time) string {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:8], uint64(at.UnixMilli())<<16|a.random.Uint64()>>48)
	binary.BigEndian.PutUint64(id[8:], a.random.Uint64())
	id[6], id[8] = id[6]&0x0f|0x70, id[8]&0x3f|0x80
	return id.String()
}

func (a *appending) publish(messages []events.Message) error {
	for _, m := range messages {
		if _, err := a.js.PublishMsgAsync(&nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Body}, jetstream.WithStallWait(stallWait)); err != nil {
			return err
		}
	}
	first := a.seq + 1
	a.seq += uint64(len(messages))
	tick, err := a.read(first, messages)
	if err == nil {
		a.committed(tick)
	}
	return err
}

// read takes the tick as it was composed. Only one that is written out is judged
// by the readers' rule: to check a million signatures takes minutes.
func (a *appending) read(first uint64, messages []events.Message) (*events.Tick, error) {
	if len(messages) > 1 {
		return events.ReadTick(a.base.Fleet, a.log.Writers(), a.base.Head.Lineage, first, messages)
	}
	event, err := events.Decode(messages[0].Body)
	if err != nil {
		return nil, err
	}
	t, ok := event.(*events.TickCompleted)
	if !ok {
		return nil, fmt.Errorf("composed a %T alone", event)
	}
	return &events.Tick{Completed: t, Head: events.Head{
		Lineage: t.Lineage, Seq: t.Seq, Digest: manifest.Sum(messages[0].Body), Tick: t.Tick, Number: t.Number, Time: t.Time, Completed: t,
	}}, nil
}

func (a *appending) committed(tick *events.Tick) {
	a.base.Head = tick.Head
	if len(tick.Findings) > 0 {
		a.base.Last = tick.Findings
		if tick.Completed.Outcome == events.Verified {
			a.base.LastVerified = tick.Findings
		}
	}
	if a.Written != nil {
		a.Written(tick)
	}
}

// settle waits until everything is stored, and compares where it ends.
func (a *appending) settle(ctx context.Context) error {
	select {
	case <-a.js.PublishAsyncComplete():
	case <-ctx.Done():
		return fmt.Errorf("write past: %w", context.Cause(ctx))
	}
	last, err := a.log.LastSequence(ctx)
	if err == nil && last != a.seq {
		err = fmt.Errorf("log ends at %d, want %d", last, a.seq)
	}
	if err != nil {
		return fmt.Errorf("write past: %w", err)
	}
	return nil
}
