package eventlog

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// TestAnswersHaveTheirMeaning gives the answers of the API and the library's own
// errors: which of them pass by themselves decides whether a process goes on.
func TestAnswersHaveTheirMeaning(t *testing.T) {
	answer := func(status int, code jetstream.ErrorCode) error {
		return fmt.Errorf("library: %w", &jetstream.APIError{Code: status, ErrorCode: code, Description: "D"})
	}
	for what, c := range map[string]struct{ err, want error }{
		"no message":       {answer(404, codeNoMessage), ErrNoMessage},
		"no stream":        {answer(404, codeStreamNotFound), ErrMissing},
		"no leader":        {answer(503, codeNoLeader), ErrUnavailable},
		"storage exceeded": {answer(500, codeStorageExceeded), ErrLogFull},
		"account exceeded": {answer(400, codeAccountExceeded), ErrLogFull},
		"store failed":     {answer(503, codeStoreFailed), ErrLogFull},
		"large batch":      {answer(400, codeBatchTooLarge), ErrBatchTooLarge},
		"timeout":          {context.DeadlineExceeded, ErrUnavailable},
		"no responders":    {nats.ErrNoResponders, ErrUnavailable},
		"not connected":    {nats.ErrReconnectBufExceeded, ErrUnavailable},
		"told to stop":     {context.Canceled, context.Canceled},
	} {
		if got := apiError("ask", c.err); !errors.Is(got, c.want) {
			t.Errorf("%s: %v, want %v", what, got, c.want)
		}
	}
	for what, err := range map[string]error{
		"wrong sequence": answer(400, codeWrongLastSequence), "told to stop": context.Canceled, "large message": nats.ErrMaxPayload,
	} {
		if got := apiError("ask", err); errors.Is(got, ErrUnavailable) {
			t.Errorf("%s: %v would be tried again", what, got)
		}
	}
	if apiError("ask", nil) != nil {
		t.Error("no error has become one")
	}
}
