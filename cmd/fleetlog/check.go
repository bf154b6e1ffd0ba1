package main

import (
	"context"
	"fmt"
	"time"

	"fleetlog/consumers/status"
	"fleetlog/consumers/view"
	"fleetlog/internal/monitor"
	"fleetlog/internal/process"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func checkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "look at one thing for a monitoring system",
		Long: `check looks at one thing and answers as a plugin of Nagios and its kin does: one line
with the outcome, what is wrong before what is not, and figures. --format prometheus is
for a node exporter's directory of text files; it always exits with 0.

Exit status: 0 OK, 1 warning, 2 critical, 3 unknown; always 0 with --format prometheus.`,
		Example: `fleetlog check freshness --fleet prod
fleetlog check poller --fleet prod --warn 2m --crit 10m
fleetlog check certs --cert /etc/nixfleet/client.pem --format prometheus`,
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(freshnessCheck(), pollerCheck(), reducerCheck(), streamCheck(), certsCheck())
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return process.Exit(int(monitor.Unknown), err) })
	return cmd
}

// checkFlags are those of every check.
type checkFlags struct{ format string }

func (f *checkFlags) register(fs *pflag.FlagSet) {
	process.ChoiceVar(fs, &f.format, "format", "", "form of the answer", monitor.Nagios, monitor.Prometheus, monitor.JSON, monitor.Text)
}

// answer writes the outcome. What could not be looked at is unknown.
func (f *checkFlags) answer(cmd *cobra.Command, r *monitor.Result, err error) error {
	if cmd.Context().Err() != nil {
		return context.Cause(cmd.Context())
	}
	if err != nil {
		r.Add(monitor.Unknown, "%v", err)
	}
	if err := r.Write(cmd.OutOrStdout(), f.format); err != nil {
		return process.Exit(int(monitor.Unknown), err)
	}
	if code := r.ExitCode(f.format); code != 0 {
		return process.Exit(code, nil)
	}
	return nil
}

// status is the fleet's, from its log alone.
func (f *judgingFlags) status(cmd *cobra.Command) (*status.Status, error) {
	r, nc, err := f.reader(cmd)
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	return (&status.Reader{Past: r}).Status(cmd.Context(), time.Now())
}

// judgingFlags are [pastFlags] without the form of the answer.
type judgingFlags struct{ pastFlags }

func (f *judgingFlags) register(fs *pflag.FlagSet) {
	f.logFlags.register(fs)
	f.judging(fs)
}

type freshnessFlags struct {
	checkFlags
	judgingFlags
	warn, crit float64
}

func freshnessCheck() *cobra.Command {
	var f freshnessFlags
	cmd := &cobra.Command{
		Use:   "freshness",
		Short: "how soon the signatures of the fleet and its channels expire",
		Long: `freshness is a warning when more than three quarters of a signed window are over, and
critical when it is: of the fleet itself and of every channel. A channel that is not in
the set although the fleet has it is critical, one of which something newer was refused
a warning.`,
		Example: `fleetlog check freshness --fleet prod --trust-file trust.json
fleetlog check freshness --fleet prod --warn 50 --crit 90 --format prometheus`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r := &monitor.Result{Check: "freshness", Fleet: f.fleet}
			s, err := f.status(cmd)
			if err == nil {
				f.judge(r, s)
			}
			return f.answer(cmd, r, err)
		},
	}
	f.judgingFlags.register(cmd.Flags())
	f.checkFlags.register(cmd.Flags())
	cmd.Flags().Float64Var(&f.warn, "warn", 0, "percent of the window from which on it is a warning; without it 75")
	cmd.Flags().Float64Var(&f.crit, "crit", 0, "percent of the window from which on it is critical; without it 100 and the slack of a minute")
	return cmd
}

func (f *freshnessFlags) judge(r *monitor.Result, s *status.Status) {
	if s.Resolved == nil {
		r.Add(monitor.Unknown, "the log holds no tick")
		return
	}
	if s.Signed != nil {
		f.channel(r, "(fleet)", *s.Signed)
	}
	for _, c := range s.Channels {
		f.channel(r, c.Name, c)
	}
}

func (f *freshnessFlags) channel(r *monitor.Result, name string, c status.Channel) {
	used, ok := c.Used()
	share := 0.0 // of the window, in percent
	if ok && c.ExpiresInSeconds != nil {
		window := c.FreshUntil.Time().Sub(c.SignedAt.Time()).Seconds()
		share = 100 * float64(*c.AgeSeconds) / window
		warn, crit := window*(1-orElse(f.warn, 75)/100), window*(1-orElse(f.crit, 100)/100)
		r.Figure(monitor.Figure{
			Name: "expiry", Item: name, Unit: "s", Value: float64(*c.ExpiresInSeconds), Warn: &warn, Crit: &crit,
			Help: "Time until the signature in force expires.",
		})
	}
	text := name
	if ok {
		text = fmt.Sprintf("%s %s to expiry (%d%%)", name, status.Short(time.Duration(*c.ExpiresInSeconds)*time.Second), used)
	}
	outcome := f.outcome(c, share)
	if outcome != monitor.OK {
		text += " " + string(c.State)
		if c.Reason != "" {
			text += " " + string(c.Reason)
		}
	}
	r.Add(outcome, "%s", text)
}

// outcome goes by the words for the state, where no limits are given.
func (f *freshnessFlags) outcome(c status.Channel, used float64) monitor.Status {
	switch {
	case !c.InSet && !c.InOrder():
		return monitor.Critical
	case f.crit > 0 && used >= f.crit || f.crit == 0 && c.State == view.Expired:
		return monitor.Critical
	case f.warn > 0 && used >= f.warn || f.warn == 0 && c.State == view.Expiring:
		return monitor.Warning
	case c.State == view.Fresh || c.State == view.Expiring || c.State == view.Expired || c.InOrder():
		return monitor.OK
	}
	return monitor.Warning
}

func orElse(f, otherwise float64) float64 {
	if f > 0 {
		return f
	}
	return otherwise
}
