package main

import (
	"context"
	"errors"

	"fleetlog/consumers/bundle"
	"fleetlog/consumers/check"
	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/manifest"
)

// codes are those of errors that are told apart by their identity.
func codes() []known {
	return []known{
		{eventlog.ErrUnavailable, string(events.BrokerUnavailable)},
		{eventlog.ErrLogFull, string(events.LogFull)},
		{eventlog.ErrContention, string(events.Contention)},
		{eventlog.ErrMissing, "NoLog"},
		{eventlog.ErrNoTick, "NoTick"},
		{events.ErrNotOpened, string(check.CodeOpening)},
		{eventlog.ErrArtifactsLost, string(check.CodeArtifactGap)},
		{context.DeadlineExceeded, string(events.Timeout)},
	}
}

type known struct {
	err  error
	code string
}

// codeOf is the stable code of an error, which explain has a page of; "" for one
// that has none.
func codeOf(err error) string {
	var rejection *manifest.Rejection
	var drift *eventlog.DriftError
	var gap *eventlog.GapError
	var form *bundle.FormError
	var unknown *events.UnknownTypeError
	switch {
	case errors.As(err, &rejection):
		return string(rejection.Kind)
	case errors.As(err, &drift):
		return string(check.CodeStreams)
	case errors.As(err, &gap):
		return string(check.CodeGap)
	case errors.As(err, &form):
		return string(check.CodeBundle)
	case errors.As(err, &unknown):
		return "UnknownEvent"
	}
	for _, k := range codes() {
		if errors.Is(err, k.err) {
			return k.code
		}
	}
	return ""
}
