package main

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"fleetlog/consumers/bundle"
	"fleetlog/consumers/explain"
	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/manifest"
)

// TestFailuresHaveCodes: every error that commands tell apart has a code, and
// every such code a page.
func TestFailuresHaveCodes(t *testing.T) {
	errs := map[error]string{
		&manifest.Rejection{Kind: manifest.KindStale}: "Stale", &eventlog.DriftError{}: "streams", &eventlog.GapError{}: "gap",
		&bundle.FormError{}: "bundle", &events.UnknownTypeError{}: "UnknownEvent",
	}
	for _, k := range codes() {
		errs[k.err] = k.code
	}
	for err, want := range errs {
		if got := codeOf(could(fmt.Errorf("read: %w", err))); got != want {
			t.Errorf("%T %v: code %q, want %q", err, err, got, want)
		}
		if _, ok := explain.Find(want); !ok {
			t.Errorf("code %s has no page", want)
		}
	}
	if got := codeOf(errors.New("any")); got != "" {
		t.Errorf("an error without a code has %q", got)
	}
	if err := could(context.Canceled); err != context.Canceled { //nolint:errorlint // it must be left as it is
		t.Errorf("a signal's error became %v", err)
	}
}
