package web

import (
	"context"
	"sync"
	"time"

	"fleetlog/consumers/status"
	"fleetlog/consumers/view"
)

// Seen is how things stand, and what changed of late.
type Seen struct {
	status.Status
	Changes []view.Change // of the ticks in Recent, newest first
}

// Look tells how things stand by the log. An error says why it cannot be asked.
type Look func(ctx context.Context) (Seen, error)

const (
	// lookEvery is for how long a look is good: the broker is asked no more often,
	// however many are watching.
	lookEvery = time.Second
	// failedEvery is for how long a look is good that failed: it may have taken all
	// of lookPatience.
	failedEvery = 5 * time.Second
	// lookPatience is how long the broker may take to answer a look.
	lookPatience = 3 * time.Second
)

// shared is one look for all who want one at a time.
type shared struct {
	look  Look
	turn  chan struct{} // holds one: who has it looks
	clock func() time.Time

	mu   sync.Mutex
	kept kept
}

func share(look Look, clock func() time.Time) *shared {
	s := &shared{look: look, turn: make(chan struct{}, 1), clock: clock}
	s.turn <- struct{}{}
	return s
}

// newest is what was seen within the last second, by somebody. That a client
// has left is nobody else's result.
func (s *shared) newest(ctx context.Context) (Seen, error) {
	if k := s.last(); k.good(s.clock()) {
		return k.seen, k.err
	}
	select {
	case <-s.turn:
		defer func() { s.turn <- struct{}{} }()
	case <-ctx.Done():
		return Seen{}, ctx.Err()
	}
	if k := s.last(); k.good(s.clock()) {
		return k.seen, k.err
	}
	bounded, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	seen, err := s.look(bounded)
	if ctx.Err() == nil {
		s.keep(kept{s.clock(), seen, err})
	}
	return seen, err
}

func (s *shared) last() kept {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kept
}

func (s *shared) keep(k kept) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = k
}

// kept is what somebody saw.
type kept struct {
	at   time.Time // zero: nobody has looked
	seen Seen
	err  error
}

func (k kept) good(now time.Time) bool {
	limit := lookEvery
	if k.err != nil {
		limit = failedEvery
	}
	age := now.Sub(k.at)
	return !k.at.IsZero() && age >= 0 && age < limit
}
