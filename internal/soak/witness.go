package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"sync"
	"time"

	"fleetlog/eventlog"
	"fleetlog/events"
)

// witness remembers every tick that somebody was told of: a reader of the log
// while it grew, or a poller that was told that its tick is stored. The log must
// hold them all in the end.
type witness struct {
	log   *eventlog.Log
	clock func() time.Time

	mu      sync.Mutex
	err     error
	ticks   map[uint64]string // digest by number
	acked   int
	last    time.Time // when the newest tick was read
	longest time.Duration
}

func newWitness(log *eventlog.Log, clock func() time.Time) *witness {
	return &witness{log: log, clock: clock, ticks: make(map[uint64]string)}
}

// fail keeps the first error, which the soak fails with.
func (w *witness) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
	}
}

func (w *witness) failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// follow reads the log from its beginning until ctx ends, again and again from
// where the broker went away.
func (w *witness) follow(ctx context.Context) {
	head := w.log.Opening()
	for ctx.Err() == nil {
		for delivery, err := range w.log.Follow(ctx, head) {
			switch {
			case ctx.Err() != nil:
				return
			case errors.Is(err, eventlog.ErrUnavailable), errors.Is(err, eventlog.ErrMissing): // for the moment
			case err != nil:
				w.fail(fmt.Errorf("follow the log behind tick %d: %w", head.Number, err))
				return
			case len(delivery.Noise) > 0:
				w.fail(fmt.Errorf("noise in the log at %d: %w", delivery.Seq, delivery.Noise[0].Why))
			case delivery.Tick != nil:
				head = delivery.Tick.Head
				w.read(head)
			}
		}
		pause(ctx, time.Second)
	}
}

func (w *witness) read(h events.Head) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.clock()
	if !w.last.IsZero() {
		w.longest = max(w.longest, now.Sub(w.last))
	}
	w.last = now
	w.saw(h.Number, h.Digest.String(), "the log")
}

// saw takes a tick. Another one of its number is a fork.
func (w *witness) saw(number uint64, digest, who string) {
	if before, ok := w.ticks[number]; ok && before != digest && w.err == nil {
		w.err = fmt.Errorf("%s has tick %d as %s, which was %s before", who, number, digest, before)
	}
	w.ticks[number] = digest
}

var recorded = regexp.MustCompile(`(?m)^\{"crossCheckFailed.*"digest":"([0-9a-f]{64})".*"msg":"tick recorded".*"tick":(\d+)`)

// listen takes in what a poller said that it was told.
func (w *witness) listen(name, said string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, match := range recorded.FindAllStringSubmatch(said, -1) {
		if number, err := strconv.ParseUint(match[2], 10, 64); err == nil {
			w.acked++
			w.saw(number, match[1], name)
		}
	}
}

// newest is the number of the newest tick read.
func (w *witness) newest() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	var newest uint64
	for number := range w.ticks {
		newest = max(newest, number)
	}
	return newest
}

// goesOn waits until there are newer ticks than now.
func (w *witness) goesOn(ctx context.Context) error {
	before := w.newest()
	return until(ctx, "newer ticks", func() bool { return w.newest() > before+1 || w.failure() != nil })
}

// lookEvery is how often is looked whether what is waited for holds.
const lookEvery = 100 * time.Millisecond

func until(ctx context.Context, what string, holds func() bool) error {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, context.Cause(ctx))
		case <-look.C:
		}
	}
	return nil
}

// pause waits; false when ctx ended before.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
