package cmd_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"fleetlog/consumers/fold"
	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/manifest"

	"github.com/sirupsen/logrus"
)

// witness is a reference that outlives the broker.
type witness struct {
	*reference
	rules fold.Rules
	now   fold.State
	head  events.Head
}

// witnessOf opens the log and folds it until the test ends.
func witnessOf(ctx context.Context, s *scene) *witness {
	quiet := logrus.New()
	quiet.SetOutput(io.Discard)
	nc, err := eventlog.Connect(eventlog.Connection{Endpoint: eventlog.Endpoint{URL: s.url}, Name: "witness", Log: quiet}, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(nc.Close)
	name, err := events.ParseFleetName(fleet)
	if err != nil {
		s.t.Fatal(err)
	}
	log, err := eventlog.Open(ctx, nc, eventlog.Place{Fleet: name})
	if err != nil {
		s.t.Fatal(err)
	}
	w := &witness{reference: &reference{log: log, named: make(map[manifest.Digest]bool)}, rules: s.rules, head: log.Opening()}
	following, cancel := context.WithCancel(s.t.Context()) // without a deadline, behind which a lost answer would be waited for
	var done sync.WaitGroup
	done.Go(func() {
		if err := w.run(following); following.Err() == nil {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.err = err
		}
	})
	s.t.Cleanup(func() {
		cancel()
		done.Wait()
	})
	return w
}

func (w *witness) run(ctx context.Context) error {
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		if err := w.follow(ctx); !errors.Is(err, eventlog.ErrUnavailable) {
			return err
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (w *witness) follow(ctx context.Context) error {
	for delivery, err := range w.log.Follow(ctx, w.head) {
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
		artifacts, err := w.log.StatementArtifacts(ctx, tick.Findings, nil)
		if err != nil {
			return err
		}
		next, verdict := fold.Apply(w.now, tick, artifacts, w.rules)
		if verdict.Diverged {
			return fmt.Errorf("tick %d: the fold differs from the writer: %+v", tick.Head.Number, verdict)
		}
		w.add(tick, w.now, next)
		w.now, w.head = next, tick.Head
	}
	return ctx.Err()
}
