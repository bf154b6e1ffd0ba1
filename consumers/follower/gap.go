package follower

import (
	"context"
	"errors"
	"fmt"

	"fleetlog/eventlog"
	"fleetlog/events"
)

// cross goes on behind messages that are lost, once the operator has accepted
// that: with the next statement behind [Config.AcceptGap], which is complete in
// itself. That it follows what came before the gap stands under its writer's
// signature.
func (f *folding) cross(ctx context.Context, gap *eventlog.GapError) error {
	if gap.First == f.log.Opening().Seq {
		return f.halt(withoutOpening(gap))
	}
	if gap.Last > f.AcceptGap {
		f.serve(f.state, f.reached())
		return f.halt(fmt.Errorf("%w; to go on without them, start once with --accept-gap %d", gap, gap.Last))
	}
	tick, err := f.nextStatement(ctx)
	if err != nil {
		return err
	}
	f.Log.WithError(gap).WithField("tick", tick.Head.Number).Warn("going on behind lost messages, as accepted")
	return f.apply(ctx, tick)
}

// errNoStatement: the writer will state everything again before long.
var errNoStatement = errors.New("no statement is stored behind the accepted gap yet")

// nextStatement reads the first tick with findings of its own that is stored
// wholly behind the accepted gap. Error: [errNoStatement].
func (f *folding) nextStatement(ctx context.Context) (*events.Tick, error) {
	last, err := f.log.LastSequence(ctx)
	if err != nil {
		return nil, err
	}
	for seq := f.AcceptGap + 1; seq <= last; seq++ {
		m, err := f.log.Message(ctx, seq)
		f.waits()
		if errors.Is(err, eventlog.ErrNoMessage) {
			return nil, fmt.Errorf("%w: sequence %d is not there either", errNoStatement, seq)
		}
		if err != nil {
			return nil, err
		}
		if tick, err := f.statementEndingAt(ctx, m, seq); tick != nil || err != nil {
			return tick, err
		}
	}
	return nil, errNoStatement
}

// statementEndingAt is the tick whose last message is m, or nil when m is not
// the end of a whole statement behind the gap and behind the position.
func (f *folding) statementEndingAt(ctx context.Context, m events.Message, seq uint64) (*events.Tick, error) {
	event, err := events.Decode(m.Body)
	if err != nil {
		return nil, nil //nolint:nilerr // noise
	}
	completed, ok := event.(*events.TickCompleted)
	if !ok || completed.Index == 0 || uint64(completed.Index) >= seq-f.AcceptGap {
		return nil, nil
	}
	tick, err := f.log.Statement(ctx, seq-uint64(completed.Index), seq-1)
	var unknown *events.UnknownTypeError
	switch {
	case errors.As(err, &unknown), errors.Is(err, eventlog.ErrUnavailable), ctx.Err() != nil:
		return nil, err
	case err != nil:
		return nil, nil //nolint:nilerr // noise
	case tick.Head.Number <= f.head.Number || tick.Head.Time < f.head.Time:
		return nil, nil
	}
	return tick, nil
}
