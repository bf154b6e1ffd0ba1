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
	progress *process.Progress
	notifier *process.Notifier
	reducer  *follower.Reducer // once it is made
	reason   error             // why it is not ready
	percent  uint64            // replayed
	step     string            // what was said at that
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
	s.progress.Step()
	s.notifier.Watchdog()
	if p.CaughtUp || p.Stored == 0 {
		s.notifier.Status(s.standing())
	} else {
		s.notifier.Status(s.replaying(p))
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

// replaying says something else at every percent only.
func (s *supervised) replaying(p follower.Progress) string {
	if percent := 100 * p.Sequence / p.Stored; percent != s.percent || s.step == "" {
		s.percent = percent
		s.step = fmt.Sprintf("replaying %d %%, %s of %s messages", percent, grouped(p.Sequence), grouped(p.Stored))
	}
	return s.step
}

// grouped writes a number with a comma before every three digits.
func grouped(n uint64) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", grouped(n/1000), n%1000)
}
