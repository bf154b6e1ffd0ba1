package schema_test

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"fleetlog/events"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const documentFile = "../../docs/events.md"

// TestDocument holds docs/events.md to the Go types, their forms and the golden
// log, of which its examples are.
func TestDocument(t *testing.T) {
	comments := commentsOf(t)
	var b strings.Builder
	b.WriteString(`# Events

What a poller records, in the order of a tick: LogOpened once, then the findings of each tick and its TickCompleted.
How they make a log, and which stored messages count, is in [log-format.md](log-format.md); each body has a JSON Schema
(` + "`fleetlog schema TYPE`" + `, events/schema), all of them an [AsyncAPI document](asyncapi.json). A body may have further fields.
` + "`fleetlog explain REASON`" + ` says what a reason means and what would clear it.

`)
	b.WriteString("| Event | Subject | Severity | Reasons |\n|---|---|---|---|\n")
	for _, event := range described {
		name := nameOf(event)
		fmt.Fprintf(&b, "| [%s](#%s) | `%s` | %s | %s |\n", name, strings.ToLower(name), channelOf(event, name+".v1").get("address"),
			strings.Join(severities(name), ", "), reasonsOf(name))
	}
	for _, event := range described {
		writeEvent(t, &b, event, comments)
	}
	writeReasons(&b)
	keep(t, documentFile, []byte(b.String()))
}

func writeEvent(t *testing.T, b *strings.Builder, event events.Event, comments map[string]string) {
	t.Helper()
	name := nameOf(event)
	fmt.Fprintf(b, "\n## %s\n\n%s\n\n| Field | Value | |\n|---|---|---|\n", name, comments["events."+name])
	s := &schemas{comments: map[string]string{}, seen: map[string]bool{}}
	body := s.structOf(reflect.TypeOf(event).Elem())
	required := body.get("required").([]any)
	for _, field := range body.get("properties").(object) {
		optional := ""
		if !slices.Contains(required, any(field.name)) {
			optional = "may be absent"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", field.name, inWords(t, field.value.(object), s.defs), optional)
	}
	if reasons := stageTable(name); reasons != "" {
		b.WriteString(reasons)
	}
	for _, example := range examplesOf(t, name+".v1") {
		payload := example.(object).get("payload").(jsontext.Value)
		if err := payload.Indent(jsontext.WithIndent("  ")); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(b, "\n%s (%s):\n\n```json\n%s\n```\n", example.(object).get("summary"), example.(object).get("name"), payload)
	}
}

// inWords describes the form of a field in a few words.
func inWords(t *testing.T, form, defs object) string {
	t.Helper()
	if ref, ok := form.get("$ref").(string); ok {
		name := strings.TrimPrefix(ref, "#/$defs/")
		def, _ := defs.get(name).(object)
		if def.get("type") == "object" {
			var members []string
			for _, m := range def.get("properties").(object) {
				members = append(members, "`"+m.name+"`")
			}
			return name + ": " + strings.Join(members, " ")
		}
		if def.get("enum") != nil {
			return inWords(t, def, defs)
		}
		return name
	}
	if any, ok := form.get("anyOf").([]any); ok {
		return inWords(t, any[0].(object), defs) + ", or null"
	}
	if value := form.get("const"); value != nil {
		return "always " + code(t, value)
	}
	if values, ok := form.get("enum").([]any); ok {
		var words []string
		for _, v := range values {
			words = append(words, code(t, v))
		}
		return strings.Join(words, " ")
	}
	if items, ok := form.get("items").(object); ok {
		return "list of " + inWords(t, items, defs)
	}
	kind := fmt.Sprint(form.get("type"))
	if format := form.get("format"); format != nil {
		kind = fmt.Sprint(format)
	}
	return kind
}

func code(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return "`" + string(bytes.Trim(text, `"`)) + "`"
}

// severities are those that an event can have.
func severities(name string) (all []string) {
	form, ok := fields[name+".severity"]
	if !ok {
		form = forms[reflect.TypeFor[events.Severity]()]
	}
	values, ok := form.get("enum").([]any)
	if !ok {
		values = []any{form.get("const")}
	}
	for _, v := range values {
		all = append(all, fmt.Sprint(v))
	}
	return all
}

// reasonsOf says where the reasons of an event are listed, or lists them.
func reasonsOf(name string) string {
	list := func(values []any) string {
		var words []string
		for _, v := range values {
			words = append(words, fmt.Sprint(v))
		}
		return strings.Join(words, ", ")
	}
	switch name {
	case "FleetRejected", "RolloutRejected":
		return "by stage, below"
	case "RolloutVerified":
		return "carried: " + list(fields["RolloutVerified.carried"].get("enum").([]any))
	case "CrossCheckFailed":
		return "check: " + list(fields["CrossCheckFailed.check"].get("enum").([]any))
	case "ChannelIdle":
		return list(fields["ChannelIdle.reason"].get("enum").([]any))
	case "TickCompleted":
		return "missed: " + list(fields["Missed.reason"].get("enum").([]any))
	}
	return ""
}

// stageTable lists the reasons of each stage of a refusal.
func stageTable(name string) string {
	if name != "FleetRejected" && name != "RolloutRejected" {
		return ""
	}
	text := "\n| Stage | Reasons |\n|---|---|\n"
	for _, s := range stages {
		var words []string
		for _, reason := range s.reasons {
			words = append(words, fmt.Sprint(reason))
		}
		text += fmt.Sprintf("| %s | %s |\n", s.stage, strings.Join(words, ", "))
	}
	return text
}

// writeReasons lists every reason with its label and where it arises. Neither is
// ever renamed.
func writeReasons(b *strings.Builder) {
	b.WriteString("\n## Reasons\n\nNone is ever renamed. testdata/reasons.jsonl of package events has an event for each.\n\n| Reason | Label in metrics | Where |\n|---|---|---|\n")
	for _, reason := range everyReason() {
		where := "ChannelIdle"
		switch {
		case stageOf(reason) != "":
			where = "stage " + string(stageOf(reason))
		case slices.Contains(events.Misses(), reason):
			where = "a tick that was not recorded"
		case reason == events.CheckFleetHash || reason == events.CheckHostSet:
			where = "CrossCheckFailed"
		}
		fmt.Fprintf(b, "| %s | %s | %s |\n", reason, reason.Label(), where)
	}
}
