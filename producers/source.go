package producers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"fleetlog/events"
	"fleetlog/manifest"
)

// Source serves one release. Its errors are [*FetchError].
type Source interface {
	// Kind is the `source` of FleetFetched.
	Kind() string
	// Fleet fetches fleet.resolved.json and its signature, without judging
	// them. What is the same in known may be returned in that memory; when nothing is
	// known, the source is asked for the bytes, not whether they are still the same.
	Fleet(ctx context.Context, known manifest.Received) (manifest.Received, error)
	// Rollout fetches the manifest of that id and its signature in the same
	// way.
	Rollout(ctx context.Context, id manifest.RolloutID, known manifest.Received) (manifest.Received, error)
	// CheckIdentity refuses, before any request, an id under which this source
	// can never serve a rollout.
	CheckIdentity(id manifest.RolloutID) error
}

// FetchError says why nothing came. Its detail is the same for the same cause:
// it goes into signed events.
type FetchError struct {
	Reason     events.Reason
	Detail     string
	RetryAfter time.Duration // asked for by the server, else 0
	Err        error
}

// Error names reason, detail and cause.
func (e *FetchError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %s: %v", e.Reason, e.Detail, e.Err)
	}
	return fmt.Sprintf("%s: %s", e.Reason, e.Detail)
}

// Unwrap returns the cause.
func (e *FetchError) Unwrap() error { return e.Err }

// asFetchError gives an error that a source returned its reason.
func asFetchError(err error) *FetchError {
	var fetch *FetchError
	if errors.As(err, &fetch) {
		return fetch
	}
	return &FetchError{Reason: events.Unreachable, Detail: "fetch failed", Err: err}
}

// signatureRead is how much of a signature is read: one byte more than it has,
// so that a longer one is seen to be wrong.
const signatureRead = manifest.SignatureSize + 1

// checkIdentity refuses an id that is no part of any path.
func checkIdentity(id manifest.RolloutID) error {
	if err := id.CheckName(); err != nil {
		return &FetchError{Reason: events.IdentityUnservable, Detail: err.Error()}
	}
	return nil
}
