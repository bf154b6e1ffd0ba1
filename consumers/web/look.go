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
	// lookEvery is for how long a look is good, and at least for as long as it took:
	// the broker is asked no more often, however many are watching.
	lookEvery = time.Second
	// failedEvery is for how long a look is good that failed.
	failedEvery = 5 * time.Second
	// lookPatience is how long the broker may take to answer a look: the statement
	// of a fleet of ten thousand channels takes seconds.
	lookPatience = 10 * time.Second
	// shortPatience is the same while this reducer is not ready itself, which is
	// most often because the broker is away.
	shortPatience = 2 * time.Second
)

// shared is one look for all who want one at a time.
type shared struct {
	look  Look
	turn  chan struct{} // holds one: who has it looks
	clock func() time.Time
	ready func() error

	mu   sync.Mutex
	kept kept
}

func (s *Server) share() *shared {
	seen := &shared{look: s.Look, turn: make(chan struct{}, 1), clock: s.Clock, ready: s.Ready}
	seen.turn <- struct{}{}
	return seen
}

// newest is what somebody has just seen. That a client
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
	patience := lookPatience
	if s.ready() != nil {
		patience = shortPatience
	}
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	begun := s.clock()
	seen, err := s.look(bounded)
	if ctx.Err() == nil {
		now := s.clock()
		s.keep(kept{now, now.Sub(begun), seen, err})
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
	took time.Duration
	seen Seen
	err  error
}

func (k kept) good(now time.Time) bool {
	limit := max(lookEvery, k.took)
	if k.err != nil {
		limit = failedEvery
	}
	age := now.Sub(k.at)
	return !k.at.IsZero() && age >= 0 && age < limit
}
