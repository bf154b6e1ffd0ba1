package eventlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"fleetlog/events"
	"fleetlog/internal/failpoint"
	"fleetlog/manifest"

	"github.com/nats-io/nats.go"
)

// Kept is an artifact that the stream holds; the zero value is none.
type Kept struct {
	Body  []byte
	Parts []uint64 // sequences
}

// part is the sequence that holds these bytes of the artifact at that place, 0 for
// none.
func (k Kept) part(n int, data []byte) uint64 {
	from := n * events.PartSize
	if n >= len(k.Parts) || from >= len(k.Body) || !bytes.Equal(k.Body[from:min(len(k.Body), from+events.PartSize)], data) {
		return 0
	}
	return k.Parts[n]
}

// PutArtifact stores received bytes under the subject as parts of
// [events.PartSize] bytes, several as one atomic batch, and returns the sequences
// that hold them. Parts that are the same in like are named again instead. They
// are durable when it returns. After an error the parts may be stored all the
// same: that costs room and nothing else.
func (l *Log) PutArtifact(ctx context.Context, subject string, body []byte, like Kept) ([]uint64, error) {
	if len(body) == 0 || len(body) > manifest.MaxArtifact {
		return nil, fmt.Errorf("store artifact: %d bytes are not an artifact", len(body))
	}
	var sequences []uint64
	var parts []*nats.Msg
	for data := range slices.Chunk(body, events.PartSize) {
		sequence := like.part(len(sequences), data)
		if sequence == 0 {
			parts = append(parts, &nats.Msg{Subject: subject, Header: nats.Header{}, Data: data})
		}
		sequences = append(sequences, sequence)
	}
	if len(parts) == 0 {
		return sequences, nil
	}
	if err := failpoint.At("artifact"); err != nil {
		return nil, err
	}
	last, err := l.publish(ctx, parts)
	if err != nil {
		return nil, apiError("store artifact in "+l.place.Fleet.ArtifactsStream(), err)
	}
	next := last - uint64(len(parts)-1)
	for i := range sequences {
		if sequences[i] == 0 {
			sequences[i], next = next, next+1
		}
	}
	return sequences, nil
}

// Artifact reads the bytes that an event names, from any copy, and compares
// their hash. It reads no more than the size that the event gives. Error:
// [*ArtifactError] when the stream does not hold them, which on a copy that
// lags may pass; [ErrUnavailable].
func (l *Log) Artifact(ctx context.Context, a events.Artifact) (manifest.Received, error) {
	return readArtifact(ctx, anyCopy{l.artifacts, l}, a)
}

func readArtifact(ctx context.Context, from source, a events.Artifact) (manifest.Received, error) {
	body := make([]byte, 0, a.Size)
	for _, seq := range a.Parts {
		part, err := from.message(ctx, seq)
		if errors.Is(err, ErrNoMessage) {
			return manifest.Received{}, &ArtifactError{a, err}
		}
		if err != nil {
			return manifest.Received{}, err
		}
		if len(body)+len(part.Body) > a.Size {
			return manifest.Received{}, &ArtifactError{a, errors.New("stored parts are larger than the event says")}
		}
		body = append(body, part.Body...)
	}
	if len(body) != a.Size || manifest.Sum(body) != a.SHA256 {
		return manifest.Received{}, &ArtifactError{a, errors.New("stored parts are other bytes than the event says")}
	}
	return manifest.Received{Body: body, Signature: a.Signature}, nil
}

// StatementArtifacts are the bytes that a verified statement names.
type StatementArtifacts struct {
	Fleet    manifest.Received
	Rollouts map[string]manifest.Received // by channel
}

// Held are bytes that a reader has already, by their hash.
type Held map[manifest.Digest][]byte

// readers is how many artifacts are read at once.
const readers = 8

// StatementArtifacts are the bytes of every artifact that the findings of a
// statement name: those that are held already, and what is read for the rest.
// Errors are those of [Log.Artifact].
func (l *Log) StatementArtifacts(ctx context.Context, findings []events.Finding, held Held) (*StatementArtifacts, error) {
	return readArtifacts(ctx, anyCopy{l.artifacts, l}, findings, held)
}

func readArtifacts(ctx context.Context, from source, findings []events.Finding, held Held) (*StatementArtifacts, error) {
	all := &StatementArtifacts{Rollouts: make(map[string]manifest.Received)}
	naming := slices.DeleteFunc(slices.Clone(findings), func(f events.Finding) bool { return events.ArtifactOf(f) == nil })
	for some := range slices.Chunk(naming, readers) {
		received, errs := make([]manifest.Received, len(some)), make([]error, len(some))
		var reading sync.WaitGroup
		for i, f := range some {
			a := *events.ArtifactOf(f)
			reading.Go(func() {
				received[i], errs[i] = held.or(a, func() (manifest.Received, error) { return readArtifact(ctx, from, a) })
			})
		}
		reading.Wait()
		for i, f := range some { // in the statement's order, so that the same loss has the same words
			if errs[i] != nil {
				return nil, errs[i]
			}
			if channel, ok := f.ChannelName(); ok {
				all.Rollouts[channel] = received[i]
			} else {
				all.Fleet = received[i]
			}
		}
	}
	return all, nil
}

// or is the artifact where it is held, else what read gives.
func (h Held) or(a events.Artifact, read func() (manifest.Received, error)) (manifest.Received, error) {
	if body, ok := h[a.SHA256]; ok {
		return manifest.Received{Body: body, Signature: a.Signature}, nil
	}
	return read()
}
