package manifest

import (
	"testing"
	"time"
)

func TestParseInstant(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"2026-05-01T00:00:00Z", "2026-05-01T00:00:00Z"},
		{"2026-05-01t00:00:00z", "2026-05-01T00:00:00Z"},
		{"2026-05-01T00:00:00.1Z", "2026-05-01T00:00:00.100Z"},
		{"2026-05-01T00:00:00.1200Z", "2026-05-01T00:00:00.120Z"},
		{"2026-05-01T00:00:00.123456Z", "2026-05-01T00:00:00.123456Z"},
		{"2026-05-01T00:00:00.1234567Z", "2026-05-01T00:00:00.123456700Z"},
		{"2026-05-01T00:00:00.1234567899Z", "2026-05-01T00:00:00.123456789Z"},
		{"2026-05-01T00:00:00.000000000Z", "2026-05-01T00:00:00Z"},
		{"2026-05-01T01:30:00+01:30", "2026-05-01T00:00:00Z"},
		{"2026-04-30T00:01:00-23:59", "2026-05-01T00:00:00Z"},
		{"2026-05-01T00:00:00-00:00", "2026-05-01T00:00:00Z"},
		{"2024-02-29T12:00:00Z", "2024-02-29T12:00:00Z"},
		{"2016-12-31T23:59:60.5Z", "2016-12-31T23:59:60.500Z"},
		{"2016-12-31T12:00:60Z", "2016-12-31T12:00:60Z"},
		{"1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"},
		{"0000-01-01T00:00:00Z", "0000-01-01T00:00:00Z"},
	} {
		got, err := ParseInstant(c.in)
		if err != nil || got.String() != c.want || got.IsZero() {
			t.Errorf("%q: %s, %v; want %q", c.in, got, err, c.want)
		}
	}
}

func TestParseInstantRefuses(t *testing.T) {
	for _, in := range []string{
		"",
		"2026-05-01",
		"2026-05-01T00:00:00",
		"2026-05-01 00:00:00Z",
		"2026-05-01T00:00Z",
		"2026-05-01T1:00:00.5Z",
		"2026-5-01T00:00:00Z",
		"2026-02-29T00:00:00Z",
		"2026-13-01T00:00:00Z",
		"2026-05-01T24:00:00Z",
		"2026-05-01T00:60:00Z",
		"2026-05-01T00:00:61Z",
		"2026-05-01T00:00:00.Z",
		"2026-05-01T00:00:00,5Z",
		"2026-05-01T00:00:00UTC",
		"2026-05-01T00:00:00+0100",
		"2026-05-01T00:00:00+24:00",
		"2026-05-01T00:00:00+01:60",
		"2026-05-01T00:00:00\u221201:00",
		" 2026-05-01T00:00:00Z",
		"2026-05-01T00:00:00Z ",
		"+2026-05-01T00:00:00Z",
		"12026-05-01T00:00:00Z",
	} {
		if got, err := ParseInstant(in); err == nil || !got.IsZero() {
			t.Errorf("%q: %s, %v; want a refusal", in, got, err)
		}
	}
}

func parsed(t testing.TB, s string) Instant {
	t.Helper()
	i, err := ParseInstant(s)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestInstantOrder(t *testing.T) {
	ordered := []string{
		"0000-01-01T00:00:00Z", "1969-12-31T23:59:59.999999999Z", "1970-01-01T00:00:00Z", "2016-12-31T23:59:59.9Z",
		"2016-12-31T23:59:60Z", "2016-12-31T23:59:60.9Z", "2017-01-01T00:00:00Z", "9999-12-31T23:59:59Z",
	}
	for i, a := range ordered {
		for j, b := range ordered {
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := parsed(t, a).Compare(parsed(t, b)); got != want {
				t.Errorf("%s against %s: %d, want %d", a, b, got, want)
			}
		}
	}
}

func TestInstantOf(t *testing.T) {
	at := time.Date(2026, 5, 1, 2, 3, 4, 500, time.FixedZone("", 3600))
	if i := InstantOf(at); i != parsed(t, "2026-05-01T01:03:04.000000500Z") || !i.Time().Equal(at) {
		t.Errorf("instant of %v is %s", at, i)
	}
}

func TestFreshUntil(t *testing.T) {
	for _, c := range []struct {
		at     string
		window Window
		want   string // empty: beyond the year 9999
	}{
		{"2026-05-01T00:00:00.5Z", 3600, "2026-05-01T01:00:00.500Z"},
		{"2026-05-01T00:00:00Z", 0, "2026-05-01T00:00:00Z"},
		{"9999-12-31T23:59:00Z", 59, "9999-12-31T23:59:59Z"},
		{"9999-12-31T23:59:00Z", 60, ""},
		{"2026-05-01T00:00:00Z", 1<<64 - 1, ""},
		{"0000-01-01T00:00:00Z", 1 << 63, ""},
	} {
		got, ok := parsed(t, c.at).FreshUntil(c.window)
		if ok != (c.want != "") || ok && got.String() != c.want {
			t.Errorf("%s and %d s: %s, %v; want %q", c.at, c.window, got, ok, c.want)
		}
	}
}
