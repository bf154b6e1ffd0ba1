package manifest

import (
	"strings"
	"testing"
)

func TestParseRolloutID(t *testing.T) {
	hash := strings.Repeat("0a", 32)
	for _, c := range []struct {
		in     string
		scheme Scheme // empty: refused
	}{
		{hash, ContentHash},
		{"stable@abc", Composite},
		{"stable@", Composite},
		{"@abc", Composite},
		{"a@b@c", Composite},
		{hash + "@", Composite},
		{strings.ToUpper(hash), ""},
		{hash[1:], ""},
		{"stable", ""},
		{"", ""},
	} {
		id, err := ParseRolloutID(c.in)
		if id.Scheme() != c.scheme || (err != nil) != (c.scheme == "") || err == nil && id.String() != c.in {
			t.Errorf("%q: %q of scheme %q, %v", c.in, id, id.Scheme(), err)
		}
		if id.IsZero() != (err != nil) {
			t.Errorf("%q: IsZero is %v", c.in, id.IsZero())
		}
	}
	if id, _ := ParseRolloutID("stable@abc"); id != CompositeID("stable", "abc") {
		t.Error("parsed and made ids differ")
	}
	d, err := ParseDigest(hash)
	if err != nil {
		t.Fatal(err)
	}
	if id, _ := ParseRolloutID(hash); id != ContentHashID(d) {
		t.Error("parsed and made content hashes differ")
	}
}

func TestCheckName(t *testing.T) {
	for _, c := range []struct {
		channel, ref string
		ok           bool
	}{
		{"stable", "0123abcd", true},
		{"A.b_c-9", "v1.2-dirty", true},
		{"stable", "", true},
		{"", "abc", false},
		{".", "abc", false},
		{"..", "abc", false},
		{"stable", "..", false},
		{"a/b", "abc", false},
		{"a b", "abc", false},
		{"stäble", "abc", false},
		{"a@b", "c", false},
		{"a", "b%2f", false},
	} {
		if err := CompositeID(c.channel, c.ref).CheckName(); (err == nil) != c.ok {
			t.Errorf("channel %q, ref %q: %v", c.channel, c.ref, err)
		}
	}
	if err := ContentHashID(Digest{}).CheckName(); err != nil {
		t.Errorf("content hash: %v", err)
	}
}

func TestParseDigest(t *testing.T) {
	good := strings.Repeat("0123456789abcdef", 4)
	d, err := ParseDigest(good)
	if err != nil || d.String() != good || d.IsZero() {
		t.Errorf("%s: %s, %v", good, d, err)
	}
	var back Digest
	if err := back.UnmarshalText([]byte(good)); err != nil || back != d {
		t.Errorf("unmarshalled %s, %v", back, err)
	}
	for _, bad := range []string{"", good[1:], good + "0", strings.ToUpper(good), good[:63] + "g", " " + good[1:]} {
		if d, err := ParseDigest(bad); err == nil || !d.IsZero() {
			t.Errorf("%q: %s, %v", bad, d, err)
		}
	}
}
