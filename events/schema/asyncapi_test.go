package schema_test

import (
	"bytes"
	"os"
	"reflect"
	"strings"
	"testing"

	"fleetlog/events"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const asyncapiFile = "../../docs/asyncapi.json"

// TestAsyncAPI holds the kept document to the Go types, the subjects and the
// golden log, of which its examples are.
func TestAsyncAPI(t *testing.T) {
	comments := commentsOf(t)
	channels, operations, messages := object{}, object{}, object{}
	for _, event := range described {
		name := nameOf(event)
		id := name + ".v1"
		channels = append(channels, member{name, channelOf(event, id)})
		operations = append(operations, member{"record" + name, of(
			"action", "send",
			"channel", of("$ref", "#/channels/"+name),
			"messages", []any{of("$ref", "#/channels/"+name+"/messages/"+id)})})
		messages = append(messages, member{id, messageOf(t, event, comments["events."+name])})
	}
	made, err := of(
		"asyncapi", "3.0.0",
		"info", of(
			"title", "fleetlog",
			"version", "1.0.0",
			"description", "The events that a poller records in a fleet's log, format 1, as CloudEvents in binary mode. "+
				"docs/log-format.md says how they make a log, and which of the stored messages count.",
			"license", of("name", "MIT")),
		"defaultContentType", "application/json",
		"channels", channels,
		"operations", operations,
		"components", of("messages", messages),
		"x-jetstream", of("stream", "nixfleet-{fleet}-events", "subjects", []any{"nixfleet.{fleet}.event.>"}),
	).print()
	if err != nil {
		t.Fatal(err)
	}
	keep(t, asyncapiFile, made)
}

// messageOf is the message that stores an event.
func messageOf(t *testing.T, event events.Event, summary string) object {
	t.Helper()
	id := nameOf(event) + ".v1"
	return of(
		"name", "io.nixfleet."+id,
		"title", id,
		"summary", summary,
		"contentType", "application/json",
		"headers", headersOf(event, id),
		"payload", of(
			"schemaFormat", "application/schema+json;version=2020-12",
			"schema", of("$ref", "../events/schema/"+id+".json")),
		"examples", examplesOf(t, id))
}

func isOfChannel(event events.Event) bool {
	_, ok := event.ChannelName()
	return ok
}

// channelOf is the subject of an event.
func channelOf(event events.Event, id string) object {
	address := "nixfleet.{fleet}.event." + nameOf(event)
	parameters := of("fleet", of("description", "name of the fleet", "examples", []any{"prod"}))
	if isOfChannel(event) {
		address += ".{channel}"
		parameters = append(parameters, member{"channel", of(
			"description", "token of the channel: its name with any byte outside [A-Za-z0-9_-] as =XX",
			"examples", []any{"stable"})})
	}
	return of(
		"address", address,
		"parameters", parameters,
		"messages", of(id, of("$ref", "#/components/messages/"+id)))
}

// headersOf are the headers that events.Message documents.
func headersOf(event events.Event, id string) object {
	text := func(pattern string) object { return of("type", "string", "pattern", pattern) }
	properties := of(
		"ce-specversion", fixed("1.0"),
		"ce-id", text("^[0-9a-f-]{36}\\.(0|[1-9][0-9]*)$"),
		"ce-source", text("^/nixfleet/[a-z0-9][a-z0-9-]{0,31}$"),
		"ce-type", fixed("io.nixfleet."+id),
		"ce-time", forms[reflect.TypeFor[events.Time]()],
		"ce-datacontenttype", fixed("application/json"),
		"content-type", fixed("application/json"))
	if isOfChannel(event) {
		properties = append(properties, member{"ce-subject", text("^[A-Za-z0-9_=-]{1,100}$")})
	}
	if id == events.TypeLogOpened || id == events.TypeTickCompleted {
		properties = append(properties, member{events.SignatureHeader, fields["Artifact.signature"]})
	}
	var required []any
	for _, p := range properties {
		required = append(required, p.name)
	}
	return of("type", "object", "properties", properties, "required", required)
}

// examplesOf are the golden log's first event of the type with each severity.
func examplesOf(t *testing.T, id string) (examples []any) {
	t.Helper()
	text, err := os.ReadFile("../testdata/golden.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[events.Severity]bool{}
	for line := range bytes.Lines(text) {
		var message struct {
			Headers jsontext.Value `json:"headers"`
			Body    string         `json:"body"`
		}
		if err := json.Unmarshal(line, &message); err != nil {
			t.Fatal(err)
		}
		event, err := events.Decode([]byte(message.Body))
		if err != nil {
			t.Fatal(err)
		}
		head := event.Head()
		if head.Type != id || seen[head.Severity] {
			continue
		}
		seen[head.Severity] = true
		examples = append(examples, of(
			"name", strings.TrimSuffix(id, ".v1")+"-"+string(head.Severity),
			"summary", head.Message,
			"headers", message.Headers,
			"payload", jsontext.Value(message.Body)))
	}
	return examples
}
