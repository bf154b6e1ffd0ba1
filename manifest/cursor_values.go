package manifest

import "math"

// The values that artifacts are made of, each as the reader of the same name has
// it: what that one refuses is doubted.

func (c *cursor) null() bool { return c.word("null") }

func (c *cursor) flag() bool {
	if c.word("true") {
		return true
	}
	c.demand(c.word("false"))
	return false
}

func (c *cursor) integer() uint32 {
	value, negative := c.number()
	c.demand(!negative && value <= math.MaxUint32)
	return uint32(value)
}

func (c *cursor) instant() Instant {
	i, err := ParseInstant(c.string())
	c.demand(err == nil)
	return i
}

// optional reads a value that may be null.
func optional[T any](c *cursor, read func(*cursor) T) *T {
	if c.null() {
		return nil
	}
	value := read(c)
	return &value
}

// optionalText is optional for strings, of which there are many.
func (c *cursor) optionalText() *string {
	if c.null() {
		return nil
	}
	one := append(c.room(1), c.string())
	return &one[0]
}

// texts reads a list of strings.
func (c *cursor) texts() []string {
	ends := c.plainEnds()
	if len(ends) == 0 {
		return sequence(c, (*cursor).string)
	}
	c.enter('[')
	texts := c.room(len(ends))
	for _, end := range ends {
		texts = append(texts, c.text[c.at+1:end-1])
		c.at = end + 1
	}
	c.depth--
	return texts
}

// plainEnds are where the strings of a list end, until the next call; none when
// one of them is not of plain ASCII. It lets long lists be made in one piece, and
// leaves less to the garbage collector than a list that grows.
func (c *cursor) plainEnds() []int {
	if c.next() != '[' {
		return nil
	}
	c.ends = c.ends[:0]
	for at := c.at + 1; ; {
		end := behindPlain(c.data, at)
		if end >= len(c.data) || c.data[end] != ',' && c.data[end] != ']' {
			return nil
		}
		c.ends = append(c.ends, end)
		if c.data[end] == ']' {
			return c.ends
		}
		at = end + 1
	}
}

// room is for so many strings. Short lists share one allocation.
func (c *cursor) room(count int) []string {
	const short, piece = 16, 256
	if count > short {
		return make([]string, 0, count)
	}
	if len(c.spare) < count {
		c.spare = make([]string, piece)
	}
	taken := c.spare[:0:count]
	c.spare = c.spare[count:]
	return taken
}

// sequence reads a list.
func sequence[T any](c *cursor, read func(*cursor) T) []T {
	c.enter('[')
	var p pile[T]
	for begun := false; c.more(begun, ']'); begun = true {
		p.add(read(c))
	}
	return p.all()
}

// byName reads an object as a map.
func byName[T any](c *cursor, read func(*cursor) T) map[string]T {
	values := make(map[string]T)
	for m := new(members); c.member(m); {
		values[m.name] = read(c)
	}
	return values
}

// pile is a slice that grows without copying what it holds until it is done.
type pile[T any] struct {
	full  [][]T
	last  []T
	count int
}

func (p *pile[T]) add(value T) {
	const most = 512
	if len(p.last) == most {
		p.full = append(p.full, p.last)
		p.last = make([]T, 0, most)
	}
	p.last = append(p.last, value)
	p.count++
}

// all is never nil.
func (p *pile[T]) all() []T {
	if len(p.full) == 0 && p.count > 0 {
		return p.last
	}
	values := make([]T, 0, p.count)
	for _, piece := range append(p.full, p.last) {
		values = append(values, piece...)
	}
	return values
}
