package eventlog

import (
	"context"
	"errors"
	"iter"
	"strings"

	"fleetlog/events"
	"fleetlog/manifest"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
)

// Stored is a message of the events stream and its place there.
type Stored struct {
	Seq uint64
	events.Message
}

// What one request asks for: enough to be quick, and little enough to be held.
const (
	passMessages = 1000
	passBytes    = 8 << 20
)

// Messages yields whatever the events stream holds from first on, ticks and
// noise alike and not judged, until nothing more is stored. A sequence that is
// passed over is one that the stream's leader does not hold. Reads are isolated
// from appends: the end is never in the middle of a tick. The error is the last
// thing yielded. Error: [ErrUnavailable].
func (l *Log) Messages(ctx context.Context, first uint64) iter.Seq2[Stored, error] {
	return func(yield func(Stored, error) bool) {
		p := &pass{log: l, next: first, yield: yield}
		if err := p.run(ctx); err != nil {
			yield(Stored{}, err)
		}
	}
}

// pass is one reading of the events stream.
type pass struct {
	log     *Log
	next    uint64 // sequence expected
	yield   func(Stored, error) bool
	stopped bool // by the caller
}

func (p *pass) run(ctx context.Context) error {
	// The library makes another subject of a domain than the server listens on.
	js, err := jetstream.NewWithAPIPrefix(p.log.nc, strings.TrimSuffix(p.log.api(""), "."))
	if err != nil {
		return apiError("read "+p.log.place.Fleet.EventsStream(), err)
	}
	end, err := p.log.LastSequence(ctx)
	if err == nil && end >= p.next+bulkFrom {
		err = p.bulk(ctx, end)
	}
	if err != nil || p.stopped {
		return err
	}
	for {
		before := p.next
		if err := p.batch(ctx, js); err != nil || p.stopped {
			return err
		}
		if p.next > before {
			continue
		}
		if more, err := p.ask(ctx); !more || err != nil || p.stopped {
			return err
		}
	}
}

// batch reads from any copy what comes without a gap. It ends early, and not at
// all in error, where the copy lags, does not answer in time, or holds a message
// that looks like the end of an answer.
func (p *pass) batch(ctx context.Context, js jetstream.JetStream) error {
	waiting, cancel := context.WithTimeout(ctx, p.log.wait.commit)
	defer cancel()
	messages, err := jetstreamext.GetBatch(waiting, js, p.log.place.Fleet.EventsStream(), passMessages,
		jetstreamext.GetBatchSeq(p.next), jetstreamext.GetBatchMaxBytes(passBytes))
	if err != nil {
		return apiError("read "+p.log.place.Fleet.EventsStream(), err)
	}
	for m, err := range messages {
		if err != nil || m.Sequence != p.next {
			break
		}
		p.take(m.Sequence, stored(m))
		if p.stopped {
			break
		}
	}
	return ctx.Err()
}

// ask has the leader say what comes next, which decides what is lost and where
// the end is.
func (p *pass) ask(ctx context.Context) (more bool, err error) {
	m, seq, err := leader{p.log, p.log.place.Fleet.EventsStream()}.next(ctx, ">", p.next)
	if errors.Is(err, ErrNoMessage) {
		return false, nil
	}
	if err == nil {
		p.take(seq, m)
	}
	return true, err
}

func (p *pass) take(seq uint64, m events.Message) {
	p.next = seq + 1
	p.stopped = !p.yield(Stored{seq, m}, nil)
}

// ArtifactAtLeader is [Log.Artifact] where an error must mean a loss: it asks
// the stream's leader, behind which no copy can be.
func (l *Log) ArtifactAtLeader(ctx context.Context, a events.Artifact) (manifest.Received, error) {
	return readArtifact(ctx, leader{l, l.place.Fleet.ArtifactsStream()}, a)
}

// ArtifactGaps are the sequences that the artifacts stream has lost, as far as
// its server knows. Error: [ErrUnavailable].
func (l *Log) ArtifactGaps(ctx context.Context) ([]*GapError, error) {
	name := l.place.Fleet.ArtifactsStream()
	info, err := l.artifacts.Info(ctx, jetstream.WithDeletedDetails(true))
	if err != nil {
		return nil, apiError("look up stream "+name, err)
	}
	var gaps []*GapError
	if first := info.State.FirstSeq; first > 1 {
		gaps = append(gaps, &GapError{name, 1, first - 1})
	}
	for _, seq := range info.State.Deleted {
		if seq < info.State.FirstSeq || seq == 0 { // an empty stream is said to lack 0
			continue
		}
		if n := len(gaps); n > 0 && gaps[n-1].Last == seq-1 {
			gaps[n-1].Last = seq
		} else {
			gaps = append(gaps, &GapError{name, seq, seq})
		}
	}
	return gaps, nil
}
