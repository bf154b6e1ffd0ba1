package web

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"fleetlog/consumers/status"
	"fleetlog/consumers/view"
	"fleetlog/events"
)

// timeline draws what happened up to now.
type timeline struct {
	Reach string // how far back it goes
	Axis  []string
	Lanes []lane
}

// lane is one row of it.
type lane struct {
	Name  string
	Says  string // for who does not see it
	Spans []drawn
	Marks []drawn
}

// drawn is a span or a mark.
type drawn struct {
	X, Width string // percent
	Class    string
	Title    string
}

const (
	// maxLanes is how many channels the timeline has.
	maxLanes = 8
	// axisParts is into how many parts the labels divide it.
	axisParts = 4
	// leastWidth is how narrow a span is drawn, in percent.
	leastWidth = 0.4
)

// reach is how far back a timeline goes.
type reach struct {
	back time.Duration
	name string
}

// reaches are those that there are.
var reaches = []reach{{time.Hour, "the last hour"}, {6 * time.Hour, "the last 6 hours"}, {12 * time.Hour, "the last 12 hours"}, {24 * time.Hour, "the last 24 hours"}, {7 * 24 * time.Hour, "the last 7 days"}}

// drawing is a timeline under way.
type drawing struct {
	seen       Seen
	begin, now time.Time
}

func timelineOf(seen Seen, channels []status.Channel) timeline {
	d := &drawing{seen: seen, now: seen.Now.Time()}
	r := d.reach()
	d.begin = d.now.Add(-r.back)
	t := timeline{Reach: r.name, Axis: axis(d.begin, r.back), Lanes: []lane{d.ticks()}}
	if seen.Signed != nil {
		t.Lanes = append(t.Lanes, d.lane("(fleet)", nil, *seen.Signed))
	}
	for _, c := range channels[:min(len(channels), maxLanes)] {
		t.Lanes = append(t.Lanes, d.lane(nameText(c.Name), &c.Name, c))
	}
	return t
}

// reach is the shortest that has everything, as far as one has.
func (d *drawing) reach() reach {
	oldest := d.oldest()
	for _, r := range reaches {
		if !oldest.Before(d.now.Add(-r.back)) {
			return r
		}
	}
	return reaches[len(reaches)-1]
}

// oldest is when the first of what there is to draw happened.
func (d *drawing) oldest() time.Time {
	oldest := d.now
	for _, c := range d.seen.Changes {
		oldest = earlier(oldest, c.Time.Time())
	}
	for _, o := range d.seen.Outages {
		oldest = earlier(oldest, o.From.Time())
	}
	return oldest
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func axis(begin time.Time, all time.Duration) (labels []string) {
	layout := "15:04"
	if all > 24*time.Hour {
		layout = "Jan 2"
	}
	for i := range axisParts + 1 {
		labels = append(labels, begin.Add(all/axisParts*time.Duration(i)).Format(layout))
	}
	return labels
}

// ticks are the outages, and a mark for each tick that stated something else.
func (d *drawing) ticks() lane {
	l := lane{Name: "Ticks"}
	for _, o := range d.seen.Outages {
		end := d.now
		if o.Until != nil {
			end = o.Until.Time()
		}
		title := fmt.Sprintf("%s %s in %s: %s", counted(int(o.Ticks), "tick"), outageWord(o), lasted(end.Sub(o.From.Time())), reasonOf(o))
		if s, ok := d.span(o.From.Time(), end, "outage", title); ok {
			l.Spans = append(l.Spans, s)
		}
	}
	for _, r := range d.seen.Recent {
		if s, ok := d.span(r.Time.Time(), r.Time.Time(), "mark", r.String()+": "+plain(r.Message)); ok {
			l.Marks = append(l.Marks, s)
		}
	}
	l.Says = counted(len(l.Spans), "outage") + ", " + counted(len(l.Marks), "change")
	return l
}

func outageWord(o status.Outage) string {
	if o.Skipped {
		return "skipped"
	}
	return "not recorded"
}

func reasonOf(o status.Outage) events.Reason {
	return cmp.Or(o.Reason, "no poller was at work")
}

// span is a part of a lane; false when it is not within the timeline.
func (d *drawing) span(from, to time.Time, class, title string) (drawn, bool) {
	if to.Before(d.begin) || from.After(d.now) {
		return drawn{}, false
	}
	all := float64(d.now.Sub(d.begin))
	x := 100 * max(0, float64(from.Sub(d.begin))/all)
	width := max(leastWidth, 100*float64(to.Sub(d.begin))/all-x)
	x = min(x, 100-leastWidth)
	return drawn{fmt.Sprintf("%.2f%%", x), fmt.Sprintf("%.2f%%", min(width, 100-x)), class, title}, true
}

// lane draws how a channel, or the fleet itself, has stood, as far as that is
// known.
func (d *drawing) lane(name string, channel *string, c status.Channel) lane {
	l := lane{Name: name}
	var says []string
	end := d.now
	draw := func(from time.Time, state view.State) {
		if !from.Before(end) {
			return
		}
		title := fmt.Sprintf("%s, %s for %s from %s", name, state, lasted(end.Sub(from)), from.Format("2006-01-02 15:04:05"))
		if s, ok := d.span(from, end, strings.ToLower(string(state)), title); ok {
			l.Spans = append(l.Spans, s)
			says = append(says, string(state))
		}
		end = from
	}
	if at, ok := turned(c); ok {
		draw(at, c.State)
	}
	for _, change := range d.seen.Changes { // newest first
		if (change.Channel == nil) == (channel == nil) && (channel == nil || *change.Channel == *channel) {
			draw(change.Time.Time(), change.State)
		}
	}
	if c.Since != nil {
		state := c.State
		if len(l.Spans) > 0 { // of its age, or of what changed since
			state = view.Fresh
		}
		draw(c.Since.Time.Time(), state)
	}
	slices.Reverse(says)
	l.Says = cmp.Or(strings.Join(says, ", then "), "not known")
	slices.Reverse(l.Spans)
	return l
}

// turned is when a manifest in force came to be what it is by its age.
func turned(c status.Channel) (time.Time, bool) {
	if c.FreshUntil == nil || c.SignedAt == nil {
		return time.Time{}, false
	}
	end := c.FreshUntil.Time()
	switch c.State {
	case view.Expired:
		return end, true
	case view.Expiring:
		return end.Add(-end.Sub(c.SignedAt.Time()) / 4), true
	}
	return time.Time{}, false
}
