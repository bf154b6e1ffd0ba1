package manifest

import (
	"encoding/binary"
	"math/bits"
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/go-json-experiment/json/jsontext"
)

// prove reads bytes that are in canonical form already, and proves that they are
// while it reads them, in one pass. It gives the value that [canonicalForm] and
// [decode] give, or nil when it is in doubt: then those two decide, and they name
// what is wrong. It doubts more than it must, so that it stays simple: numbers
// other than integers of up to 15 digits, and member names with characters that
// UTF-16 orders in its own way, are left to them, too. Most of the value's strings
// share the memory of data, which must not be changed any more.
func prove[T any](data []byte, read func(*cursor) *T) *T {
	text := unsafe.String(unsafe.SliceData(data), len(data)) //nolint:gosec // a string of its own is as large as the artifact
	c := cursor{data: data, text: text}
	value := read(&c)
	if c.doubt || c.at != len(data) {
		return nil
	}
	return value
}

// cursor is a place in bytes that must turn out to be canonical JSON.
type cursor struct {
	data  []byte
	text  string // data
	at    int
	depth int
	doubt bool
	ends  []int    // of the strings of a list
	spare []string // room for lists and single strings
}

// doubting ends the reading: whatever is read next meets the end.
func (c *cursor) doubting() { c.doubt, c.at = true, len(c.data) }

func (c *cursor) demand(ok bool) {
	if !ok {
		c.doubting()
	}
}

func (c *cursor) next() byte {
	if c.at < len(c.data) {
		return c.data[c.at]
	}
	return 0
}

// take steps over the byte that must come.
func (c *cursor) take(b byte) {
	if c.next() != b {
		c.doubting()
		return
	}
	c.at++
}

// word steps over a literal name if it is what comes.
func (c *cursor) word(word string) bool {
	if !strings.HasPrefix(c.text[c.at:], word) {
		return false
	}
	c.at += len(word)
	return true
}

// members is how far an object was read.
type members struct {
	name           string // of the member whose value comes
	entered, begun bool
}

func (c *cursor) enter(bracket byte) {
	c.take(bracket)
	c.depth++
	c.demand(c.depth <= maxDepth)
}

// more steps to the next element of a container, or out of it.
func (c *cursor) more(begun bool, bracket byte) bool {
	if c.next() == bracket {
		c.at++
		c.depth--
		return false
	}
	if begun {
		c.take(',')
	}
	return !c.doubt
}

// member steps to the value of an object's next member, or out of it. Names must
// ascend, by which none comes twice.
func (c *cursor) member(m *members) bool {
	if !m.entered {
		c.enter('{')
		m.entered = true
	}
	if !c.more(m.begun, '}') {
		return false
	}
	begin, end := c.at, behindPlain(c.data, c.at)
	var name string
	if end <= len(c.data) {
		name, c.at = c.text[begin+1:end-1], end
	} else {
		name = c.string()
		c.demand(isOrderedByBytes(name))
	}
	c.take(':')
	if m.begun && name <= m.name {
		c.doubting()
	}
	m.name, m.begun = name, true
	return !c.doubt
}

// isOrderedByBytes tells whether the name's place among others can be told by its
// bytes: below U+E000, they have the order of UTF-16, which is the canonical one.
func isOrderedByBytes(name string) bool {
	for i := range len(name) {
		if name[i] >= 0xee { // the first byte of U+E000, and of what follows
			return false
		}
	}
	return true
}

// string reads a string.
func (c *cursor) string() string {
	begin := c.at
	if end := behindPlain(c.data, begin); end <= len(c.data) {
		c.at = end
		return c.text[begin+1 : end-1]
	}
	c.take('"')
	for ascii := true; ; c.at++ {
		switch b := c.next(); {
		case b == '"':
			text := c.text[begin+1 : c.at]
			c.at++
			c.demand(ascii || utf8.ValidString(text))
			return text
		case b == '\\':
			return c.escaped(begin)
		case b < ' ': // or the end
			c.doubting()
			return ""
		case b >= utf8.RuneSelf:
			ascii = false
		}
	}
}

// behindPlain is where the string that begins at begin is over, when it is one,
// and of plain ASCII; else it is beyond the end of data. It looks at sixteen bytes
// at a time.
func behindPlain(data []byte, begin int) int {
	if begin >= len(data) || data[begin] != '"' {
		return len(data) + 1
	}
	at := begin + 1
	for ; at <= len(data)-16; at += 16 {
		here := data[at : at+16]
		first, second := special(binary.LittleEndian.Uint64(here)), special(binary.LittleEndian.Uint64(here[8:]))
		if first|second != 0 {
			found := bits.TrailingZeros64(first)
			if first == 0 {
				found = 64 + bits.TrailingZeros64(second)
			}
			at += found / 8
			break
		}
	}
	for at < len(data) && isPlain(data[at]) {
		at++
	}
	if at < len(data) && data[at] == '"' {
		return at + 1
	}
	return len(data) + 1
}

func isPlain(b byte) bool { return b >= ' ' && b < utf8.RuneSelf && b != '"' && b != '\\' }

// special marks in the lowest byte of eight that is not plain, and maybe in some
// behind it, the highest bit.
func special(eight uint64) uint64 {
	const each, high = 0x0101010101010101, 0x8080808080808080
	quote, backslash, control := (eight^each*'"')-each, (eight^each*'\\')-each, eight-each*' '
	return (quote | backslash | control | eight) & high
}

// own reads a string that does not share the memory of data, which it may outlive:
// names that end up in events, labels and logs.
func (c *cursor) own() string { return strings.Clone(c.string()) }

// escaped reads on in a string that holds a backslash and begins at begin. Written
// again, it must look the same.
func (c *cursor) escaped(begin int) string {
	for c.next() != '"' {
		if c.next() == '\\' {
			c.at++
		}
		if c.at++; c.at >= len(c.data) {
			c.doubting()
			return ""
		}
	}
	c.at++
	written := c.data[begin:c.at]
	text, err := jsontext.AppendUnquote(nil, written)
	if err != nil {
		c.doubting()
		return ""
	}
	again, err := jsontext.AppendQuote(nil, text)
	c.demand(err == nil && string(again) == string(written))
	return string(text)
}

// number reads an integer of up to 15 digits: every double holds those, and they
// are written in one way.
func (c *cursor) number() (value int64, negative bool) {
	negative = c.word("-")
	begin := c.at
	for digit := c.next() - '0'; digit <= 9; digit = c.next() - '0' {
		value = value*10 + int64(digit)
		if c.at++; c.at-begin > 15 {
			c.doubting()
			return 0, false
		}
	}
	c.demand(c.at > begin)
	if c.at-begin > 1 || negative {
		c.demand(begin < len(c.data) && c.data[begin] != '0')
	}
	return value, negative
}

// skip reads a value that nobody asks for.
func (c *cursor) skip() {
	switch c.next() {
	case '{':
		for m := new(members); c.member(m); {
			c.skip()
		}
	case '[':
		c.enter('[')
		for begun := false; c.more(begun, ']'); begun = true {
			c.skip()
		}
	case '"':
		c.string()
	case 't', 'f', 'n':
		c.demand(c.word("true") || c.word("false") || c.word("null"))
	default:
		c.number()
	}
}
