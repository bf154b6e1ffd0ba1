package producers

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"fleetlog/events"
	"fleetlog/manifest"
)

// Backoff asks a source less often while it is down, and never before the time
// that it has named in Retry-After. Until then the last error stands: ticks go on
// and state it, so that the log shows a poller at work. The first answer ends it.
// Every artifact is held back by itself.
type Backoff struct {
	Source
	interval time.Duration
	clock    func() time.Time
	random   func(n int64) int64 // uniform in [0, n)

	mu   sync.Mutex
	held map[string]hold // by rollout id; the fleet is ""
}

// hold is what is known of an artifact that did not come.
type hold struct {
	failures int
	until    time.Time
	err      error
}

// maxBackoff is the longest pause in intervals that is not asked for.
const maxBackoff = 4

// NewBackoff holds back a source that is polled at an interval. random makes
// pauses differ between the pollers of one control plane.
func NewBackoff(source Source, interval time.Duration, clock func() time.Time, random func(n int64) int64) *Backoff {
	return &Backoff{Source: source, interval: interval, clock: clock, random: random, held: make(map[string]hold)}
}

// Fleet asks the source, or returns its last error.
func (b *Backoff) Fleet(ctx context.Context, known manifest.Received) (manifest.Received, error) {
	return b.ask(ctx, "", func() (manifest.Received, error) { return b.Source.Fleet(ctx, known) })
}

// Rollout asks the source, or returns its last error.
func (b *Backoff) Rollout(ctx context.Context, id manifest.RolloutID, known manifest.Received) (manifest.Received, error) {
	return b.ask(ctx, id.String(), func() (manifest.Received, error) { return b.Source.Rollout(ctx, id, known) })
}

func (b *Backoff) ask(ctx context.Context, key string, fetch func() (manifest.Received, error)) (manifest.Received, error) {
	if err := b.holding(key); err != nil {
		return manifest.Received{}, err
	}
	received, err := fetch()
	if !errors.Is(ctx.Err(), context.Canceled) { // what was given up says nothing of the source
		b.heard(key, err)
	}
	return received, err
}

func (b *Backoff) holding(key string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if h, ok := b.held[key]; ok && b.clock().Before(h.until) {
		return h.err
	}
	return nil
}

// heard takes note of an answer. Only what says that the source is down, or that
// it wants to be left alone, is a reason to hold back: a file that is missing may
// be published at any moment.
func (b *Backoff) heard(key string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.clock()
	maps.DeleteFunc(b.held, func(_ string, h hold) bool { return now.Sub(h.until) > maxRetryAfter })
	var fetch *FetchError
	if !errors.As(err, &fetch) || !isDown(fetch) {
		delete(b.held, key)
		return
	}
	h := hold{failures: b.held[key].failures + 1, err: err}
	h.until = now.Add(max(b.pause(h.failures), fetch.RetryAfter))
	b.held[key] = h
}

func isDown(err *FetchError) bool {
	switch err.Reason {
	case events.Unreachable, events.Timeout, events.Unavailable:
		return true
	}
	return err.RetryAfter > 0
}

// pause lies between half an interval, after the first failure, and maxBackoff
// intervals.
func (b *Backoff) pause(failures int) time.Duration {
	longest := b.interval * time.Duration(min(maxBackoff, 1<<min(failures-1, maxBackoff)))
	return longest/2 + time.Duration(b.random(int64(longest/2)))
}
