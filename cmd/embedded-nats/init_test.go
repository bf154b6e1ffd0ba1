package main

import (
	"flag"
	"os"
	"reflect"
	"testing"

	"fleetlog/events"
	"fleetlog/internal/jsonschema"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the schema anew")

const schemaFile = "../../docs/schema/embedded-nats-init.json"

// TestSchemaOfInit holds the schema of what init -o json prints to its type.
func TestSchemaOfInit(t *testing.T) {
	made, err := jsonschema.Of(reflect.TypeFor[made](), jsonschema.Forms{
		reflect.TypeFor[events.PublicKey](): jsonschema.Text("^[A-Za-z0-9+/]{43}=$"),
	})
	if err != nil {
		t.Fatal(err)
	}
	made["$id"], made["title"] = "urn:nixfleet:embedded-nats:init", "embedded-nats init"
	text, err := json.Marshal(made, json.Deterministic(true), jsontext.EscapeForHTML(false), jsontext.WithIndent("  "))
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, '\n')
	if *update {
		if err := os.WriteFile(schemaFile, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(kept), string(text)); diff != "" {
		t.Errorf("%s (-kept +made); go test ./cmd/embedded-nats -update writes it anew:\n%s", schemaFile, diff)
	}
}
