package jsonschema_test

import (
	"reflect"
	"testing"
	"time"

	"fleetlog/internal/jsonschema"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

type word string

type inner struct {
	Seq uint64 `json:"seq"`
}

type outer struct {
	inner
	Word  word              `json:"word"`
	Maybe *inner            `json:"maybe"`
	Left  *inner            `json:"left,omitzero"`
	Of    map[string][]byte `json:"of"`
	Any   jsontext.Value    `json:"any"`
	None  []int             `json:"-"`
}

func TestOf(t *testing.T) {
	s, err := jsonschema.Of(reflect.TypeFor[outer](), jsonschema.Forms{reflect.TypeFor[word](): jsonschema.OneOf[word]("a", "b")})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(s, json.Deterministic(true))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"$defs":{"inner":{"properties":{"seq":{"minimum":0,"type":"integer"}},"required":["seq"],"type":"object"},"word":{"enum":["a","b"]}},` +
		`"$schema":"https://json-schema.org/draft/2020-12/schema",` +
		`"properties":{"any":{},"left":{"$ref":"#/$defs/inner"},"maybe":{"anyOf":[{"$ref":"#/$defs/inner"},{"type":"null"}]},` +
		`"of":{"additionalProperties":{"contentEncoding":"base64","type":"string"},"type":"object"},` +
		`"seq":{"minimum":0,"type":"integer"},"word":{"$ref":"#/$defs/word"}},` +
		`"required":["seq","word","maybe","of","any"],"type":"object"}`
	if string(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
}

func TestWithoutASchema(t *testing.T) {
	for _, v := range []any{
		struct {
			At time.Time `json:"at"`
		}{},
		struct{ Unnamed int }{},
		struct {
			C chan int `json:"c"`
		}{},
	} {
		if s, err := jsonschema.Of(reflect.TypeOf(v), nil); err == nil {
			t.Errorf("%T has the schema %v", v, s)
		}
	}
}
