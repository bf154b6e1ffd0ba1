package schemas

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fleetlog/events"

	asyncapi "github.com/asyncapi/spec-json-schemas/v6"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

const document = root + "docs/asyncapi.json"

// described is what is read of the AsyncAPI document.
type described struct {
	Channels map[string]struct {
		Address  string               `json:"address"`
		Messages map[string]reference `json:"messages"`
	} `json:"channels"`
	Components struct {
		Messages map[string]struct {
			Headers jsontext.Value `json:"headers"`
			Payload struct {
				Schema reference `json:"schema"`
			} `json:"payload"`
			Examples []struct {
				Headers jsontext.Value `json:"headers"`
				Payload jsontext.Value `json:"payload"`
			} `json:"examples"`
		} `json:"messages"`
	} `json:"components"`
}

type reference struct {
	Ref string `json:"$ref"`
}

func readDocument(t *testing.T) (text []byte, d described) {
	t.Helper()
	text, err := os.ReadFile(document)
	if err == nil {
		err = json.Unmarshal(text, &d)
	}
	if err != nil {
		t.Fatal(err)
	}
	return text, d
}

// headerSchemas are the schemas of the headers, by the name of the channel.
type headerSchemas map[string]*jsonschema.Schema

// of is the schema of the headers of a message with this subject.
func (h headerSchemas) of(t *testing.T, subject string) *jsonschema.Schema {
	t.Helper()
	name := strings.Split(subject, ".")[3]
	if h[name] == nil {
		t.Fatalf("the document has no channel for %s", subject)
	}
	return h[name]
}

func compiledHeaders(t *testing.T) headerSchemas {
	t.Helper()
	_, d := readDocument(t)
	all := headerSchemas{}
	for name, channel := range d.Channels {
		for id := range channel.Messages {
			c := jsonschema.NewCompiler()
			c.AssertFormat()
			c.AssertContent()
			all[name] = compile(t, c, "urn:headers:"+id, d.Components.Messages[id].Headers)
		}
	}
	return all
}

// TestAsyncAPIDocumentIsOfItsSchema validates the document with the schema that
// AsyncAPI publishes.
func TestAsyncAPIDocumentIsOfItsSchema(t *testing.T) {
	published, err := asyncapi.Get("3.0.0")
	if err != nil || published == nil {
		t.Fatalf("no schema: %v", err)
	}
	s := compile(t, jsonschema.NewCompiler(), "http://asyncapi.com/definitions/3.0.0/asyncapi.json", published)
	text, _ := readDocument(t)
	whole := parse(t, text).(map[string]any)
	if err := s.Validate(whole); err != nil {
		t.Error(err)
	}
	whole["channels"].(map[string]any)["TickCompleted"].(map[string]any)["unknown"] = "field"
	if s.Validate(whole) == nil {
		t.Error("a channel with an unknown field is accepted")
	}
}

// TestReferencesOfTheDocument follows every one, in the document and out of it.
func TestReferencesOfTheDocument(t *testing.T) {
	text, _ := readDocument(t)
	whole, followed := parse(t, text), 0
	walk(whole, func(ref string) {
		followed++
		if pointer, inside := strings.CutPrefix(ref, "#/"); inside {
			at := whole
			for _, name := range strings.Split(pointer, "/") {
				object, _ := at.(map[string]any)
				at = object[name]
			}
			if at == nil {
				t.Errorf("%s leads nowhere", ref)
			}
		} else if _, err := os.Stat(filepath.Join(filepath.Dir(document), ref)); err != nil {
			t.Error(err)
		}
	})
	if followed != 8*4 {
		t.Errorf("%d references", followed)
	}
}

// walk visits every $ref.
func walk(value any, visit func(ref string)) {
	switch value := value.(type) {
	case map[string]any:
		if ref, ok := value["$ref"].(string); ok {
			visit(ref)
		}
		for _, inner := range value {
			walk(inner, visit)
		}
	case []any:
		for _, inner := range value {
			walk(inner, visit)
		}
	}
}

// TestExamplesOfTheDocument validates every example with the schema that its
// message names, and demands that the golden log has it.
func TestExamplesOfTheDocument(t *testing.T) {
	_, d := readDocument(t)
	bodies, headers, log := compiled(t), compiledHeaders(t), golden(t)
	examples, seen := 0, map[string]int{}
	for id, m := range d.Components.Messages {
		if want := "../events/schema/" + id + ".json"; m.Payload.Schema.Ref != want {
			t.Errorf("%s: payload is of %s", id, m.Payload.Schema.Ref)
		}
		for _, example := range m.Examples {
			examples++
			if err := example.Payload.Compact(); err != nil {
				t.Fatal(err)
			}
			validate(t, bodies, example.Payload, seen)
			i := slices.IndexFunc(log, func(m message) bool { return m.Body == string(example.Payload) })
			if i < 0 {
				t.Errorf("%s: an example is not in the golden log", id)
				continue
			}
			if err := headers.of(t, log[i].Subject).Validate(parse(t, example.Headers)); err != nil {
				t.Errorf("%s: %v", id, err)
			}
		}
	}
	if len(seen) != len(bodies) || examples < 10 {
		t.Errorf("%d examples of %v", examples, seen)
	}
}

// TestChannelsOfTheDocument compares the subjects of the golden log with the
// addresses.
func TestChannelsOfTheDocument(t *testing.T) {
	_, d := readDocument(t)
	for _, m := range golden(t) {
		event, err := events.Decode([]byte(m.Body))
		if err != nil {
			t.Fatal(err)
		}
		name, _, _ := strings.Cut(events.Leaf(event), ".")
		channel, _ := event.ChannelName()
		address := strings.NewReplacer("{fleet}", event.Head().Fleet.String(), "{channel}", events.ChannelToken(channel)).
			Replace(d.Channels[name].Address)
		if address != m.Subject {
			t.Errorf("%s: the document says %q", m.Subject, address)
		}
		if _, ok := d.Channels[name].Messages[event.Head().Type]; !ok {
			t.Errorf("channel %s has no message %s", name, event.Head().Type)
		}
	}
}
