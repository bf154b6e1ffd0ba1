package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"fleetlog/consumers/anchor"
	"fleetlog/consumers/check"
	"fleetlog/eventlog"
	"fleetlog/events"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"
)

// open opens the log. When it is not, or holds no more, what was seen of it
// before, that is said, and answers go on: they are about what is there.
func (f *logFlags) open(cmd *cobra.Command, nc *nats.Conn, place eventlog.Place) (*eventlog.Log, error) {
	log, _, err := f.openKnown(cmd, nc, place)
	return log, err
}

// openKnown is [logFlags.open] for an audit, which has to find what was seen of
// the log before.
func (f *logFlags) openKnown(cmd *cobra.Command, nc *nats.Conn, place eventlog.Place) (*eventlog.Log, []check.KnownHead, error) {
	log, err := eventlog.Open(cmd.Context(), nc, place)
	dir := memoryDir()
	if err != nil || dir == "" {
		return log, nil, err
	}
	known, err := anchor.NewMemory(dir).Compare(cmd.Context(), log, fmt.Sprintf("%s|%s|%s", f.endpoint.URL, f.endpoint.Context, f.domain))
	switch {
	case errors.Is(err, context.Canceled):
		return nil, nil, err
	case err != nil && !isOfReading(err): // an answer does not depend on it
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: %v\n", cmd.Root().Name(), err)
	}
	return log, known, nil
}

// isOfReading tells errors that whoever reads the log further will meet and tell.
func isOfReading(err error) bool {
	var unknown *events.UnknownTypeError
	var gap *eventlog.GapError
	return errors.As(err, &unknown) || errors.As(err, &gap) || errors.Is(err, eventlog.ErrUnavailable)
}

// memoryDir is where heads are remembered; empty: nowhere.
func memoryDir() string {
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "fleetlog")
	}
	if home := os.Getenv("HOME"); home != "" {
		return filepath.Join(home, ".local", "state", "fleetlog")
	}
	return ""
}
