package schema_test

import (
	"flag"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"fleetlog/events"
	"fleetlog/events/schema"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the schemas and docs/asyncapi.json anew")

// described are the events that a poller writes, in the order of a tick.
var described = []events.Event{
	new(events.LogOpened), new(events.FleetFetched), new(events.FleetRejected), new(events.RolloutVerified),
	new(events.RolloutRejected), new(events.CrossCheckFailed), new(events.ChannelIdle), new(events.TickCompleted),
}

func nameOf(event events.Event) string { return reflect.TypeOf(event).Elem().Name() }

// TestSchemas holds the kept schemas to the Go types.
func TestSchemas(t *testing.T) {
	comments := commentsOf(t)
	for _, event := range described {
		made, err := schemaOf(event, comments).print()
		if err != nil {
			t.Fatal(err)
		}
		name := nameOf(event) + ".v1"
		keep(t, name+".json", made)
		if kept, ok := schema.Of(name); !ok || string(kept) != string(made) && !*update {
			t.Errorf("the schema of %s that is compiled in differs, or is absent", name)
		}
	}
	if !*update && len(schema.Types()) != len(described) {
		t.Errorf("schemas are of %q", schema.Types())
	}
}

// keep compares with a file, or writes it.
func keep(t *testing.T, path string, made []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, made, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(kept), "\n"), strings.Split(string(made), "\n")); diff != "" {
		t.Errorf("%s (-kept +made); go test ./events/schema -update writes it anew:\n%s", path, diff)
	}
}

// TestSchemasNameEverything demands every type, reason and stage that the
// sources declare, and that no form is for a field that does not exist.
func TestSchemasNameEverything(t *testing.T) {
	var all string
	for _, name := range schema.Types() {
		text, _ := schema.Of(name)
		all += string(text)
	}
	declared := 0
	for _, source := range []string{"../event.go", "../reason.go", "../../manifest/rejection.go"} {
		text, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range regexp.MustCompile(`(?:= |Reason\(|Kind\(|Stage\()("[A-Za-z][A-Za-z0-9.-]+")`).FindAllStringSubmatch(string(text), -1) {
			declared++
			if !strings.Contains(all, match[1]) {
				t.Errorf("%s declares %s, which no schema names", source, match[1])
			}
		}
	}
	if declared < 45 {
		t.Errorf("found only %d codes", declared)
	}
	s := &schemas{seen: map[string]bool{}}
	for _, event := range described {
		s.structOf(reflect.TypeOf(event).Elem())
	}
	for field := range fields {
		if !s.seen[field] {
			t.Errorf("there is a form for %s, which does not exist", field)
		}
	}
}

// schemas collects what the schema of one event refers to.
type schemas struct {
	comments map[string]string
	defs     object
	seen     map[string]bool // fields that are declared, as they stand in the table of forms
}

func schemaOf(event events.Event, comments map[string]string) object {
	name := nameOf(event)
	s := &schemas{comments: comments, seen: map[string]bool{}}
	body := s.structOf(reflect.TypeOf(event).Elem())
	for i, m := range body.get("properties").(object) {
		if m.name == "type" {
			body.get("properties").(object)[i].value = fixed(name + ".v1")
		}
	}
	schema := append(of(
		"$schema", "https://json-schema.org/draft/2020-12/schema",
		"$id", "urn:nixfleet:event:"+name+".v1",
		"title", name+".v1"), body...)
	if rules := rules[name]; rules != nil {
		schema = append(schema, member{"allOf", rules})
	}
	slices.SortFunc(s.defs, func(a, b member) int { return strings.Compare(a.name, b.name) })
	return append(schema, member{"$defs", s.defs})
}

// structOf is the schema of a struct, with the fields of an embedded one.
func (s *schemas) structOf(t reflect.Type) object {
	properties, required := object{}, []any{}
	for _, field := range reflect.VisibleFields(t) {
		tag := strings.Split(field.Tag.Get("json"), ",")
		if field.Anonymous || slices.Contains(tag, "embed") {
			continue
		}
		owner := t
		if len(field.Index) > 1 {
			owner = reflect.TypeFor[events.Envelope]()
		}
		optional := slices.Contains(tag, "omitzero")
		value := s.field(owner.Name(), t.Name(), tag[0], field.Type)
		if field.Type.Kind() == reflect.Pointer && !optional {
			value = of("anyOf", []any{value, of("type", "null")})
		}
		properties = append(properties, member{tag[0], value})
		if !optional {
			required = append(required, tag[0])
		}
	}
	made := of("type", "object", "properties", properties, "required", required)
	if comment := s.comments[t.String()]; comment != "" {
		return append(of("description", comment), made...)
	}
	return made
}

func (s *schemas) field(owner, event, name string, t reflect.Type) object {
	s.seen[owner+"."+name], s.seen[event+"."+name] = true, true
	if form, ok := fields[event+"."+name]; ok {
		if t.Kind() == reflect.Slice {
			s.value(t.Elem())
		}
		return form
	}
	if form, ok := fields[owner+"."+name]; ok {
		return form
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return s.value(t)
}

// value is the schema of a type: in place when it is a plain one, else a
// reference.
func (s *schemas) value(t reflect.Type) object {
	form, ok := forms[t]
	if ok && t.PkgPath() == "" || t.Kind() == reflect.Slice || t.Kind() == reflect.Uint8 {
		return form
	}
	if s.defs.get(t.Name()) == nil {
		if ok && s.comments[t.String()] != "" {
			form = append(of("description", s.comments[t.String()]), form...)
		}
		if !ok {
			form = s.structOf(t)
		}
		s.defs = append(s.defs, member{t.Name(), form})
	}
	return of("$ref", "#/$defs/"+t.Name())
}

// commentsOf are the documentation comments of the types, by package and name.
func commentsOf(t *testing.T) map[string]string {
	t.Helper()
	comments := map[string]string{}
	for _, dir := range []string{"..", "../../manifest"} {
		names, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		fileset := token.NewFileSet()
		var files []*ast.File
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(fileset, name, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, file)
		}
		documentation, err := doc.NewFromFiles(fileset, files, "fleetlog/"+filepath.Base(dir))
		if err != nil {
			t.Fatal(err)
		}
		for _, declared := range documentation.Types {
			comments[documentation.Name+"."+declared.Name] = strings.Join(strings.Fields(declared.Doc), " ")
		}
	}
	return comments
}
