package main

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"fleetlog/consumers/status"
	"fleetlog/eventlog"
	"fleetlog/internal/monitor"

	"github.com/spf13/cobra"
)

type streamCheckFlags struct {
	checkFlags
	logFlags
	warn, crit float64
}

func streamCheck() *cobra.Command {
	var f streamCheckFlags
	cmd := &cobra.Command{
		Use:   "stream",
		Short: "whether the log's streams have room, and keep history",
		Long: `stream says how full the two streams of the log are. Settings that would lose history,
and messages that the broker no longer holds, are critical.`,
		Example: `fleetlog check stream --fleet prod --warn 70 --crit 90`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r := &monitor.Result{Check: "stream", Fleet: f.fleet}
			return f.answer(cmd, r, f.judge(cmd, r))
		},
	}
	f.logFlags.register(cmd.Flags())
	f.checkFlags.register(cmd.Flags())
	cmd.Flags().Float64Var(&f.warn, "warn", 80, "percent of a stream's limit from which on it is a warning")
	cmd.Flags().Float64Var(&f.crit, "crit", 95, "percent of a stream's limit from which on it is critical")
	return cmd
}

func (f *streamCheckFlags) judge(cmd *cobra.Command, r *monitor.Result) error {
	nc, place, err := f.connect(cmd.ErrOrStderr(), nil)
	if err != nil {
		return err
	}
	defer nc.Close()
	log, err := f.open(cmd, nc, place)
	if lost(r, err) {
		return nil
	}
	if err != nil {
		return err
	}
	usage, err := log.Usage(cmd.Context())
	if err != nil && !lost(r, err) {
		return err
	}
	for _, u := range usage {
		f.room(r, u)
	}
	gaps, err := log.ArtifactGaps(cmd.Context())
	for _, gap := range gaps {
		r.Add(monitor.Critical, "%v", gap)
	}
	return err
}

// lost tells an error that says what is wrong with the streams.
func lost(r *monitor.Result, err error) bool {
	var drift *eventlog.DriftError
	var gap *eventlog.GapError
	if errors.As(err, &drift) || errors.As(err, &gap) || errors.Is(err, eventlog.ErrMissing) {
		r.Add(monitor.Critical, "%v", err)
		return true
	}
	return false
}

func (f *streamCheckFlags) room(r *monitor.Result, u eventlog.Usage) {
	if u.MaxBytes == 0 {
		return // drift, which is said
	}
	used := 100 * float64(u.Bytes) / float64(u.MaxBytes)
	outcome := monitor.OK
	switch {
	case used >= f.crit:
		outcome = monitor.Critical
	case used >= f.warn:
		outcome = monitor.Warning
	}
	r.Add(outcome, "%s is %.1f%% full", u.Stream, used)
	limit := float64(u.MaxBytes) / 100
	warn, crit := limit*f.warn, limit*f.crit
	r.Figure(monitor.Figure{
		Name: "used", Item: u.Stream, Unit: "B", Value: float64(u.Bytes), Warn: &warn, Crit: &crit, Help: "What the stream holds.",
	})
	r.Figure(monitor.Figure{Name: "last_sequence", Item: u.Stream, Value: float64(u.LastSequence), Help: "Newest sequence of the stream."})
}

type certsCheckFlags struct {
	checkFlags
	files      []string
	warn, crit time.Duration
}

func certsCheck() *cobra.Command {
	var f certsCheckFlags
	cmd := &cobra.Command{
		Use:   "certs",
		Short: "how soon certificates expire",
		Long: `certs reads certificates in PEM, each file with its chain. It is a warning when three
quarters of the time for which a certificate was made are over, or less is left than
--warn; critical when it has expired or less is left than --crit.`,
		Example: `fleetlog check certs --cert /etc/nixfleet/client.pem --cert /etc/nats/server.pem --warn 168h`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r := &monitor.Result{Check: "certs"}
			return f.answer(cmd, r, f.judge(r, time.Now()))
		},
	}
	f.register(cmd.Flags())
	cmd.Flags().StringSliceVar(&f.files, "cert", nil, "file of certificates, PEM; may be given more than once")
	cmd.Flags().DurationVar(&f.warn, "warn", 0, "time left below which it is a warning; without it a quarter of the certificate's time")
	cmd.Flags().DurationVar(&f.crit, "crit", 0, "time left below which it is critical; without it none")
	return cmd
}

// maxCertificates is how large a file of certificates may be.
const maxCertificates = 1 << 20

func (f *certsCheckFlags) judge(r *monitor.Result, now time.Time) error {
	if len(f.files) == 0 {
		return errors.New("give at least one --cert")
	}
	for _, path := range f.files {
		certificates, err := readCertificates(path)
		if err != nil {
			r.Add(monitor.Unknown, "%v", err)
			continue
		}
		for i, c := range certificates {
			name := path
			if i > 0 {
				name = fmt.Sprintf("%s#%d", path, i+1)
			}
			f.certificate(r, name, c, now)
		}
	}
	return nil
}

func readCertificates(path string) (all []*x509.Certificate, err error) {
	data, err := readLimited(path, maxCertificates)
	if err != nil {
		return nil, err
	}
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		all = append(all, c)
	}
	if all == nil {
		return nil, fmt.Errorf("%s holds no certificate in PEM", path)
	}
	return all, nil
}

func (f *certsCheckFlags) certificate(r *monitor.Result, name string, c *x509.Certificate, now time.Time) {
	left, warn := c.NotAfter.Sub(now), f.warn
	if warn == 0 {
		warn = c.NotAfter.Sub(c.NotBefore) / 4
	}
	outcome, text := monitor.OK, fmt.Sprintf("%s expires in %s", name, status.Short(left))
	switch {
	case left <= 0:
		outcome, text = monitor.Critical, fmt.Sprintf("%s has expired %s ago", name, status.Short(-left))
	case left < f.crit:
		outcome = monitor.Critical
	case left < warn || now.Before(c.NotBefore):
		outcome = monitor.Warning
	}
	r.Add(outcome, "%s", text)
	figure := secondsFigure("expiry", left, [2]time.Duration{warn, f.crit})
	figure.Item, figure.Help = name, "Time until the certificate expires."
	r.Figure(figure)
}
