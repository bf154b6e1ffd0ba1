package main

import (
	"fmt"

	"fleetlog/events"
	"fleetlog/internal/process"
)

// supervised tells the supervisor how a poller fares.
type supervised struct {
	health   *process.Health
	notifier *process.Notifier
}

// ready is what the poller tells of its readiness.
func (s supervised) ready(reason error) {
	s.health.SetReady(reason)
	if reason != nil {
		s.notifier.Status("tick not recorded: " + reason.Error())
	}
}

// committed is told every tick that is recorded.
func (s supervised) committed(tick *events.Tick) {
	t := tick.Completed
	s.notifier.Status(fmt.Sprintf("tick %d at %s %s: %s", t.Number, t.Time, t.Outcome, t.Message))
}
