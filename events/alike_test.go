package events

import (
	"reflect"
	"testing"
	"time"

	"fleetlog/manifest"

	"github.com/go-json-experiment/json/jsontext"
)

// TestAlike changes every field of the findings that are compared quickly: two
// that are alike have the same fact, and a finding is alike itself written anew.
func TestAlike(t *testing.T) {
	fleet := fetched(1, 0, 1)
	until := manifest.InstantOf(time.Unix(1, 0))
	fleet.FreshUntil = &until
	channel := verified("stable", 11, fleet)
	for _, f := range []Finding{fleet, channel} {
		fields := 0
		walk(reflect.ValueOf(f).Elem(), func(field reflect.Value, name string) {
			fields++
			before := reflect.New(field.Type()).Elem()
			before.Set(field)
			was := f.clone()
			alter(t, field, name)
			same, err := sameFact(fact(was, false), fact(f, false))
			if err != nil {
				t.Fatal(err)
			}
			if alike(was, f) && !same {
				t.Errorf("%T is alike one of another %s", f, name)
			}
			field.Set(before)
		})
		again := f.clone()
		*ArtifactOf(again) = *ArtifactOf(f)
		ArtifactOf(again).Parts = []uint64{9, 10}
		ArtifactOf(again).Signature = append([]byte(nil), ArtifactOf(f).Signature...)
		if !alike(f, again) {
			t.Errorf("%T is not alike itself, stored elsewhere", f)
		}
		if fields < 20 {
			t.Errorf("%T has %d fields", f, fields)
		}
	}
}

// walk visits the fields of a struct and of the structs of this package in it.
func walk(v reflect.Value, visit func(field reflect.Value, name string)) {
	for i := range v.NumField() {
		switch field := v.Field(i); field.Interface().(type) {
		case Envelope, Artifact:
			walk(field, visit)
		default:
			visit(field, v.Type().Field(i).Name)
		}
	}
}

// alter gives the field another value.
func alter(t *testing.T, field reflect.Value, name string) {
	t.Helper()
	other := map[reflect.Type]any{
		reflect.TypeFor[manifest.Digest](): manifest.Sum([]byte(name)), reflect.TypeFor[manifest.Instant](): manifest.InstantOf(time.Unix(2, 0)),
		reflect.TypeFor[*manifest.Instant](): new(manifest.InstantOf(time.Unix(2, 0))), reflect.TypeFor[*string](): new(name),
		reflect.TypeFor[[]uint64](): []uint64{77}, reflect.TypeFor[[]byte](): []byte(name), reflect.TypeFor[jsontext.Value](): jsontext.Value(`{"x":1}`),
		reflect.TypeFor[int](): 77, reflect.TypeFor[uint64](): uint64(77), reflect.TypeFor[bool](): !reflect.DeepEqual(field.Interface(), true),
		reflect.TypeFor[Time](): TimeOf(time.Unix(2, 0)), reflect.TypeFor[FleetName](): FleetName{},
	}[field.Type()]
	switch {
	case other != nil:
		field.Set(reflect.ValueOf(other))
	case field.Kind() == reflect.String:
		field.SetString(name)
	default:
		t.Fatalf("field %s is a %s", name, field.Type())
	}
}

// FuzzAlike holds the quick comparison against the one that defines it.
func FuzzAlike(f *testing.F) {
	_, findings := repeatable(f)
	for i, body := range findings {
		f.Add(body, findings[(i+1)%len(findings)])
		f.Add(body, body)
	}
	finding := func(body []byte) Finding {
		event, err := Decode(body)
		if err != nil {
			return nil
		}
		found, _ := event.(Finding)
		return found
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		one, other := finding(a), finding(b)
		if one == nil || other == nil || !alike(one, other) {
			return
		}
		for _, young := range []bool{false, true} {
			if same, err := sameFact(fact(one, young), fact(other, young)); err != nil || !same {
				t.Errorf("%s is alike %s, whose fact is another (%v)", a, b, err)
			}
		}
	})
}
