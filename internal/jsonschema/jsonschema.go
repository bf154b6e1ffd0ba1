// Package jsonschema makes JSON Schemas (2020-12) of Go types, as go-json-experiment
// writes their values.
package jsonschema

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Schema is one schema, or a part of one.
type Schema map[string]any

// Forms are the schemas of types that write themselves, or have few values.
type Forms map[reflect.Type]Schema

// Text is the form of texts that match the pattern.
func Text(pattern string) Schema { return Schema{"type": "string", "pattern": pattern} }

// OneOf is the form of a value that is one of these.
func OneOf[T ~string](values ...T) Schema { return Schema{"enum": values} }

// Of is the schema of a type. A field that may be left out is not required, a
// pointer may be null, and further fields are allowed: programs that read an
// answer pass over what they do not know. A type that writes itself, and has no
// form, is an error.
func Of(t reflect.Type, forms Forms) (Schema, error) {
	m := &making{forms: forms, defs: map[string]any{}, types: map[string]reflect.Type{}}
	whole := m.value(t)
	if m.err != nil {
		return nil, m.err
	}
	made := Schema{"$schema": "https://json-schema.org/draft/2020-12/schema"}
	if def, ok := m.defs[t.Name()].(Schema); ok && whole["$ref"] != nil {
		whole = def
		delete(m.defs, t.Name())
	}
	for name, value := range whole {
		made[name] = value
	}
	if len(m.defs) > 0 {
		made["$defs"] = m.defs
	}
	return made, nil
}

type making struct {
	forms Forms
	defs  map[string]any
	types map[string]reflect.Type // of defs
	err   error
}

func (m *making) fail(format string, args ...any) Schema {
	if m.err == nil {
		m.err = fmt.Errorf(format, args...)
	}
	return nil
}

// value is the schema of a type: of a struct, or one that has a form, a reference.
func (m *making) value(t reflect.Type) Schema {
	if form, ok := m.forms[t]; ok {
		return m.defined(t, func() Schema { return form })
	}
	switch t {
	case reflect.TypeFor[jsontext.Value]():
		return Schema{}
	case reflect.TypeFor[[]byte]():
		return Schema{"type": "string", "contentEncoding": "base64"}
	}
	if t.Kind() != reflect.Pointer && writesItself(t) {
		return m.fail("%s writes itself: it needs a form", t)
	}
	switch t.Kind() {
	case reflect.String:
		return Schema{"type": "string"}
	case reflect.Bool:
		return Schema{"type": "boolean"}
	case reflect.Int, reflect.Int64, reflect.Int32:
		return Schema{"type": "integer"}
	case reflect.Uint, reflect.Uint64, reflect.Uint32:
		return Schema{"type": "integer", "minimum": 0}
	case reflect.Float64:
		return Schema{"type": "number"}
	case reflect.Pointer:
		return Schema{"anyOf": []any{m.value(t.Elem()), Schema{"type": "null"}}}
	case reflect.Slice:
		return Schema{"type": "array", "items": m.value(t.Elem())}
	case reflect.Map:
		return Schema{"type": "object", "additionalProperties": m.value(t.Elem())}
	case reflect.Struct:
		return m.defined(t, func() Schema { return m.object(t) })
	}
	return m.fail("%s has no schema", t)
}

func writesItself(t reflect.Type) bool {
	return t.Implements(reflect.TypeFor[encoding.TextMarshaler]()) || t.Implements(reflect.TypeFor[json.MarshalerTo]()) ||
		t.Implements(reflect.TypeFor[json.Marshaler]())
}

// defined refers to the definition of a named type, which is made once.
func (m *making) defined(t reflect.Type, make func() Schema) Schema {
	name := t.Name()
	if other, ok := m.types[name]; ok && other != t {
		return m.fail("%s and %s have the same name", t, other)
	}
	if _, ok := m.types[name]; !ok {
		m.types[name] = t
		m.defs[name] = make()
	}
	return Schema{"$ref": "#/$defs/" + name}
}

// object is the schema of a struct, with the fields of those that it embeds.
func (m *making) object(t reflect.Type) Schema {
	properties, required := Schema{}, []string{}
	for _, field := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case name == "-" || name == "" && (field.Anonymous || options != ""): // embedded, or what further fields are kept in
			continue
		case name == "":
			return m.fail("%s.%s has no name", t, field.Name)
		}
		if !strings.Contains(options, "omit") {
			required = append(required, name)
			properties[name] = m.value(field.Type)
			continue
		}
		value := field.Type
		if value.Kind() == reflect.Pointer {
			value = value.Elem()
		}
		properties[name] = m.value(value)
	}
	return Schema{"type": "object", "properties": properties, "required": required}
}
