package status

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"fleetlog/consumers/view"
	"fleetlog/internal/tabular"
)

// Table writes the status for people.
func (s *Status) Table(w io.Writer) error {
	table := tabular.New(w)
	fmt.Fprintf(table, "PROCESS\tSTATE\tLAST ATTEMPT\tLAST SUCCESS\tNOTE\n")
	for _, p := range s.Processes {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", view.Plain(p.name()), view.Plain(string(p.State)), at(p.LastAttempt, s.Now), at(p.LastSuccess, s.Now), view.Plain(p.Note))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(table, "\nCHANNEL\tREF\tSIGNED\tEXPIRES IN\tSTATE\tREASON\n")
	if s.Signed != nil {
		s.Signed.row(table, "(fleet)")
	}
	for _, c := range s.Channels {
		c.row(table, fmt.Sprintf("%q", c.Name))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, o := range s.Outages {
		fmt.Fprintf(w, "\noutage %s", o)
	}
	if len(s.Outages) > 0 {
		fmt.Fprintln(w)
	}
	return s.end(w)
}

func (p Process) name() string {
	if p.URL == "" {
		return p.Name
	}
	return p.Name + " at " + p.URL
}

func (s *Status) end(w io.Writer) error {
	for _, what := range slices.Sorted(maps.Keys(s.Problems)) {
		fmt.Fprintf(w, "\nnot known: %s: %s\n", what, view.Plain(s.Problems[what]))
	}
	how := "as it is stated, not verified: give --trust-file"
	if s.Verified {
		how = "verified"
	}
	resolved := "no tick"
	if s.Resolved != nil {
		resolved = s.Resolved.String()
	}
	_, err := fmt.Fprintf(w, "\n%s is %s as of %s (%s)\n", view.Plain(s.Fleet), s.Health, resolved, how)
	return err
}

func (c Channel) row(w io.Writer, name string) {
	ref, signed, left := "-", "-", "-"
	if c.Ref != "" {
		ref = view.Plain(fmt.Sprintf("%.8s", c.Ref))
	}
	if c.AgeSeconds != nil {
		signed = Short(time.Duration(*c.AgeSeconds)*time.Second) + " ago"
		left = "never"
	}
	if c.ExpiresInSeconds != nil {
		left = Short(time.Duration(*c.ExpiresInSeconds) * time.Second)
	}
	fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", name, ref, signed, left, c.State, view.Plain(c.why()))
}

// why says in a phrase what the state rests on.
func (c Channel) why() string {
	text := string(c.Reason)
	if c.Reason == "" && c.InSet {
		text = "Verified"
	}
	if used, ok := c.Used(); ok && (c.State == view.Expiring || c.State == view.Expired) {
		window := c.FreshUntil.Time().Sub(c.SignedAt.Time())
		text += fmt.Sprintf(" (%d%% of %s window)", used, Short(window))
	}
	if c.Since != nil {
		text += " since "
		if c.Earlier {
			text += "before "
		}
		text += c.Since.Time.String()
	}
	return strings.TrimSuffix(text+": "+c.Detail, ": ")
}

// String is the outage as a phrase.
func (o Outage) String() string {
	from := o.From.String()
	if o.Earlier {
		from = "before " + from
	}
	until := "now"
	if o.Until != nil {
		until = o.Until.String()
	}
	what := "no tick recorded"
	if o.Skipped {
		what = "skipped"
	}
	return strings.TrimSpace(fmt.Sprintf("%s to %s: %d ticks, %s %s", from, until, o.Ticks, what, view.Plain(string(o.Reason))))
}

// OneLine writes the status in one line, for a status bar.
func (s *Status) OneLine(w io.Writer) error {
	var parts []string
	for _, p := range s.Processes {
		if p.State != Ready {
			part := p.name() + " " + string(p.State)
			if p.Reason != "" {
				part += " " + string(p.Reason)
			}
			parts = append(parts, part)
		}
	}
	var next *Channel
	for i, c := range s.Channels {
		if !c.InOrder() {
			parts = append(parts, fmt.Sprintf("%q %s", c.Name, c.State))
		}
		if c.ExpiresInSeconds != nil && (next == nil || *c.ExpiresInSeconds < *next.ExpiresInSeconds) {
			next = &s.Channels[i]
		}
	}
	if next != nil {
		parts = append(parts, fmt.Sprintf("%q expires in %s", next.Name, Short(time.Duration(*next.ExpiresInSeconds)*time.Second)))
	}
	line := fmt.Sprintf("%s %s: %d channels", s.Fleet, s.Health, len(s.Channels))
	_, err := fmt.Fprintln(w, view.Plain(strings.Join(append([]string{line}, parts...), "; ")))
	return err
}

// Short is a duration in few characters: 4s, 14m, 3h, 21d.
func Short(d time.Duration) string {
	sign := ""
	if d < 0 {
		sign, d = "-", -d
	}
	const day = 24 * time.Hour
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%s%ds", sign, d/time.Second)
	case d < 2*time.Hour:
		return fmt.Sprintf("%s%dm", sign, d/time.Minute)
	case d < 2*day:
		return fmt.Sprintf("%s%dh", sign, d/time.Hour)
	}
	return fmt.Sprintf("%s%dd", sign, d/day)
}
