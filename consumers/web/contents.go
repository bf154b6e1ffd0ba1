package web

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"fleetlog/consumers/status"
	"fleetlog/consumers/view"
	"fleetlog/events"
	"fleetlog/manifest"
)

const (
	// maxChannels is how many channels the page shows; /v1/status has all.
	maxChannels = 100
	// maxOutages and maxEvents bound the lists behind.
	maxOutages = 20
	maxEvents  = 50
)

// contents is what the page shows, in the form in which it does.
type contents struct {
	status.Status
	Class, Verdict string
	Lines          []processLine
	Counts         []count
	Rows           []channelLine // the fleet first, then the most urgent
	RowsLeft       int
	Timeline       timeline
	Events         []eventLine
	EventsLeft     int
	OutageLines    []outageLine
	OutagesLeft    int
	ProblemLines   []problemLine
	Used           string // of the streams
}

type processLine struct {
	status.Process
	Class, Note      string
	Attempt, Success moment
}

// channelLine is one row of the table of channels.
type channelLine struct {
	Fleet                       bool
	Name, Reference, FullDetail string
	State                       view.State
	Reason                      events.Reason
	Signed, Until               moment
	Window, Left                int64 // seconds
	Since                       *view.Resolved
	Path                        string // of the artifact; empty: not in the set
}

// moment is a time on the page, with the words for it.
type moment struct {
	At   time.Time
	Text string // empty: there is none
}

type outageLine struct {
	status.Outage
	Lasted, Word, Why string
}

type problemLine struct{ Name, Text string }

func (p *pages) contents(seen Seen) contents {
	now := seen.Now.Time()
	c := contents{Status: seen.Status, Class: strings.ToLower(string(seen.Health)), Verdict: verdict(seen.Status), Counts: counts(seen.Channels)}
	c.Fleet = plain(c.Fleet)
	for _, process := range inOrder(seen.Processes) {
		c.Lines = append(c.Lines, processLineOf(process, now))
	}
	shown := urgent(seen.Channels)
	c.RowsLeft = max(0, len(shown)-maxChannels)
	shown = shown[:len(shown)-c.RowsLeft]
	if seen.Signed != nil {
		line := channelLineOf(*seen.Signed, now)
		line.Fleet = true
		if line.Path != "" {
			line.Path = "/v1/fleet.resolved"
		}
		c.Rows = append(c.Rows, line)
	}
	for _, channel := range shown {
		c.Rows = append(c.Rows, channelLineOf(channel, now))
	}
	c.Timeline = timelineOf(seen, shown)
	if c.Events, c.EventsLeft = folded(seen.Changes); len(c.Events) == 0 {
		c.Events = told(seen.Recent)
	}
	for _, outage := range seen.Outages {
		if len(c.OutageLines) == maxOutages {
			c.OutagesLeft = len(seen.Outages) - maxOutages
			break
		}
		end := now
		if outage.Until != nil {
			end = outage.Until.Time()
		}
		c.OutageLines = append(c.OutageLines, outageLine{outage, lasted(end.Sub(outage.From.Time())), outageWord(outage), string(reasonOf(outage))})
	}
	for _, name := range slices.Sorted(maps.Keys(seen.Problems)) {
		c.ProblemLines = append(c.ProblemLines, problemLine{plain(name), plain(seen.Problems[name])})
	}
	if seen.Stream != nil {
		c.Used = sized(seen.Stream.Bytes) + " of " + sized(seen.Stream.MaxBytes)
	}
	return c
}

// inOrder are the processes in the order in which a fact passes through them.
func inOrder(processes []status.Process) []status.Process {
	places := []string{status.Poller, status.Broker, status.Reducer}
	return slices.SortedStableFunc(slices.Values(processes), func(a, b status.Process) int {
		return slices.Index(places, a.Name) - slices.Index(places, b.Name)
	})
}

func processLineOf(p status.Process, now time.Time) processLine {
	line := processLine{Process: p, Class: processClass(p.State), Note: plain(p.Note)}
	if p.LastAttempt != nil {
		line.Attempt = ago(p.LastAttempt.Time(), now)
	}
	if p.LastSuccess != nil {
		line.Success = ago(p.LastSuccess.Time(), now)
	}
	return line
}

// urgent are the channels, those that somebody should look at first.
func urgent(channels []status.Channel) []status.Channel {
	sorted := slices.Clone(channels)
	slices.SortStableFunc(sorted, func(a, b status.Channel) int {
		return slices.Index(order, a.State) - slices.Index(order, b.State)
	})
	return sorted
}

func channelLineOf(c status.Channel, now time.Time) channelLine {
	line := channelLine{
		Name: nameText(c.Name), Reference: plain(c.Ref), FullDetail: plain(c.Detail), State: c.State, Reason: c.Reason, Since: c.Since,
	}
	if c.SignedAt != nil {
		line.Signed = ago(c.SignedAt.Time(), now)
	}
	if c.FreshUntil != nil {
		until := c.FreshUntil.Time()
		line.Until = left(until, now)
		line.Left = max(0, int64(until.Sub(now)/time.Second))
		if c.SignedAt != nil {
			line.Window = int64(until.Sub(c.SignedAt.Time()) / time.Second)
		}
	}
	if c.InSet {
		line.Path = "/v1/rollouts/" + url.PathEscape(c.RolloutID)
	}
	return line
}

func ago(at, now time.Time) moment { return moment{at, lasted(max(0, now.Sub(at))) + " ago"} }

func left(at, now time.Time) moment {
	if at.Before(now) {
		return ago(at, now)
	}
	return moment{at, "in " + lasted(at.Sub(now))}
}

func processClass(s status.ProcessState) string {
	switch s {
	case status.Ready:
		return "good"
	case status.Starting, status.Replaying, status.Stopping:
		return "busy"
	case status.Late:
		return "late"
	case status.NotSeen:
		return "unknown"
	}
	return "bad"
}

// stamp is a time for programs.
func stamp(t any) string {
	switch t := t.(type) {
	case events.Time:
		return t.String()
	case *events.Time:
		return t.String()
	case manifest.Instant:
		return t.String()
	case time.Time:
		return events.TimeOf(t).String()
	}
	return ""
}

// clock is a time for people; all of them are in UTC.
func clock(t any) string {
	at, err := time.Parse(time.RFC3339Nano, stamp(t))
	if err != nil {
		return ""
	}
	return at.Format("2006-01-02 15:04:05")
}
