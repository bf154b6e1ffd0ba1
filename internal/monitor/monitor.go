// Package monitor writes the outcome of a check for monitoring systems: as a
// plugin of Nagios and its kin, as Prometheus's text, as JSON, or for people.
package monitor

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Status is the outcome, and the code that a plugin exits with.
type Status int

// The outcomes.
const (
	OK Status = iota
	Warning
	Critical
	Unknown
)

// String is the word that plugins print.
func (s Status) String() string { return [...]string{"OK", "WARNING", "CRITICAL", "UNKNOWN"}[s] }

// MarshalText is [Status.String].
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Formats that a result is written in.
const (
	Nagios     = "nagios"
	Prometheus = "prometheus"
	JSON       = "json"
	Text       = "text"
)

// Result is the outcome of one check and what it rests on.
type Result struct {
	Check   string   `json:"check"`
	Fleet   string   `json:"fleet,omitzero"`
	Status  Status   `json:"status"`
	Items   []Item   `json:"items"`
	Figures []Figure `json:"figures"`
}

// Item is one thing that was looked at.
type Item struct {
	Status Status `json:"status"`
	Text   string `json:"text"`
}

// Figure is a number of the check.
type Figure struct {
	Name  string   `json:"name"`          // such as expiry
	Item  string   `json:"item,omitzero"` // what it is of, such as a channel
	Unit  string   `json:"unit,omitzero"` // s, B, % or none
	Value float64  `json:"value"`
	Warn  *float64 `json:"warn,omitzero"`
	Crit  *float64 `json:"crit,omitzero"`
	Help  string   `json:"help"`
}

// Add takes note of one thing; the worst of them is the outcome. What is not known
// weighs more than a warning, and less than what is known to be critical.
func (r *Result) Add(status Status, format string, a ...any) {
	r.Items = append(r.Items, Item{status, oneLine(fmt.Sprintf(format, a...))})
	if weight(status) > weight(r.Status) {
		r.Status = status
	}
}

func weight(s Status) int { return [...]int{OK: 0, Warning: 1, Unknown: 2, Critical: 3}[s] }

// Figure takes note of a number.
func (r *Result) Figure(f Figure) { r.Figures = append(r.Figures, f) }

// ExitCode is the code for a format: Prometheus's files are written whatever they
// say.
func (r *Result) ExitCode(format string) int {
	if format == Prometheus {
		return 0
	}
	return int(r.Status)
}

// Write writes the result in the format.
func (r *Result) Write(w io.Writer, format string) error {
	var text string
	switch format {
	case Prometheus:
		text = r.prometheus()
	case JSON:
		data, err := json.Marshal(r, json.Deterministic(true), jsontext.EscapeForHTML(false), json.FormatNilSliceAsNull(false))
		if err != nil {
			return err
		}
		text = string(data) + "\n"
	case Text:
		text = r.text()
	default:
		text = r.nagios()
	}
	_, err := io.WriteString(w, text)
	return err
}

// nagios is one line: the outcome, what is wrong before what is not, and behind a
// bar the figures.
func (r *Result) nagios() string {
	parts := []string{r.Status.String(), r.Check}
	for _, s := range []Status{Critical, Unknown, Warning, OK} {
		if texts := r.of(s); texts != nil {
			word := map[Status]string{Critical: "Crit:", Unknown: "Unknown:", Warning: "Warn:", OK: "OK:"}[s]
			parts = append(parts, word+strings.ReplaceAll(strings.Join(texts, ", "), "|", "/"))
		}
	}
	line := strings.Join(parts, " ")
	var figures []string
	for _, f := range r.Figures {
		figures = append(figures, f.perfdata())
	}
	if figures != nil {
		line += " | " + strings.Join(figures, " ")
	}
	return line + "\n"
}

func (r *Result) of(s Status) (texts []string) {
	for _, i := range r.Items {
		if i.Status == s {
			texts = append(texts, i.Text)
		}
	}
	return texts
}

// perfdata is 'label'=value[unit];[warn];[crit], quoted where a label needs it.
func (f Figure) perfdata() string {
	label := f.Name
	if f.Item != "" {
		label = f.Item + "_" + f.Name
	}
	label = strings.NewReplacer("=", "_", "|", "_").Replace(oneLine(label))
	if strings.ContainsAny(label, " \t'") {
		label = "'" + strings.ReplaceAll(label, "'", "''") + "'"
	}
	text := label + "=" + number(&f.Value) + f.Unit
	if f.Warn != nil || f.Crit != nil {
		text += ";" + number(f.Warn) + ";" + number(f.Crit)
	}
	return text
}

func number(f *float64) string {
	if f == nil {
		return ""
	}
	return strconv.FormatFloat(*f, 'f', -1, 64)
}

func (r *Result) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", r.Check, r.Status)
	for _, i := range r.Items {
		fmt.Fprintf(&b, "  %-8s %s\n", i.Status, i.Text)
	}
	return b.String()
}

// prometheus is the text format that a node exporter collects from files.
func (r *Result) prometheus() string {
	var b strings.Builder
	metric := func(name, help string) {
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name)
	}
	const status = "fleetlog_check_status"
	metric(status, "Outcome of the check: 0 OK, 1 warning, 2 critical, 3 unknown.")
	fmt.Fprintf(&b, "%s{check=%s,fleet=%s} %d\n", status, label(r.Check), label(r.Fleet), r.Status)
	seen := map[string]bool{}
	for _, f := range r.Figures {
		name := f.metric(r.Check)
		if seen[name] {
			continue
		}
		seen[name] = true
		metric(name, f.Help)
		for _, of := range r.Figures {
			if of.metric(r.Check) == name {
				fmt.Fprintf(&b, "%s{fleet=%s,item=%s} %s\n", name, label(r.Fleet), label(of.Item), number(&of.Value))
			}
		}
	}
	return b.String()
}

func (f Figure) metric(check string) string {
	name := "fleetlog_check_" + check + "_" + f.Name
	switch f.Unit {
	case "s":
		name += "_seconds"
	case "B":
		name += "_bytes"
	case "%":
		name += "_percent"
	}
	return name
}

// label quotes the value of a label.
func label(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}

// oneLine replaces what would end a line or move a cursor.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
}
