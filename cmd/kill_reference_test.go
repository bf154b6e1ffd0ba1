package cmd_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"

	"fleetlog/consumers/fold"
	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/manifest"

	"github.com/sirupsen/logrus"
)

// held is what a reader of the log holds behind a tick.
type held struct {
	Sequence uint64
	Event    string // digest of the tick's last event
	Tick     uint64
	Set      string
	Floor    string
}

// reference is a reader that is never interrupted: it folds the whole log from
// its beginning.
type reference struct {
	log *eventlog.Log

	mu    sync.Mutex
	err   error
	ticks []tickHeld
	named map[manifest.Digest]bool
}

type tickHeld struct {
	held
	time    events.Time
	changed bool // another set than behind the tick before
}

// follow opens the log when the poller has made it, and folds it until the test
// ends. At every tick it has the next release published.
func (s *scene) follow(ctx context.Context) *reference {
	quiet := logrus.New()
	quiet.SetOutput(io.Discard)
	nc, err := eventlog.Connect(eventlog.Connection{Endpoint: eventlog.Endpoint{URL: s.url}, Name: "reference", Log: quiet}, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(nc.Close)
	name, err := events.ParseFleetName(fleet)
	if err != nil {
		s.t.Fatal(err)
	}
	r := &reference{named: make(map[manifest.Digest]bool)}
	wait(ctx, s.t, "the log", func() bool {
		r.log, err = eventlog.Open(ctx, nc, eventlog.Place{Fleet: name})
		return err == nil
	})
	ctx, cancel := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() {
		if err := r.run(ctx, s); err != nil && ctx.Err() == nil {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.err = err
		}
	})
	s.t.Cleanup(func() {
		cancel()
		done.Wait()
	})
	return r
}

func (r *reference) run(ctx context.Context, s *scene) error {
	var now fold.State
	for delivery, err := range r.log.Follow(ctx, r.log.Opening()) {
		if err != nil {
			return err
		}
		if len(delivery.Noise) > 0 {
			return fmt.Errorf("noise in the log: %w", delivery.Noise[0].Why)
		}
		tick := delivery.Tick
		if tick == nil {
			continue
		}
		if err := s.publish(); err != nil {
			return err
		}
		artifacts, err := r.log.StatementArtifacts(ctx, tick.Findings, nil)
		if err != nil {
			return err
		}
		next, verdict := fold.Apply(now, tick, artifacts, s.rules)
		if verdict.Diverged {
			return fmt.Errorf("tick %d: the fold differs from the writer: %+v", tick.Head.Number, verdict)
		}
		r.add(tick, now, next)
		now = next
	}
	return nil
}

func (r *reference) add(tick *events.Tick, before, now fold.State) {
	t := tickHeld{time: tick.Head.Time, changed: before.Set == nil || before.Set.Digest() != now.Set.Digest()}
	t.held = held{
		Sequence: tick.Head.Seq, Event: tick.Head.Digest.String(), Tick: tick.Head.Number,
		Set: now.Set.Digest().String(), Floor: fmt.Sprint(now.Floor.SignedAt, " ", now.Floor.FleetHash),
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ticks = append(r.ticks, t)
	r.named[tick.Completed.Set.Digest] = true
}

// snapshot is what has been folded so far; a reference that cannot go on ends
// the test.
func (r *reference) snapshot(t *testing.T) []tickHeld {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		t.Fatalf("reference: %v", r.err)
	}
	return r.ticks
}

// last is the number of ticks folded so far.
func (r *reference) last() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.ticks)
}

// names tells whether a tick says that it leaves this set.
func (r *reference) names(set manifest.Digest) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.named[set]
}

// end is the end of the log at this moment, once the reference has reached it.
func (r *reference) end(ctx context.Context, t *testing.T) uint64 {
	t.Helper()
	head, err := r.log.Head(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if head.Completed != nil {
		r.at(ctx, t, head.Seq)
	}
	return head.Seq
}

// at is what the reference held behind the tick that ends at the sequence. A
// sequence at which none ends, other than the log's opening, is an error.
func (r *reference) at(ctx context.Context, t *testing.T, seq uint64) held {
	t.Helper()
	if opening := r.log.Opening(); seq == opening.Seq {
		return held{Sequence: seq, Event: opening.Digest.String()}
	}
	var ticks []tickHeld
	wait(ctx, t, fmt.Sprintf("the reference to reach sequence %d", seq), func() bool {
		ticks = r.snapshot(t)
		return len(ticks) > 0 && ticks[len(ticks)-1].Sequence >= seq
	})
	i, ok := slices.BinarySearchFunc(ticks, seq, func(t tickHeld, seq uint64) int { return int(t.Sequence) - int(seq) })
	if !ok {
		t.Fatalf("no tick ends at sequence %d", seq)
	}
	return ticks[i].held
}

// changesSince is how often a second the set has changed since the n-th tick, by
// the ticks' own times.
func (r *reference) changesSince(n int) float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n == 0 || n >= len(r.ticks) {
		n = 1
	}
	changes := 0
	for _, t := range r.ticks[n:] {
		if t.changed {
			changes++
		}
	}
	took := r.ticks[len(r.ticks)-1].time.Time().Sub(r.ticks[n-1].time.Time())
	return float64(changes) / took.Seconds()
}
