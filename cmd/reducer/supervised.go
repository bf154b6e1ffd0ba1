package main

import (
	"fmt"

	"fleetlog/consumers/follower"
	"fleetlog/internal/process"
)

// supervised tells the supervisor how a reducer fares. It is used by the
// reducer's own goroutine.
type supervised struct {
	health   *process.Health
	notifier *process.Notifier
	reducer  *follower.Reducer // once it is made
	reason   error             // why it is not ready
}

// ready is what the reducer tells of its readiness. Only one that has caught up
// is: nothing downstream may start on an empty set.
func (s *supervised) ready(reason error) {
	s.reason = reason
	s.health.SetReady(reason)
	if reason == nil {
		s.notifier.Ready()
		return
	}
	s.notifier.Status(s.standing())
}

// alive is what the reducer tells of its progress.
func (s *supervised) alive(p follower.Progress) {
	s.notifier.Watchdog()
	if p.CaughtUp || p.Stored == 0 {
		s.notifier.Status(s.standing())
	} else {
		s.notifier.Status(replaying(p))
	}
}

func (s *supervised) standing() string {
	if s.reason != nil {
		return "not ready: " + s.reason.Error()
	}
	state, position := s.reducer.Current()
	channels := 0
	if state.Set != nil {
		channels = len(state.Set.Rollouts())
	}
	return fmt.Sprintf("tick %d, %d channels", position.Tick, channels)
}

func replaying(p follower.Progress) string {
	return fmt.Sprintf("replaying %d %%, %s of %s messages", 100*p.Sequence/p.Stored, grouped(p.Sequence), grouped(p.Stored))
}

// grouped writes a number with a comma before every three digits.
func grouped(n uint64) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", grouped(n/1000), n%1000)
}
