// Package audit reads a log, or a bundle of it, for people and programs that have
// to answer for it: everything that package check looks at, what of it was looked
// at and what not, and what the log tells of times without ticks.
package audit

import (
	"fmt"

	"fleetlog/consumers/check"
	"fleetlog/events"
	"fleetlog/manifest"
)

// Report is the answer of an audit. Fields may be added; those that are here
// keep their meaning.
type Report struct {
	Kind     string  `json:"kind"` // AuditResult
	V        int     `json:"v"`
	Verdict  Verdict `json:"verdict"`
	ExitCode int     `json:"exitCode"`

	Source  string           `json:"source"` // log, or bundle
	Fleet   events.FleetName `json:"fleet"`
	Lineage string           `json:"lineage"`
	From    *Place           `json:"from"` // the first tick that was read; null: none was
	To      *Place           `json:"to"`   // the last one
	Head    *manifest.Digest `json:"head"` // SHA-256 of its body
	Read    Read             `json:"read"`
	Missed  Missed           `json:"missed"`

	Checks   []Performed     `json:"checks"`
	Found    uint64          `json:"found"`
	Findings []check.Finding `json:"findings"` // the first 1000
}

// Verdict of an audit.
type Verdict string

// The verdicts.
const (
	Clean    = Verdict("clean")
	Findings = Verdict("findings")
)

// Place is a tick.
type Place struct {
	Seq  uint64      `json:"seq"`
	Tick uint64      `json:"tick"`
	Time events.Time `json:"time"`
}

// Read counts what was read.
type Read struct {
	Events     uint64 `json:"events"`
	Ticks      uint64 `json:"ticks"`
	Skipped    uint64 `json:"skipped"` // ticks that verified no fleet
	Noise      uint64 `json:"noise"`   // messages that are part of no tick
	Signatures uint64 `json:"signatures"`
	Artifacts  uint64 `json:"artifacts"`
	Bytes      uint64 `json:"bytes"`
}

// Missed are the ticks that were not recorded, and the times without them.
type Missed struct {
	Ticks   uint64         `json:"ticks"`
	Times   uint64         `json:"times"`
	Outages []check.Outage `json:"outages"` // the first 1000
}

// Performed is one kind of check: whether it was made, and what it found.
type Performed struct {
	Name  string `json:"name"`
	Ran   bool   `json:"ran"`
	OK    bool   `json:"ok"` // it ran, and found nothing
	Found uint64 `json:"found"`
	Note  string `json:"note,omitzero"` // how much of it was made, or why not
}

// kinds are the checks, and the codes under which they report.
var kinds = []struct {
	name  string
	codes []check.Code
}{
	{"bundle", []check.Code{check.CodeBundle}},
	{"streams", []check.Code{check.CodeStreams, check.CodeArtifactGap}},
	{"sequence", []check.Code{check.CodeGap}},
	{"chain", []check.Code{check.CodeOpening, check.CodeChain, check.CodeTime, check.CodeDuplicate}},
	{"signatures", []check.Code{check.CodeSignature}},
	{"writers", []check.Code{check.CodeWriter}},
	{"statements", []check.Code{check.CodeIncomplete, check.CodeStatement}},
	{"artifacts", []check.Code{check.CodeArtifact, check.CodeHash}},
	{"trust", []check.Code{check.CodeRefused}},
	{"sets", []check.Code{check.CodeSet}},
	{"floors", []check.Code{check.CodeFloor}},
	{"heads", []check.Code{check.CodeHead}},
}

// newReport makes the answer of what a check has found.
func newReport(source string, part check.Part, r *check.Report, o Options) *Report {
	report := &Report{
		Kind: "AuditResult", V: 1, Verdict: Clean, Source: source, Fleet: part.Fleet, Lineage: r.Lineage,
		Read:   Read{r.Events, r.Ticks, r.Skipped, r.Noise, r.Signatures, r.Artifacts, r.Bytes},
		Missed: Missed{r.Missed, r.OutageCount, r.Outages},
		Found:  r.Found, Findings: r.Findings,
	}
	if r.Ticks > 0 {
		digest := r.Head.Digest
		report.From, report.To, report.Head = place(r.First), place(r.Head), &digest
	}
	if report.Missed.Outages == nil {
		report.Missed.Outages = []check.Outage{}
	}
	if r.Found > 0 {
		report.Verdict, report.ExitCode = Findings, 1
	}
	for _, kind := range kinds {
		p := Performed{Name: kind.name, Ran: true}
		for _, code := range kind.codes {
			p.Found += r.ByCode[code]
		}
		p.describe(source, part, r, o)
		p.OK = p.Ran && p.Found == 0
		report.Checks = append(report.Checks, p)
	}
	return report
}

func place(h events.Head) *Place { return &Place{h.Seq, h.Number, h.Time} }

// describe says how much of a check was made.
func (p *Performed) describe(source string, part check.Part, r *check.Report, o Options) {
	unread := r.Ticks == 0 && p.Found == 0
	switch p.Name {
	case "bundle":
		p.Ran = source == sourceBundle || p.Found > 0
	case "streams":
		p.Ran = source == sourceLog || p.Found > 0
		if !p.Ran {
			p.Note = "a bundle has the settings only as they were when it was made"
		}
	case "chain":
		p.Note = plural(r.Ticks, "tick")
		if part.Before.Seq > part.Opening.Seq {
			p.Note += ", the first one by what it says of the one before it"
		}
	case "signatures":
		p.Note = fmt.Sprintf("%d, which cover all ticks", r.Signatures)
		if o.EverySignature {
			p.Note = fmt.Sprintf("%d, every one", r.Signatures)
		}
		if !o.WritersGiven {
			p.Note += "; the writers are those that the log names: give --writer-key"
		}
	case "writers":
		p.Ran = len(o.Writers) > 0
		if !p.Ran {
			p.Note = "no key was given a time"
		}
	case "artifacts":
		p.Ran = !unread
		p.Note = fmt.Sprintf("%d", r.Artifacts)
	case "trust":
		p.Ran = len(o.Trust) > 0 && (r.Judged > 0 || p.Found > 0)
		p.Note = o.describeTrust(r)
	case "heads":
		p.Ran = r.Compared > 0 || p.Found > 0
		p.Note = o.describeHeads(r)
	}
}

func (o Options) describeTrust(r *check.Report) string {
	if len(o.Trust) == 0 {
		return "no trust file: give --trust-file"
	}
	note := plural(r.Judged, "artifact") + " under " + plural(uint64(len(o.Trust)), "trust file")
	if o.TrustOfBundle {
		note += " of the bundle itself"
	}
	if r.Unjudged > 0 {
		note += fmt.Sprintf("; not %s: no trust file for the time, or an artifact is lost", plural(r.Unjudged, "statement"))
	}
	return note
}

func (o Options) describeHeads(r *check.Report) string {
	if len(o.Heads) == 0 {
		return "none is known: give --expect-head"
	}
	note := fmt.Sprintf("%d of %d", r.Compared, len(o.Heads))
	for _, h := range r.Outside {
		note += fmt.Sprintf("; %s has tick %d, which is before what was read", h.From, h.Number)
	}
	return note
}

// plural counts things of which there may be one.
func plural(n uint64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
