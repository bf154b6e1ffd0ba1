package check

import (
	"context"
	"errors"
	"iter"
	"time"

	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/manifest"
)

// Source is where a log is read from: the broker, or a copy that needs none.
type Source interface {
	// Messages yields what the log holds from first on, in order and not judged,
	// until nothing more is there. What is passed over is lost.
	Messages(ctx context.Context, first uint64) iter.Seq2[eventlog.Stored, error]
	// Artifact returns the bytes that an event names. An [*eventlog.ArtifactError]
	// means that they are lost.
	Artifact(ctx context.Context, a events.Artifact) (manifest.Received, error)
	// ArtifactGaps are the sequences that the artifacts stream has lost.
	ArtifactGaps(ctx context.Context) ([]*eventlog.GapError, error)
	// LastSequence is the sequence of the newest event.
	LastSequence(ctx context.Context) (uint64, error)
}

// Part is what of a log is checked.
type Part struct {
	Fleet   events.FleetName
	Writers []events.PublicKey // whose ticks count
	Opening events.Head
	// Before is what the first tick must follow: the opening, or, where the part
	// begins later, what that tick says of the one before it.
	Before events.Head
	End    uint64 // sequence of the last event; 0: the end that the source has now
}

// OnBroker is a log on a broker as a source.
func OnBroker(log *eventlog.Log) Source { return onBroker{log} }

// Whole is a log from its opening to the end that it has when it is checked.
func Whole(log *eventlog.Log) Part {
	return Part{Fleet: log.Fleet(), Writers: log.Writers(), Opening: log.Opening(), Before: log.Opening()}
}

// Between is the part of a log from the tick at or before one point to the one
// at another; nil stands for the beginning, and for the end as it is when the log
// is checked. It begins with the statement that the set of the first tick is of,
// so that nothing in it is about what came before. Errors: those of
// [eventlog.Log.At].
func Between(ctx context.Context, log *eventlog.Log, from, to *eventlog.Point) (Part, error) {
	part := Whole(log)
	if to != nil {
		last, err := log.At(ctx, *to)
		if err != nil {
			return part, err
		}
		part.End = last.Head.Seq
	}
	if from == nil {
		return part, nil
	}
	first, err := log.At(ctx, *from)
	if errors.Is(err, eventlog.ErrNoTick) {
		return part, nil
	}
	if err != nil {
		return part, err
	}
	if part.End > 0 && first.Head.Seq > part.End {
		return part, errors.New("the range ends before it begins")
	}
	stated := first.Completed.Statement
	begin, end := stated.FirstSeq, stated.LastSeq
	if set := first.Completed.Set; set != nil && set.FirstSeq < begin {
		begin, end = set.FirstSeq, set.LastSeq
	}
	statement, err := log.Statement(ctx, begin, end)
	if err == nil && statement.Completed.Set != nil && statement.Completed.Set.FirstSeq < begin {
		statement, err = log.Statement(ctx, statement.Completed.Set.FirstSeq, statement.Completed.Set.LastSeq)
	}
	if err != nil {
		return part, err
	}
	part.Before = statement.Predecessor()
	if part.Before.Number == 0 {
		part.Before = part.Opening
	}
	return part, nil
}

type onBroker struct{ *eventlog.Log }

// Artifact asks any copy. That one does not hold the bytes means nothing: the
// leader is asked then.
func (l onBroker) Artifact(ctx context.Context, a events.Artifact) (manifest.Received, error) {
	received, err := l.Log.Artifact(ctx, a)
	var lost *eventlog.ArtifactError
	if errors.As(err, &lost) {
		received, err = l.ArtifactAtLeader(ctx, a)
	}
	return received, err
}

// Writer is a key whose ticks count at some times.
type Writer struct {
	Key         events.PublicKey
	From, Until time.Time // the zero time: always so far, for ever
}

func (w Writer) at(key events.PublicKey, t time.Time) bool {
	return w.Key == key && !t.Before(w.From) && (w.Until.IsZero() || t.Before(w.Until))
}

// Trust are the trust files that held one after the other, sorted by when.
type Trust []Period

// Period is how long a trust file held: from a moment on, to the next one.
type Period struct {
	From  time.Time
	Trust *manifest.Trust
}

// At is the file that held at that moment; nil: none is known.
func (t Trust) At(now time.Time) *manifest.Trust {
	var held *manifest.Trust
	for _, p := range t {
		if now.Before(p.From) {
			break
		}
		held = p.Trust
	}
	return held
}

// KnownHead is a head that the log had at some time, known from elsewhere.
type KnownHead struct {
	From    string // who knows it, for people
	Lineage string
	Number  uint64 // of the tick; 0: LogOpened
	Digest  manifest.Digest
}
