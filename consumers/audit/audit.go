package audit

import (
	"context"
	"errors"
	"math"

	"fleetlog/consumers/anchor"
	"fleetlog/consumers/bundle"
	"fleetlog/consumers/check"
	"fleetlog/eventlog"
	"fleetlog/events"
)

// Options are those of the check, and where they come from.
type Options struct {
	check.Options
	WritersGiven  bool // the accepted writers are configured, not those that the log names
	TrustOfBundle bool // Trust is what the bundle holds
}

const (
	sourceLog    = "log"
	sourceBundle = "bundle"
)

// Log audits a part of a log on a broker. What is broken is in the report; an
// error means that something could not be read.
func Log(ctx context.Context, log *eventlog.Log, part check.Part, o Options) (*Report, error) {
	all := o.Heads
	inside, outside, err := split(ctx, log, part, all)
	if err != nil {
		return nil, err
	}
	o.Heads = inside
	r, err := check.Read(ctx, check.OnBroker(log), part, o.Options)
	if err != nil {
		return nil, err
	}
	for _, h := range outside {
		if err := look(ctx, log, h, r); err != nil {
			return nil, err
		}
	}
	o.Heads = all
	return newReport(sourceLog, part, r, o), nil
}

// split tells the known heads that reading the part will meet from the others.
func split(ctx context.Context, log *eventlog.Log, part check.Part, all []check.KnownHead) (inside, outside []check.KnownHead, err error) {
	last := uint64(math.MaxUint64)
	if part.End > 0 && len(all) > 0 {
		tick, err := log.At(ctx, eventlog.PointOfSeq(part.End))
		if err != nil {
			return nil, nil, err
		}
		last = tick.Head.Number
	}
	for _, h := range all {
		if h.Number < part.Before.Number || h.Number > last {
			outside = append(outside, h)
		} else {
			inside = append(inside, h)
		}
	}
	return inside, outside, nil
}

// look finds a known head by itself.
func look(ctx context.Context, log *eventlog.Log, h check.KnownHead, r *check.Report) error {
	err := anchor.Hold(ctx, log, h)
	var back *anchor.Regression
	switch {
	case err == nil:
		r.Compared++
	case errors.As(err, &back):
		r.Add(check.Finding{Code: check.CodeHead, Tick: h.Number, Seq: r.Seq, Expected: h.Digest.String(), Detail: h.From + ": " + err.Error()})
	default:
		return err
	}
	return nil
}

// Bundle audits a bundle. With no writers given, those that it names count.
func Bundle(ctx context.Context, b *bundle.Bundle, writers []events.PublicKey, o Options) (*Report, error) {
	part, err := b.Part(ctx, writers)
	if err != nil {
		report, refused := Refused(sourceBundle, b.Fleet(), err)
		if refused != nil {
			return nil, refused
		}
		report.addDamage(b.Damaged())
		return report, nil
	}
	r, err := check.Read(ctx, b, part, o.Options)
	if err != nil {
		return nil, err
	}
	checkHead(b, part, r)
	report := newReport(sourceBundle, part, r, o)
	report.addDamage(b.Damaged())
	return report, nil
}

// checkHead compares the bundle's note of its last tick with that tick.
func checkHead(b *bundle.Bundle, part check.Part, r *check.Report) {
	head, err := b.Head(part.Writers)
	switch {
	case err != nil:
		r.Add(check.Finding{Code: check.CodeBundle, Seq: r.Seq, File: "HEAD", Detail: err.Error()})
	case head.Digest != r.Head.Digest:
		r.Add(check.Finding{
			Code: check.CodeBundle, Seq: r.Head.Seq, Tick: r.Head.Number, File: "HEAD", Detail: "HEAD is not the last tick",
			Expected: head.Digest.String(), Found: r.Head.Digest.String(),
		})
	}
}

// addDamage adds the files that are not what the bundle lists, ahead of what
// follows from that.
func (r *Report) addDamage(all []bundle.Damage) {
	var found []check.Finding
	for _, d := range all {
		found = append(found, check.Finding{
			Code: check.CodeBundle, File: d.File, Detail: d.File + " is not the file that SHA256SUMS lists",
			Expected: d.Expected, Found: d.Found,
		})
	}
	if len(found) == 0 {
		return
	}
	r.Findings = append(found, r.Findings...)
	r.Found += uint64(len(found))
	r.Verdict, r.ExitCode = Findings, 1
	for i, p := range r.Checks {
		if p.Name == "bundle" {
			r.Checks[i].Found += uint64(len(found))
			r.Checks[i].OK = false
		}
	}
}

// Refused is the answer about a log or a bundle that does not open because of
// what it holds. Any other error is returned.
func Refused(source string, fleet events.FleetName, err error) (*Report, error) {
	var f check.Finding
	var form *bundle.FormError
	var drift *eventlog.DriftError
	var gap *eventlog.GapError
	switch {
	case errors.As(err, &form):
		f = check.Finding{Code: check.CodeBundle, File: form.File}
	case errors.As(err, &drift):
		f = check.Finding{Code: check.CodeStreams}
	case errors.Is(err, events.ErrNotOpened):
		f = check.Finding{Code: check.CodeOpening, Seq: 1}
	case errors.As(err, &gap):
		f = check.Finding{Code: check.CodeGap, Seq: gap.First}
	case errors.Is(err, eventlog.ErrNoMessage):
		f = check.Finding{Code: check.CodeGap, Seq: 1}
	default:
		return nil, err
	}
	f.Detail = err.Error()
	r := &check.Report{Findings: []check.Finding{}}
	r.Add(f)
	report := newReport(source, check.Part{Fleet: fleet}, r, Options{})
	for i, p := range report.Checks {
		if p.Found == 0 {
			report.Checks[i] = Performed{Name: p.Name, Note: "not reached"}
		}
	}
	return report, nil
}
