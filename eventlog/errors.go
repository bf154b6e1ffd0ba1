package eventlog

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"fleetlog/events"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Errors that callers tell apart.
var (
	// ErrNoMessage: the stream holds nothing at that place.
	ErrNoMessage = errors.New("no such message")
	// ErrUnavailable: the broker did not answer; nothing is known about what
	// was asked of it.
	ErrUnavailable = errors.New("broker unavailable")
	// ErrLogFull: the stream, the account or the server has no room for the tick.
	ErrLogFull = errors.New("log is full")
	// ErrBatchTooLarge: the server takes fewer messages in one batch than the
	// tick has.
	ErrBatchTooLarge = errors.New("tick has more messages than the server takes in one batch: raise jetstream.limits.batch.max_msgs")
	// ErrContention: noise slipped in before every attempt.
	ErrContention = errors.New("other messages came before the tick each time")
	// ErrMissing: a stream of the log does not exist.
	ErrMissing = errors.New("stream does not exist: make the log with fleetlog provision, or correct --fleet or --nats-domain")
	// ErrAhead: the position that reading should continue from is beyond the
	// stream's end, or holds another message than it did.
	ErrAhead = errors.New("stream does not hold the position read before: it was put back from an older copy, cut short, or made anew")
	// ErrNoTick: the log has no tick at or before the point asked for.
	ErrNoTick = errors.New("no tick at or before that point")
)

// OtherWriterError says that another writer's tick came first; the writer is
// standby.
type OtherWriterError struct{ Head events.Head }

// Error names the other writer's tick.
func (e *OtherWriterError) Error() string {
	return fmt.Sprintf("another writer appended tick %d at sequence %d", e.Head.Number, e.Head.Seq)
}

// GapError says that messages are missing from a stream that deletes nothing.
type GapError struct {
	Stream      string
	First, Last uint64
}

// Error names the missing sequences.
func (e *GapError) Error() string {
	return fmt.Sprintf("stream %s has lost sequences %d to %d", e.Stream, e.First, e.Last)
}

// ArtifactError says that the artifacts stream does not hold what an event
// names.
type ArtifactError struct {
	Artifact events.Artifact
	Err      error
}

// Error names the artifact.
func (e *ArtifactError) Error() string {
	return fmt.Sprintf("artifact %s: %v", e.Artifact.SHA256, e.Err)
}

// Unwrap returns the cause.
func (e *ArtifactError) Unwrap() error { return e.Err }

// Codes of the JetStream API, as its server documents them.
const (
	codeAccountExceeded       = 10002
	codeNoLeader              = 10008
	codeInsufficientResources = 10023
	codeNoMessage             = 10037
	codeStorageExceeded       = 10047
	codeStoreNotMade          = 10049
	codeStreamNotFound        = 10059
	codeWrongLastSequence     = 10071
	codeStoreFailed           = 10077
	codeExpectationRaced      = 10164
	codeBatchIncomplete       = 10176
	codeTooManyBatches        = 10210
	codeBatchTooLarge         = 10199
)

// apiError gives an answer of the JetStream API its meaning here.
func apiError(what string, err error) error {
	if err == nil {
		return nil
	}
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return unanswered(what, err)
	}
	switch api.ErrorCode {
	case codeNoMessage:
		return fmt.Errorf("%s: %w", what, ErrNoMessage)
	case codeStreamNotFound:
		return fmt.Errorf("%s: %w", what, ErrMissing)
	case codeBatchTooLarge:
		return fmt.Errorf("%s: %w", what, ErrBatchTooLarge)
	case codeStoreFailed:
		return fmt.Errorf("%s: %w: %s: raise the stream's max bytes, or make room on the server's disk", what, ErrLogFull, strings.ToLower(api.Description))
	case codeAccountExceeded, codeStorageExceeded, codeInsufficientResources:
		return fmt.Errorf("%s: %w: %s: raise max_file of the account or max_file_store of the server, above the sum of all streams' max bytes",
			what, ErrLogFull, strings.ToLower(api.Description))
	}
	if api.Code == http.StatusServiceUnavailable { // such as a stream without a leader: it passes
		return fmt.Errorf("%s: %w: %w", what, ErrUnavailable, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// unanswered gives an error that is no answer of the API its meaning.
func unanswered(what string, err error) error {
	switch {
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: %w", what, err)
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return fmt.Errorf("%s: %w", what, ErrNoMessage)
	case errors.Is(err, nats.ErrReconnectBufExceeded): // nothing is kept for later while there is no connection
		return fmt.Errorf("%s: %w: not connected to it", what, ErrUnavailable)
	case errors.Is(err, nats.ErrMaxPayload):
		return fmt.Errorf("%s: message is larger than the server's max_payload: %w", what, err)
	}
	return fmt.Errorf("%s: %w: %w", what, ErrUnavailable, err)
}
