package manifest

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// number is the text of a JSON number in a tree.
type number string

// tree reads one JSON value that is known to be valid: objects become
// map[string]any, arrays []any, numbers their text.
func tree(data []byte) (any, error) {
	dec := jsontext.NewDecoder(bytes.NewReader(data))
	return subtree(dec)
}

func subtree(dec *jsontext.Decoder) (any, error) {
	token, err := dec.ReadToken()
	if err != nil {
		return nil, err
	}
	switch token.Kind() {
	case '{':
		object := make(map[string]any)
		for dec.PeekKind() != '}' {
			name, err := dec.ReadToken()
			if err != nil {
				return nil, err
			}
			key := name.String()
			if object[key], err = subtree(dec); err != nil {
				return nil, err
			}
		}
		_, err := dec.ReadToken()
		return object, err
	case '[':
		array := []any{}
		for dec.PeekKind() != ']' {
			element, err := subtree(dec)
			if err != nil {
				return nil, err
			}
			array = append(array, element)
		}
		_, err := dec.ReadToken()
		return array, err
	case '"':
		return token.String(), nil
	case '0':
		return number(token.String()), nil
	case 't', 'f':
		return token.Bool(), nil
	}
	return nil, nil
}

// decoding reads typed values out of a tree and keeps the first fault.
type decoding struct{ err error }

func (d *decoding) fail(at, format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf("%s %s", at, fmt.Sprintf(format, args...))
	}
}

// reader reads a value of one type; at is its path, for the fault's text.
type reader[T any] func(d *decoding, v any, at string) T

// object is a JSON object whose members are read one by one. Members that
// nobody reads are ignored: the contract may add fields.
type object struct {
	d       *decoding
	at      string
	members map[string]any
}

func (d *decoding) object(v any, at string) object {
	members, ok := v.(map[string]any)
	if !ok {
		d.fail(at, "is not an object")
	}
	return object{d, at, members}
}

func (o object) path(name string) string {
	if o.at == "" {
		return name
	}
	return o.at + "." + name
}

// required reads a member that must be there and not null.
func required[T any](o object, name string, read reader[T]) (zero T) {
	v, ok := o.members[name]
	if !ok || v == nil {
		o.d.fail(o.path(name), "is absent")
		return zero
	}
	return read(o.d, v, o.path(name))
}

// defaulted reads a member that may be absent, but not null.
func defaulted[T any](o object, name string, read reader[T]) (zero T) {
	v, ok := o.members[name]
	if !ok {
		return zero
	}
	return read(o.d, v, o.path(name))
}

// nullable reads a member for which absent and null are the same.
func nullable[T any](o object, name string, read reader[T]) *T {
	v := o.members[name]
	if v == nil {
		return nil
	}
	value := read(o.d, v, o.path(name))
	return &value
}

func text(d *decoding, v any, at string) string {
	s, ok := v.(string)
	if !ok {
		d.fail(at, "is not a string")
	}
	return s
}

func flag(d *decoding, v any, at string) bool {
	b, ok := v.(bool)
	if !ok {
		d.fail(at, "is not a boolean")
	}
	return b
}

func integer(d *decoding, v any, at string) uint32 {
	n, ok := v.(number)
	if !ok {
		d.fail(at, "is not a number")
		return 0
	}
	i, err := strconv.ParseUint(string(n), 10, 32)
	if err != nil {
		d.fail(at, "is not an unsigned 32-bit integer")
	}
	return uint32(i)
}

func instant(d *decoding, v any, at string) Instant {
	i, err := ParseInstant(text(d, v, at))
	if err != nil {
		d.fail(at, "is not an RFC 3339 timestamp")
	}
	return i
}

func list[T any](read reader[T]) reader[[]T] {
	return func(d *decoding, v any, at string) []T {
		elements, ok := v.([]any)
		if !ok {
			d.fail(at, "is not a list")
		}
		values := make([]T, len(elements))
		for i, e := range elements {
			values[i] = read(d, e, at+"["+strconv.Itoa(i)+"]")
		}
		return values
	}
}

// clip keeps the path of a fault short: the artifact chose the name.
func clip(name string) string {
	const limit = 48
	if len(name) <= limit {
		return name
	}
	return name[:limit] + "..."
}

func mapping[T any](read reader[T]) reader[map[string]T] {
	return func(d *decoding, v any, at string) map[string]T {
		o := d.object(v, at)
		values := make(map[string]T, len(o.members))
		for _, name := range slices.Sorted(maps.Keys(o.members)) { // the first fault must not depend on chance
			values[name] = read(d, o.members[name], o.path(clip(name)))
		}
		return values
	}
}
