package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"fleetlog/consumers/state"
	"fleetlog/consumers/status"
	"fleetlog/consumers/view"
	"fleetlog/events"
	"fleetlog/internal/monitor"
	"fleetlog/internal/process"
	"fleetlog/manifest"

	"github.com/spf13/cobra"
)

type reducerCheckFlags struct {
	checkFlags
	logFlags
	url, stateDir string
	tls           process.TLSFiles
	warn, crit    time.Duration
}

func reducerCheck() *cobra.Command {
	var f reducerCheckFlags
	cmd := &cobra.Command{
		Use:   "reducer",
		Short: "how far a reducer is behind the log",
		Long: `reducer compares with the log what a reducer serves (--reducer-url) or has in its
state directory (--state-dir): by how much the newest tick that it folded is behind the
newest one of the log. A reducer that does not answer, is of another log, or holds
another set for the same tick is critical; one that says that it is not ready a warning.`,
		Example: `fleetlog check reducer --fleet prod --reducer-url http://127.0.0.1:9478
fleetlog check reducer --fleet prod --state-dir /var/lib/reducer --warn 2m`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r := &monitor.Result{Check: "reducer", Fleet: f.fleet}
			return f.answer(cmd, r, f.judge(cmd, r))
		},
	}
	fs := cmd.Flags()
	f.logFlags.register(fs)
	f.checkFlags.register(fs)
	fs.StringVar(&f.url, "reducer-url", "", "of the reducer's --http-listen: http://127.0.0.1:PORT, https://HOST:PORT or unix:PATH")
	fs.StringVar(&f.stateDir, "state-dir", "", "the reducer's state directory")
	f.tls.Flags(fs)
	fs.DurationVar(&f.warn, "warn", time.Minute, "time behind the log from which on it is a warning")
	fs.DurationVar(&f.crit, "crit", 5*time.Minute, "time behind the log from which on it is critical")
	return cmd
}

// folded is the newest tick that a reducer has folded.
type folded struct {
	lineage string // empty: it does not say
	tick    uint64
	time    events.Time
	set     *manifest.Digest
}

func (f *reducerCheckFlags) judge(cmd *cobra.Command, r *monitor.Result) error {
	if (f.url == "") == (f.stateDir == "") {
		return errors.New("give either --reducer-url or --state-dir")
	}
	has, err := f.folded(cmd.Context(), r)
	if err != nil || has == nil {
		return err
	}
	nc, place, err := f.connect(cmd.ErrOrStderr(), nil)
	if err != nil {
		return err
	}
	defer nc.Close()
	log, err := f.open(cmd, nc, place)
	if err != nil {
		return err
	}
	newest, err := log.Head(cmd.Context())
	if err != nil {
		return err
	}
	if has.lineage != "" && has.lineage != log.Lineage() {
		r.Add(monitor.Critical, "it is of the log %s, not of %s", has.lineage, log.Lineage())
		return nil
	}
	f.compare(r, *has, newest)
	return nil
}

// folded asks the reducer. It is nil when what it says is all there is to say.
func (f *reducerCheckFlags) folded(ctx context.Context, r *monitor.Result) (*folded, error) {
	if f.stateDir != "" {
		c, _, err := state.View(f.stateDir).Read()
		if err != nil {
			return nil, err
		}
		if c == nil {
			return nil, fmt.Errorf("%s holds no checkpoint: give the --state-dir of a reducer that has run", f.stateDir)
		}
		has := &folded{lineage: c.Lineage, tick: c.Tick, time: c.Time}
		if c.Set != nil {
			has.set = &c.Set.Digest
		}
		return has, nil
	}
	d, err := newDaemon(status.Reducer, f.url, f.tls)
	if err != nil {
		return nil, err
	}
	p := d.process(ctx)
	var set view.Set
	switch p.State {
	case status.NotSeen:
		r.Add(monitor.Critical, "%s", p.Note)
		return nil, nil
	case status.Late:
		r.Add(monitor.Warning, "not ready: %s", p.Note)
	}
	if err := d.get(ctx, "/v1/set", &set); err != nil {
		r.Add(monitor.Critical, "%v", err)
		return nil, nil
	}
	return &folded{tick: set.Resolved.Tick, time: set.Resolved.Time, set: set.SetDigest}, nil
}

func (f *reducerCheckFlags) compare(r *monitor.Result, has folded, newest events.Head) {
	ticks := max(newest.Number, has.tick) - has.tick
	behind := time.Duration(0)
	if ticks > 0 {
		behind = max(0, newest.Time.Time().Sub(has.time.Time()))
	}
	outcome := monitor.OK
	switch {
	case behind >= f.crit && ticks > 0:
		outcome = monitor.Critical
	case behind >= f.warn && ticks > 0:
		outcome = monitor.Warning
	}
	r.Add(outcome, "tick %d, %d ticks or %s behind", has.tick, ticks, status.Short(behind))
	figure := secondsFigure("lag", behind, [2]time.Duration{f.warn, f.crit})
	figure.Help = "By how much the newest folded tick is behind the log's."
	r.Figure(figure)
	r.Figure(monitor.Figure{Name: "lag_ticks", Value: float64(ticks), Help: "Ticks of the log that are not folded."})
	if has.tick != newest.Number || newest.Completed == nil {
		return
	}
	if states := newest.Completed.Set; (states == nil) != (has.set == nil) || states != nil && states.Digest != *has.set {
		r.Add(monitor.Critical, "its set after tick %d is not the one that the log states", has.tick)
	}
}
