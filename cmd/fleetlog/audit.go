package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"fleetlog/consumers/anchor"
	"fleetlog/consumers/audit"
	"fleetlog/consumers/bundle"
	"fleetlog/consumers/check"
	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/durable"
	"fleetlog/internal/process"
	"fleetlog/manifest"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"
)

type auditFlags struct {
	rangeFlags
	trusts         []string
	freshness      process.Freshness
	everySignature bool
	heads          []string
	bundle         string
	extends        string
	html           string
	output         string
}

// rangeFlags say which part of a log is meant.
type rangeFlags struct {
	logFlags
	from, to string
}

func (f *rangeFlags) points(now time.Time) (from, to *eventlog.Point, err error) {
	for _, p := range []struct {
		flag, text string
		point      **eventlog.Point
	}{{"from", f.from, &from}, {"to", f.to, &to}} {
		if p.text == "" {
			continue
		}
		point, err := eventlog.ParsePoint(p.text, now)
		if err != nil {
			return nil, nil, fmt.Errorf("--%s: %w", p.flag, err)
		}
		*p.point = &point
	}
	return from, to, nil
}

func auditCommand() *cobra.Command {
	var f auditFlags
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "prove what a log, or a bundle of it, says",
		Long: `audit reads the log once, from --from to --to or all of it, and checks everything
that can be checked: that no message is missing, the chain of ticks and its signatures,
statements against their findings, artifacts against their hashes and, with --trust-file,
against the keys and windows that held at the time, sets, floors and counts, and the heads
that are known from elsewhere. It tells which of these checks it made, and the times in
which no tick was recorded. What is wrong is named with the sequence, what was expected
and what was found.

A part begins at the statement that the set at --from is of, which may be some ticks
earlier. With --bundle it reads a file that export has written, and needs no broker.
With --html it writes, beside its answer, one page for a browser that needs nothing else:
summary, a timeline per channel, changes, refusals with their reasons, keys used.

--trust-file may be given several times, as TIME=FILE for a file that held from a moment
on. --writer-key may have times, too, as KEY@FROM..UNTIL. --expect-head takes what anchor
has written, and finds a history that was cut off or rewritten since, also by the holder
of the writer's key. The heads that this machine has seen before are expected likewise.

Exit status: 0 clean, 1 something was found, 2 could not read.`,
		Example: `fleetlog audit --fleet prod --trust-file trust.json
fleetlog audit --fleet prod --from 2026-07-01T00:00:00Z --to 2026-10-01T00:00:00Z \
  --trust-file old.json --trust-file 2026-08-12T09:00:00Z=trust.json -o json
fleetlog audit --bundle q3.tar --extends q2.tar --expect-head HEAD --html q3.html`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			report, err := runAudit(cmd, &f)
			if err == nil && report.ExitCode != process.ExitOK {
				return process.Exit(report.ExitCode, nil)
			}
			return could(err)
		},
	}
	f.register(cmd.Flags())
	fs := cmd.Flags()
	fs.StringVar(&f.from, "from", "", "point from which on the log is read; its beginning without it")
	fs.StringVar(&f.to, "to", "", "point up to which it is read; its end without it")
	fs.StringSliceVar(&f.trusts, "trust-file", nil, "trust.json under which artifacts must be signed, or TIME=FILE for one that held from a moment on")
	f.freshness.Flags(fs, "freshness-window-secs")
	fs.BoolVar(&f.everySignature, "every-signature", false, "look at each tick's signature by itself, too")
	fs.StringSliceVar(&f.heads, "expect-head", nil, "file with a head that must be in the log, as anchor writes it")
	fs.StringVar(&f.bundle, "bundle", "", "audit this bundle, without a broker")
	fs.StringVar(&f.extends, "extends", "", "bundle whose last tick must be in the one that is audited, or in the log")
	fs.StringVar(&f.html, "html", "", "write a page for people to this file, too: summary, timeline, changes, refusals, keys")
	process.OutputVar(fs, &f.output)
	completeFlag(cmd, f.live(points), "from", "to")
	return cmd
}

func runAudit(cmd *cobra.Command, f *auditFlags) (*audit.Report, error) {
	o, keys, err := f.options(cmd)
	if err != nil {
		return nil, err
	}
	shown := newProgress(cmd.ErrOrStderr(), time.Now)
	o.Progress = shown.at
	var timeline audit.Timeline
	if f.html != "" {
		if _, err := os.Stat(filepath.Dir(f.html)); err != nil { // before a long log is read
			return nil, fmt.Errorf("--html: %w", err)
		}
		o.Observe = timeline.Observe
	}
	var report *audit.Report
	if f.bundle != "" {
		report, err = f.ofBundle(cmd, keys, o)
	} else {
		report, err = f.ofLog(cmd, keys, o)
	}
	shown.end()
	if err != nil {
		return nil, err
	}
	if f.html != "" { // ahead of the answer, which is the last thing that is said
		page := audit.Page{Report: report, Timeline: &timeline, Made: time.Now()}
		if err := durable.ReplaceWith(f.html, 0o644, page.Write); err != nil {
			return nil, err
		}
	}
	if f.output != process.TableForm {
		return report, process.PrintJSON(cmd.OutOrStdout(), report)
	}
	return report, report.Table(cmd.OutOrStdout())
}

func (f *auditFlags) options(cmd *cobra.Command) (o audit.Options, keys []events.PublicKey, err error) {
	if err := f.freshness.Validate(); err != nil {
		return o, nil, err
	}
	if f.bundle != "" && (f.from != "" || f.to != "") {
		return o, nil, errors.New("--bundle is read whole: leave out --from and --to")
	}
	files, err := readTrusts(f.trusts)
	if err != nil {
		return o, nil, err
	}
	if o.Trust, err = parseTrusts(files); err != nil {
		return o, nil, err
	}
	if keys, o.Writers, err = parseWriters(f.writers); err != nil {
		return o, nil, err
	}
	o.Policy, o.EverySignature, o.WritersGiven = f.freshness.Policy(), f.everySignature, len(keys) > 0
	for _, path := range f.heads {
		data, err := readLimited(path, anchor.MaxNote)
		if err != nil {
			return o, nil, err
		}
		head, err := anchor.Parse(data, keys)
		if err != nil {
			return o, nil, fmt.Errorf("--expect-head %s: %w", path, err)
		}
		o.Heads = append(o.Heads, head.Known(path))
	}
	if f.extends != "" {
		head, err := f.lastOf(cmd, f.extends, keys)
		if err != nil {
			return o, nil, fmt.Errorf("--extends: %w", err)
		}
		o.Heads = append(o.Heads, head.Known(f.extends))
	}
	return o, keys, nil
}

// lastOf is the last tick of a bundle.
func (f *auditFlags) lastOf(cmd *cobra.Command, path string, keys []events.PublicKey) (anchor.Anchor, error) {
	file, b, err := openBundle(cmd, path)
	if err != nil {
		return anchor.Anchor{}, err
	}
	defer file.Close()
	return b.Head(keys)
}

func openBundle(cmd *cobra.Command, path string) (*os.File, *bundle.Bundle, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	info, err := file.Stat()
	var b *bundle.Bundle
	if err == nil {
		b, err = bundle.Open(cmd.Context(), file, info.Size())
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("%s: %w", path, err), file.Close())
	}
	return file, b, nil
}

func (f *auditFlags) ofBundle(cmd *cobra.Command, keys []events.PublicKey, o audit.Options) (*audit.Report, error) {
	file, b, err := openBundle(cmd, f.bundle)
	if err != nil {
		return audit.Refused("bundle", events.FleetName{}, err)
	}
	defer file.Close()
	if len(o.Trust) == 0 {
		files, err := b.Trust()
		if err == nil {
			o.Trust, err = parseTrusts(files)
		}
		var refused *manifest.Rejection
		if err != nil && !errors.As(err, &refused) {
			return audit.Refused("bundle", b.Fleet(), err)
		}
		o.TrustOfBundle = true
	}
	return audit.Bundle(cmd.Context(), b, keys, o)
}

func (f *auditFlags) ofLog(cmd *cobra.Command, keys []events.PublicKey, o audit.Options) (*audit.Report, error) {
	from, to, err := f.points(time.Now())
	if err != nil {
		return nil, err
	}
	nc, place, err := f.connectAs(cmd, keys)
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	log, known, err := f.openKnown(cmd, nc, place)
	if err != nil {
		return audit.Refused("log", place.Fleet, err)
	}
	o.Heads = append(o.Heads, known...)
	part, err := check.Between(cmd.Context(), log, from, to)
	if err != nil {
		return audit.Refused("log", place.Fleet, err)
	}
	return audit.Log(cmd.Context(), log, part, o)
}

// connectAs is [logFlags.connect] with keys that may have had times.
func (f *logFlags) connectAs(cmd *cobra.Command, keys []events.PublicKey) (*nats.Conn, eventlog.Place, error) {
	plain := *f
	plain.writers = nil
	nc, place, err := plain.connect(cmd.ErrOrStderr(), nil)
	place.Writers = keys
	return nc, place, err
}
