// Package schemas holds what others have written against the events: a
// validator of JSON Schema, the CloudEvents SDK and the schema of AsyncAPI. It is
// a module of its own so that none of them is a dependency of the project.
package schemas

import (
	"bytes"
	"os"
	"testing"

	"fleetlog/events"
	"fleetlog/events/schema"

	"github.com/go-json-experiment/json"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// root is the project's folder.
const root = "../../"

// compiled are the schemas of the bodies, by type.
func compiled(t *testing.T) map[string]*jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	c.AssertContent()
	all := map[string]*jsonschema.Schema{}
	for _, name := range schema.Types() {
		text, _ := schema.Of(name)
		all[name] = compile(t, c, "urn:nixfleet:event:"+name, text)
	}
	return all
}

func compile(t *testing.T, c *jsonschema.Compiler, url string, text []byte) *jsonschema.Schema {
	t.Helper()
	if err := c.AddResource(url, parse(t, text)); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(url)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// parse is text as the validator wants it.
func parse(t *testing.T, text []byte) any {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return value
}

// message is a line of the golden log.
type message struct {
	Seq     uint64            `json:"seq"`
	Subject string            `json:"subject"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

func golden(t *testing.T) (all []message) {
	t.Helper()
	text, err := os.ReadFile(root + "events/testdata/golden.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		var m message
		if err := json.Unmarshal(line, &m); err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	return all
}

// TestSchemasAcceptTheGoldenLog validates every event of it, and demands that it
// has all types.
func TestSchemasAcceptTheGoldenLog(t *testing.T) {
	all, seen := compiled(t), map[string]int{}
	for _, m := range golden(t) {
		validate(t, all, []byte(m.Body), seen)
	}
	t.Logf("events by type: %v", seen)
	if len(seen) != len(all) {
		t.Errorf("the log has %d types, there are %d schemas", len(seen), len(all))
	}
}

// TestSchemasAcceptTheExamplesOfReasons validates an event for every reason.
func TestSchemasAcceptTheExamplesOfReasons(t *testing.T) {
	text, err := os.ReadFile(root + "events/testdata/reasons.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	all, seen, examples := compiled(t), map[string]int{}, 0
	for line := range bytes.Lines(text) {
		validate(t, all, bytes.TrimSpace(line), seen)
		examples++
	}
	if examples < 30 {
		t.Errorf("only %d examples: %v", examples, seen)
	}
}

func validate(t *testing.T, all map[string]*jsonschema.Schema, body []byte, seen map[string]int) {
	t.Helper()
	event, err := events.Decode(body)
	if err != nil {
		t.Fatal(err)
	}
	s := all[event.Head().Type]
	if s == nil {
		t.Fatalf("no schema of %s", event.Head().Type)
	}
	if err := s.Validate(parse(t, body)); err != nil {
		t.Errorf("%s\n%v", body, err)
	}
	seen[event.Head().Type]++
}
