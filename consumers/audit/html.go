package audit

import (
	_ "embed" // for the page
	"fmt"
	"html/template"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"fleetlog/consumers/explain"
	"fleetlog/consumers/view"
	"fleetlog/events"
)

//go:embed report.html
var pageText string

// Page is an audit for people: one file of HTML that needs nothing else.
type Page struct {
	Report   *Report
	Timeline *Timeline // made while that audit read
	Made     time.Time
}

// Write writes the page. The same page is the same bytes. What artifacts and
// messages say is text in it, and never more.
func (p Page) Write(w io.Writer) error {
	page, err := template.New("report").Funcs(template.FuncMap{
		"when": when, "number": number, "counted": counted, "plain": plain, "place": placeText, "left": left,
	}).Parse(pageText)
	if err != nil {
		return fmt.Errorf("read page: %w", err)
	}
	if err := page.Execute(w, p.contents()); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	return nil
}

// contents is what the page shows, in the form in which it does.
type contents struct {
	*Report
	Made    time.Time
	NotRun  []string
	Lasted  string // from the first tick to the last
	Legend  []legendLine
	Axis    []string
	Rows    []bar
	Crowded bool

	Changes     []changeLine
	ChangesLeft uint64 // between the two lists
	Newest      []changeLine
	AllChanges  uint64

	Refusals     []refusalLine
	RefusalsLeft uint64
	Reasons      []explain.Page

	Keys     []keyLine
	KeysLeft uint64
}

type legendLine struct{ Word, Class, Means string }

type changeLine struct {
	view.Change
	Name, Word, Class string
}

type refusalLine struct {
	Name, Word, Class, Reason, Detail string
	First, Last                       view.Resolved
	Times, Ticks                      uint64
}

type keyLine struct {
	Kind, Algorithm, Public string
	First, Last             view.Resolved
	Ticks                   uint64
}

func (p Page) contents() contents {
	t := p.Timeline
	c := contents{
		Report: p.Report, Made: p.Made.UTC().Truncate(time.Second),
		Crowded: t.crowded, AllChanges: t.changes.total,
		Changes: changeLines(t.changes.first), Newest: changeLines(t.changes.newest()),
		RefusalsLeft: t.refusals.left, KeysLeft: t.keys.left + t.writers.left,
	}
	for _, check := range p.Report.Checks {
		if !check.Ran {
			c.NotRun = append(c.NotRun, check.Name)
		}
	}
	c.ChangesLeft = c.AllChanges - uint64(len(c.Changes)+len(c.Newest))
	c.refusals(&t.refusals)
	c.keys(&t.writers)
	c.keys(&t.keys)
	if t.ticks > 0 {
		c.timeline(t)
	}
	return c
}

func changeLines(changes []view.Change) []changeLine {
	lines := make([]changeLine, 0, len(changes))
	for _, c := range changes {
		w := wordOf(c.Condition, c.Channel == nil)
		line := changeLine{Change: c, Word: w.String(), Class: w.class()}
		if c.Channel != nil {
			line.Name = nameText(*c.Channel)
		}
		lines = append(lines, line)
	}
	return lines
}

func (c *contents) refusals(y *tally[refusal]) {
	for _, r := range y.sorted(compareRefusals) {
		p := y.kept[r]
		line := refusalLine{
			Word: r.word.String(), Class: r.word.class(), Reason: string(r.reason), Detail: p.detail,
			First: p.first, Last: p.last, Times: p.times, Ticks: p.ticks,
		}
		if !r.fleet {
			line.Name = nameText(r.channel)
		}
		c.Refusals = append(c.Refusals, line)
		page, ok := explain.Find(line.Reason)
		if ok && !slices.Contains(c.Reasons, page) {
			c.Reasons = append(c.Reasons, page)
		}
	}
	slices.SortFunc(c.Reasons, func(a, b explain.Page) int { return strings.Compare(a.Code, b.Code) })
}

func (c *contents) keys(y *tally[key]) {
	for _, k := range y.sorted(compareKeys) {
		p := y.kept[k]
		c.Keys = append(c.Keys, keyLine{k.kind, plain(k.algorithm), plain(k.public), p.first, p.last, p.ticks})
	}
}

// nameText is the name of a channel as people see it. Even an empty one, or one
// that a reader would take for something else, is seen as what it is.
func nameText(name string) string {
	if name == "" || strings.TrimSpace(name) != name {
		return strconv.Quote(name)
	}
	return plain(name)
}

// plain quotes what holds characters that cannot be seen, or that turn around
// how others are.
func plain(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.QuoteToASCII(s)
	}
	return s
}

// when is a time for people; all of them are in UTC.
func when(t events.Time) string { return t.Time().Format("2006-01-02 15:04:05") }

// left is how many of all are not shown.
func left(all uint64, shown int) uint64 { return all - uint64(shown) }

func placeText(tick, seq uint64) string { return fmt.Sprintf("tick:%d seq:%d", tick, seq) }

// counted is a number of things of which there may be one.
func counted(n uint64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return number(n) + " " + noun + "s"
}

// number has its digits in groups of three.
func number(n uint64) string {
	digits := strconv.FormatUint(n, 10)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}
