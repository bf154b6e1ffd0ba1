package check_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"fleetlog/events"

	"github.com/go-json-experiment/json/jsontext"
)

// scalar is a value in a body, and where it is.
type scalar struct {
	path     string
	from, to int64
}

// scalars are the values in a body that are neither object nor array.
func scalars(t *testing.T, body []byte) (all []scalar) {
	t.Helper()
	d := jsontext.NewDecoder(bytes.NewReader(body))
	for {
		token, err := d.ReadToken()
		if errors.Is(err, io.EOF) {
			return all
		}
		must(t, err)
		kind, depth := token.Kind(), d.StackDepth()
		_, length := d.StackIndex(depth)
		in, _ := d.StackIndex(depth)
		if isName := in == '{' && length%2 == 1; isName || strings.ContainsRune("{}[]", rune(kind)) {
			continue
		}
		to := d.InputOffset()
		from := to - int64(len(token.String()))
		if kind == '"' {
			from = to - int64(len(token.String())) - 2
		}
		all = append(all, scalar{string(d.StackPointer()), from, to})
	}
}

// changed is the body with the value changed to another one of its kind, if
// there is one.
func (v scalar) changed(body []byte) []byte {
	after := bytes.Clone(body)
	place := &after[v.to-1]
	if *place == '"' {
		place = &after[v.to-2]
	}
	switch c := *place; {
	case string(body[v.from:v.to]) == "true":
		return slices.Concat(body[:v.from], []byte("false"), body[v.to:])
	case string(body[v.from:v.to]) == "false":
		return slices.Concat(body[:v.from], []byte("true"), body[v.to:])
	case string(body[v.from:v.to]) == "null":
		return slices.Concat(body[:v.from], []byte("1"), body[v.to:])
	case c == '9' || c == 'z' || c == 'Z':
		*place = c - 1
	case c == '=':
		after[v.to-4] ^= 1
	default:
		*place = c + 1
	}
	return after
}

// TestEveryField changes every value of every kind of event, in the middle of a
// log and in its last tick.
func TestEveryField(t *testing.T) {
	s := newScene(t)
	s.live(someHosts)
	whole := s.record()
	seen := make(map[string]bool)
	fields := 0
	for i := range whole.events {
		seq := uint64(i) + 1
		end := slices.IndexFunc(s.ticks, func(tick *events.Tick) bool { return tick.Head.Seq >= seq })
		first, last := whole.at(end)
		if seq == 1 {
			first, last = 1, 1
		}
		for _, v := range scalars(t, whole.events[i].Body) {
			kind := fmt.Sprint(strings.TrimRight(whole.events[i].Subject, "-0123456789"), v.path, end == tickLast)
			if seen[kind] {
				continue
			}
			seen[kind] = true
			fields++
			r := whole.copied()
			r.events[i].Body = v.changed(whole.events[i].Body)
			o := r.options()
			o.Heads = nil
			got := r.check(o)
			if got.Found == 0 {
				t.Errorf("nothing was found when %s is changed at %d: %s", v.path, seq, r.events[i].Body)
			} else if at := got.Findings[0].Seq; at < first || at > last {
				t.Errorf("%s changed at %d is found at %d: %+v", v.path, seq, at, got.Findings)
			}
		}
	}
	if fields < 200 {
		t.Errorf("only %d fields", fields)
	}
}
