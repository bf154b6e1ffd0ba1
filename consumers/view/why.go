package view

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"fleetlog/events"
	"fleetlog/internal/tabular"
	"fleetlog/manifest"
)

// Why says how a channel stands and what led there.
type Why struct {
	Channel  string    `json:"channel"`
	State    State     `json:"state"`
	InSet    bool      `json:"inSet"`
	Since    Resolved  `json:"since"` // the channel has had this manifest, or none, from that tick on
	Rollout  *Version  `json:"rollout"`
	Steps    []Step    `json:"steps"`
	Cleared  *Resolved `json:"cleared,omitzero"` // first tick behind the point that stated something else
	Resolved Resolved  `json:"resolved"`
	Verified bool      `json:"verified"`
}

// Step is one link of the chain of reasons.
type Step struct {
	Event      string        `json:"event"` // type of the event, or the judgement
	OK         bool          `json:"ok"`
	Reason     events.Reason `json:"reason,omitzero"`
	Detail     string        `json:"detail"`
	Since      Resolved      `json:"since"`
	Seq        uint64        `json:"seq"`                 // of the event that is the evidence
	ClearsWhen string        `json:"clearsWhen,omitzero"` // what would change it
}

// StateOf is the word for a manifest in force at that moment.
func StateOf(v *Version, until *manifest.Instant, now time.Time) State {
	if until == nil {
		return Fresh
	}
	end := until.Time()
	window := end.Sub(v.SignedAt.Time())
	switch {
	case now.After(end.Add(manifest.Slack * time.Second)):
		return Expired
	case now.After(end.Add(-window / 4)):
		return Expiring
	}
	return Fresh
}

// Table writes the chain for people.
func (w Why) Table(out io.Writer) error {
	in := "not in the set"
	if w.InSet {
		in = "in the set as " + w.Rollout.long()
	}
	table := tabular.New(out)
	fmt.Fprintf(table, "%q is %s, %s, since %s (%s)\n\n", w.Channel, w.State, in, w.Since, ago(w.Since, w.Resolved))
	for i, s := range w.Steps {
		verdict := "ok"
		if !s.OK {
			verdict = "NO"
		}
		text := strings.Trim(string(s.Reason)+": "+s.Detail, ": ")
		fmt.Fprintf(table, "%d %s\t%s\tseq:%d\tsince %s\t%s\n", i+1, Plain(s.Event), verdict, s.Seq, s.Since.Time, Plain(text))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for i, s := range w.Steps {
		if s.ClearsWhen != "" {
			fmt.Fprintf(out, "\n%d clears when: %s", i+1, s.ClearsWhen)
		}
		if s.Reason != "" {
			fmt.Fprintf(out, "\n  more: fleetlog explain %s", Plain(string(s.Reason)))
		}
	}
	if slices.ContainsFunc(w.Steps, func(s Step) bool { return s.ClearsWhen != "" || s.Reason != "" }) {
		fmt.Fprintln(out)
	}
	if w.Cleared != nil {
		fmt.Fprintf(out, "\nit changed at %s\n", w.Cleared)
	}
	_, err := fmt.Fprintf(out, "\nas of %s (%s)\n", w.Resolved, how(w.Verified))
	return err
}

// ago is the time between two points, by the ticks' own time.
func ago(from, to Resolved) string {
	return to.Time.Time().Sub(from.Time.Time()).Round(time.Second).String() + " before that point"
}
