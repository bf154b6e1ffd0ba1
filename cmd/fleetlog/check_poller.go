package main

import (
	"fmt"
	"time"

	"fleetlog/consumers/status"
	"fleetlog/events"
	"fleetlog/internal/monitor"

	"github.com/spf13/cobra"
)

type pollerCheckFlags struct {
	checkFlags
	judgingFlags
	warn, crit time.Duration
}

// Intervals without a verified tick, where no limits are given.
const (
	warnIntervals = 3
	critIntervals = 6
)

func pollerCheck() *cobra.Command {
	var f pollerCheckFlags
	cmd := &cobra.Command{
		Use:   "poller",
		Short: "how long ago a poller last verified the fleet",
		Long: `poller looks in the log for the newest tick of any kind, and for the newest one whose
fleet was verified: from three of the poller's own intervals without on it is a warning,
from six on it is critical. What the newest tick refused or kept unfetched is a warning.`,
		Example: `fleetlog check poller --fleet prod
fleetlog check poller --fleet prod --warn 2m --crit 10m`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r := &monitor.Result{Check: "poller", Fleet: f.fleet}
			s, err := f.status(cmd)
			if err == nil {
				f.judge(r, s)
			}
			return f.answer(cmd, r, err)
		},
	}
	f.judgingFlags.register(cmd.Flags())
	f.checkFlags.register(cmd.Flags())
	cmd.Flags().DurationVar(&f.warn, "warn", 0, "age of the last success from which on it is a warning; without it three intervals")
	cmd.Flags().DurationVar(&f.crit, "crit", 0, "age of the last success from which on it is critical; without it six intervals")
	return cmd
}

func (f *pollerCheckFlags) judge(r *monitor.Result, s *status.Status) {
	p := s.Processes[0]
	if p.LastAttempt == nil {
		r.Add(monitor.Critical, "the log holds no tick")
		return
	}
	interval := time.Duration(p.IntervalMs) * time.Millisecond
	warn, crit := f.warn, f.crit
	if warn == 0 {
		warn = warnIntervals * interval
	}
	if crit == 0 {
		crit = critIntervals * interval
	}
	f.age(r, s, "last_attempt", p.LastAttempt, [2]time.Duration{warn, crit})
	f.age(r, s, "last_success", p.LastSuccess, [2]time.Duration{warn, crit})
	if p.State != status.Ready {
		r.Add(monitor.Warning, "%s", p.Note)
	}
}

// age judges how long ago the time is by the two limits; 0: there is none.
func (f *pollerCheckFlags) age(r *monitor.Result, s *status.Status, name string, at *events.Time, limits [2]time.Duration) {
	if at == nil {
		r.Add(monitor.Critical, "%s is not known", name)
		return
	}
	age := s.Now.Time().Sub(at.Time())
	outcome := monitor.OK
	switch {
	case limits[1] > 0 && age >= limits[1]:
		outcome = monitor.Critical
	case limits[0] > 0 && age >= limits[0]:
		outcome = monitor.Warning
	}
	r.Add(outcome, "%s", fmt.Sprintf("%s %s ago", name, status.Short(age)))
	r.Figure(secondsFigure(name, age, limits))
}

func secondsFigure(name string, value time.Duration, limits [2]time.Duration) monitor.Figure {
	warn, crit := limits[0].Seconds(), limits[1].Seconds()
	return monitor.Figure{Name: name, Unit: "s", Value: value.Seconds(), Warn: &warn, Crit: &crit, Help: "Time since " + name + "."}
}
