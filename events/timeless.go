package events

import (
	"bytes"
	"slices"
)

// plainTimeless is [timeless] of a body of the form that has no fields but those
// that this program knows. Their names have no escapes, and their values are
// spelled as RFC 8785 has it, so that there is only to sort.
func plainTimeless(body []byte) []byte {
	return appendSorted(make([]byte, 0, len(body)), slices.DeleteFunc(members(body), func(m member) bool { return isTickField(m.name) }))
}

// member is one of an object.
type member struct{ name, value []byte } // the name with its quotes

// members are those of an object in a plain body.
func members(object []byte) []member {
	all := make([]member, 0, 24)
	for rest := object[1:]; rest[0] == '"' || rest[0] == ','; {
		rest = bytes.TrimPrefix(rest, []byte{','})
		name := bytes.IndexByte(rest, ':')
		end := name + 1 + valueEnd(rest[name+1:])
		all = append(all, member{rest[:name], rest[name+1 : end]})
		rest = rest[end:]
	}
	return all
}

// appendSorted appends an object of these members, and of theirs.
func appendSorted(to []byte, all []member) []byte {
	slices.SortFunc(all, func(a, b member) int { return bytes.Compare(a.name, b.name) })
	between := byte('{')
	for _, m := range all {
		to = append(append(append(to, between), m.name...), ':')
		if m.value[0] == '{' {
			to = appendSorted(to, members(m.value))
		} else {
			to = append(to, m.value...)
		}
		between = ','
	}
	return append(to, '}')
}

// valueEnd is where the value ends that rest begins with.
func valueEnd(rest []byte) int {
	if rest[0] == '"' {
		return stringEnd(rest)
	}
	depth := 0
	for at := 0; ; at++ {
		switch rest[at] {
		case '"':
			at += stringEnd(rest[at:]) - 1
		case '{', '[':
			depth++
		case '}', ']':
			depth--
			if depth < 0 {
				return at
			}
		case ',':
			if depth == 0 {
				return at
			}
		}
	}
}

// stringEnd is where the string ends that rest begins with.
func stringEnd(rest []byte) int {
	for at := 1; ; at++ {
		at += bytes.IndexByte(rest[at:], '"')
		if text := bytes.TrimRight(rest[1:at], `\`); (at-1-len(text))%2 == 0 {
			return at + 1
		}
	}
}
