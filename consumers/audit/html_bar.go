package audit

import (
	"fmt"
	"strings"
	"time"

	"fleetlog/events"
)

// bar is one row of the timeline.
type bar struct {
	Name  string // empty: the fleet
	Now   spanLine
	Share string // of the words, for who does not see the colours
	Spans []spanLine
}

// spanLine is one part of a bar.
type spanLine struct {
	Word, Class      string
	Reason, Version  string
	From, To, Lasted string
	Tick, Seq        uint64
	Joined           string // of what it is made, when of several
	X, Width         string // percent of the bar
}

// Brief is the version, cut to what fits beside a bar.
func (s spanLine) Brief() string {
	if r := []rune(s.Version); len(r) > briefLength {
		return string(r[:briefLength]) + "…"
	}
	return s.Version
}

const briefLength = 22

// Title says in one line what the part is.
func (s spanLine) Title() string {
	text := s.Word
	for _, more := range []string{s.Reason, s.Version, s.Joined} {
		if more != "" {
			text += ", " + more
		}
	}
	return fmt.Sprintf("%s: %s to %s (%s)", text, s.From, s.To, s.Lasted)
}

// timeline draws the rows over the time that was read.
func (c *contents) timeline(t *Timeline) {
	rows := t.rows()
	all := t.last.Time.Time().Sub(t.first.Time.Time())
	c.Lasted = lasted(all)
	c.Axis = axis(t.first.Time.Time(), all)
	limit := max(maxPageSpans/len(rows), 10)
	var used word
	several := false
	for _, r := range rows {
		b := bar{Share: shareText(r.shares(t.last.Time), t.last.Time-t.first.Time)}
		if r != &t.fleet {
			b.Name = nameText(r.name)
		}
		for _, s := range r.until(t.last.Time, limit) {
			used |= s.word
			several = several || s.word.several()
			b.Now = s.line(t.first.Time, all)
			b.Spans = append(b.Spans, b.Now)
		}
		if b.Share == "" {
			b.Share = b.Now.Word
		}
		c.Rows = append(c.Rows, b)
	}
	for _, w := range used.single() {
		c.Legend = append(c.Legend, legendLine{w.String(), w.class(), wordTexts[w.index()].means})
	}
	if several {
		c.Legend = append(c.Legend, legendLine{used.String(), used.class(), "several of these one after the other, each too short to be drawn"})
	}
}

func shareText(shares [words]events.Time, all events.Time) string {
	var parts []string
	for i, share := range shares {
		if share > 0 && all > 0 {
			parts = append(parts, wordTexts[i].name+" "+percent(share, all))
		}
	}
	return strings.Join(parts, " · ")
}

func percent(part, all events.Time) string {
	p := 100 * float64(part) / float64(all)
	switch {
	case part == all:
		return "100 %"
	case p < 0.01:
		return "< 0.01 %"
	case p > 99.99:
		return "> 99.99 %"
	}
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", p), "0"), ".") + " %"
}

// leastWidth is how narrow a part is drawn, in percent.
const leastWidth = 0.25

func (s span) line(begin events.Time, all time.Duration) spanLine {
	line := spanLine{
		Word: s.word.String(), Class: s.word.class(), Reason: plain(string(s.reason)), Version: plain(s.version),
		From: when(s.from), To: when(s.to), Lasted: lasted(s.to.Time().Sub(s.from.Time())), Tick: s.tick, Seq: s.seq,
	}
	if line.Reason == line.Word {
		line.Reason = ""
	}
	if s.word == outage { // the tick is the one behind it
		line.Tick = 0
	}
	if s.spans > 1 {
		var names []string
		for _, w := range s.word.single() {
			names = append(names, w.String())
		}
		line.Joined = fmt.Sprintf("%s: %d in turn", strings.Join(names, ", "), s.spans)
	}
	x, width := 0.0, 100.0
	if all > 0 {
		x = 100 * float64(s.from.Time().Sub(begin.Time())) / float64(all)
		width = max(100*float64(s.to.Time().Sub(s.from.Time()))/float64(all), leastWidth)
	}
	x = max(min(x, 100-leastWidth), 0)
	line.X, line.Width = fmt.Sprintf("%.3f%%", x), fmt.Sprintf("%.3f%%", min(width, 100-x))
	return line
}

// lasted is a duration in its two largest units.
func lasted(d time.Duration) string {
	d = max(d, 0).Round(time.Second)
	days, hours := int(d/(24*time.Hour)), int(d/time.Hour)%24
	minutes, seconds := int(d/time.Minute)%60, int(d/time.Second)%60
	switch {
	case days > 0:
		return fmt.Sprintf("%d d %d h", days, hours)
	case hours > 0:
		return fmt.Sprintf("%d h %d min", hours, minutes)
	case minutes > 0:
		return fmt.Sprintf("%d min %d s", minutes, seconds)
	}
	return fmt.Sprintf("%d s", seconds)
}

// axisParts is into how many parts the labels divide the bars.
const axisParts = 4

func axis(begin time.Time, all time.Duration) (labels []string) {
	layout := "2006-01-02"
	switch {
	case all < time.Hour:
		layout = "15:04:05"
	case all < 10*24*time.Hour:
		layout = "01-02 15:04"
	}
	for i := range axisParts + 1 {
		labels = append(labels, begin.Add(all/axisParts*time.Duration(i)).Format(layout))
	}
	return labels
}
