package events

import (
	"bytes"
	"testing"
)

// FuzzDecode: what decodes encodes to the same bytes.
func FuzzDecode(f *testing.F) {
	for _, name := range []string{"example.jsonl", "rich.jsonl"} {
		for _, m := range readLog(f, name) {
			f.Add(m.Body)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		event, err := Decode(body)
		if err != nil {
			return
		}
		again, err := Encode(event)
		if err != nil || !bytes.Equal(again, body) {
			t.Errorf("encoded again: %v\n%s\nwant\n%s", err, again, body)
		}
	})
}

// FuzzChannelToken: two names never have one token, and every token is one
// token of a subject.
func FuzzChannelToken(f *testing.F) {
	for _, pair := range [][2]string{{"", "="}, {"a.b", "a=2Eb"}, {"*", ">"}, {"ü", "=C3=BC"}} {
		f.Add(pair[0], pair[1])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if (a == b) != (ChannelToken(a) == ChannelToken(b)) {
			t.Errorf("%q and %q have tokens %q and %q", a, b, ChannelToken(a), ChannelToken(b))
		}
		token := ChannelToken(a)
		if token == "" || len(token) > maxToken {
			t.Errorf("%q has token %q", a, token)
		}
		for _, c := range []byte(token) {
			if c <= ' ' || c == '.' || c == '*' || c == '>' || c > '~' {
				t.Errorf("%q has token %q", a, token)
			}
		}
	})
}
