package events

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// FuzzDecode: what decodes is one compact line that says who it is first, and
// encodes to the same bytes.
func FuzzDecode(f *testing.F) {
	data, err := os.ReadFile(goldenFile)
	if err != nil {
		f.Fatal(err)
	}
	for _, messages := range [][]Message{readLog(f, "example.jsonl"), readLog(f, "rich.jsonl"), parseLog(f, data)} {
		for _, m := range messages {
			f.Add(m.Body)
		}
	}
	f.Add([]byte(`{"type":"Novelty.v3","fleet":"prod","tick":"","number":0,"index":0,"time":"2026-05-01T00:00:00.000Z","severity":"info","message":"m","new":false,"channel":"a","x":[1.0]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		event, err := Decode(body)
		if err != nil {
			return
		}
		again, err := Encode(event)
		if err != nil || !bytes.Equal(again, body) {
			t.Errorf("encoded again: %v\n%s\nwant\n%s", err, again, body)
		}
		compact := jsontext.Value(bytes.Clone(body))
		if err := compact.Compact(); err != nil || !bytes.Equal(compact, body) {
			t.Errorf("not compact: %v\n%s\nwant\n%s", err, body, compact)
		}
		if !bytes.HasPrefix(body, []byte(`{"type":"`+event.Head().Type+`","fleet":"`)) {
			t.Errorf("does not begin with its type: %s", body)
		}
	})
}

// FuzzChannelToken: the name can be read back from its token, so that two names
// never have one token, and every token is one token of a subject.
func FuzzChannelToken(f *testing.F) {
	for _, name := range []string{"", "a.b", "*", ">", "ü", "=", "=h", strings.Repeat("a", 101), strings.Repeat("ü", 17)} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		token := ChannelToken(name)
		if token == "" || len(token) > maxToken {
			t.Errorf("%q has token %q", name, token)
		}
		for _, c := range []byte(token) {
			if c <= ' ' || c == '.' || c == '*' || c == '>' || c > '~' {
				t.Errorf("%q has token %q", name, token)
			}
		}
		sum := sha256.Sum256([]byte(name))
		switch {
		case token == "=h"+hex.EncodeToString(sum[:]):
		case token == "=":
			if name != "" {
				t.Errorf("%q has the token of the empty name", name)
			}
		default:
			if back, err := url.PathUnescape(strings.ReplaceAll(token, "=", "%")); err != nil || back != name {
				t.Errorf("%q has token %q, which reads %q (%v)", name, token, back, err)
			}
		}
	})
}
