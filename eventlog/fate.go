package eventlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"fleetlog/events"

	"github.com/cenkalti/backoff/v5"
)

// learnFate asks until it is known what has become of the tick: nothing is
// published before.
func (w *Writer) learnFate(ctx context.Context, tick *events.Tick, pause backoff.BackOff) (mine bool, err error) {
	for {
		mine, err := w.fate(ctx, tick)
		if !errors.Is(err, ErrUnavailable) {
			return mine, err
		}
		if err := rest(ctx, pause); err != nil {
			return false, err
		}
	}
}

func rest(ctx context.Context, pause backoff.BackOff) error {
	select {
	case <-ctx.Done():
		return fmt.Errorf("append tick: %w: %w", ErrUnavailable, context.Cause(ctx))
	case <-time.After(pause.NextBackOff()):
		return nil
	}
}

// fate reads what has become of the tick after an error.
func (w *Writer) fate(ctx context.Context, tick *events.Tick) (mine bool, err error) {
	before := w.base.Head.Digest
	other, err := w.Refresh(ctx)
	switch head := w.base.Head; {
	case err != nil || head.Digest == before:
		return false, err
	case head.Digest == tick.Head.Digest:
		return true, nil
	case other:
		return false, &OtherWriterError{head}
	}
	return false, fmt.Errorf("append tick: an earlier attempt was stored meanwhile: %w", ErrContention)
}
