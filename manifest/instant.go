package manifest

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// Instant is a point in time as a signed artifact states it: nanoseconds are
// kept, and so is a leap second 23:59:60.
type Instant struct {
	sec  int64 // Unix seconds
	nano int64 // 0 to 1,999,999,999; from 1,000,000,000 on inside a leap second
	set  bool  // the Unix epoch is an instant too
}

const second = 1_000_000_000

// InstantOf returns t as an Instant.
func InstantOf(t time.Time) Instant { return Instant{t.Unix(), int64(t.Nanosecond()), true} }

// ParseInstant reads RFC 3339 as its grammar says: any offset, T and Z in either
// case, second 60, any number of fraction digits, of which nine count.
func ParseInstant(s string) (Instant, error) {
	bad := func() (Instant, error) { return Instant{}, fmt.Errorf("%.40q is not an RFC 3339 timestamp", s) }
	if len(s) < len("2006-01-02T15:04:05Z") || s[10] != 'T' && s[10] != 't' {
		return bad()
	}
	clock, rest := s[11:19], s[19:]
	leap := strings.HasSuffix(clock, ":60")
	if leap {
		clock = clock[:6] + "59"
	}
	t, err := time.Parse("2006-01-02T15:04:05", s[:10]+"T"+clock)
	if err != nil {
		return bad()
	}
	nano, rest, ok := parseFraction(rest)
	if !ok {
		return bad()
	}
	offset, ok := parseOffset(rest)
	if !ok {
		return bad()
	}
	if leap {
		nano += second
	}
	return Instant{t.Unix() - offset, nano, true}, nil
}

// parseFraction reads .123, keeping nine digits.
func parseFraction(s string) (nano int64, rest string, ok bool) {
	if !strings.HasPrefix(s, ".") {
		return 0, s, true
	}
	digits := 0
	for digits+1 < len(s) && isDigit(s[digits+1]) {
		digits++
	}
	for i := range 9 {
		nano *= 10
		if i < digits {
			nano += int64(s[1+i] - '0')
		}
	}
	return nano, s[1+digits:], digits > 0
}

// parseOffset reads Z or ±hh:mm, in seconds east of UTC.
func parseOffset(s string) (seconds int64, ok bool) {
	if s == "Z" || s == "z" {
		return 0, true
	}
	if len(s) != 6 || s[0] != '+' && s[0] != '-' || s[3] != ':' ||
		!isDigit(s[1]) || !isDigit(s[2]) || !isDigit(s[4]) || !isDigit(s[5]) {
		return 0, false
	}
	hours, minutes := int64(s[1]-'0')*10+int64(s[2]-'0'), int64(s[4]-'0')*10+int64(s[5]-'0')
	seconds = hours*3600 + minutes*60
	if s[0] == '-' {
		seconds = -seconds
	}
	return seconds, hours < 24 && minutes < 60
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// String returns the instant in UTC with 0, 3, 6 or 9 fraction digits, the
// fewest that lose nothing, as the producer writes it. An offset can carry the
// year out of 0 to 9999; the text is then no RFC 3339.
func (i Instant) String() string {
	s := time.Unix(i.sec, 0).UTC().Format("2006-01-02T15:04:05")
	nano := i.nano
	if nano >= second {
		s, nano = s[:len(s)-2]+"60", nano-second
	}
	switch {
	case nano == 0:
		return s + "Z"
	case nano%1_000_000 == 0:
		return fmt.Sprintf("%s.%03dZ", s, nano/1_000_000)
	case nano%1_000 == 0:
		return fmt.Sprintf("%s.%06dZ", s, nano/1_000)
	}
	return fmt.Sprintf("%s.%09dZ", s, nano)
}

// MarshalText returns the form of String.
func (i Instant) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// UnmarshalText is [ParseInstant].
func (i *Instant) UnmarshalText(text []byte) (err error) {
	*i, err = ParseInstant(string(text))
	return err
}

// IsZero tells an instant that was never set.
func (i Instant) IsZero() bool { return i == Instant{} }

// Compare orders instants in time.
func (i Instant) Compare(j Instant) int {
	return cmp.Or(cmp.Compare(i.sec, j.sec), cmp.Compare(i.nano, j.nano))
}

// Time returns the instant; a leap second becomes the second after it.
func (i Instant) Time() time.Time { return time.Unix(i.sec, i.nano).UTC() }

// since returns i - j as whole seconds and the nanoseconds beyond them.
func (i Instant) since(j Instant) (sec int64, nano int64) {
	sec, nano = i.sec-j.sec, i.nano-j.nano
	for nano < 0 {
		sec, nano = sec-1, nano+second
	}
	return sec + nano/second, nano % second
}

// Window is a freshness window in seconds. It may be longer than a
// [time.Duration] can be.
type Window uint64

// Unlimited never lets an artifact become stale.
const Unlimited = Window(1 << 62)

// Slack is the tolerated difference between clocks in seconds.
const Slack = 60

// FreshUntil is the instant plus the window, without slack; false beyond the
// year 9999.
func (i Instant) FreshUntil(w Window) (Instant, bool) {
	end := time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	seconds := int64(min(w, Unlimited))
	if seconds >= end-i.sec {
		return Instant{}, false
	}
	return Instant{i.sec + seconds, i.nano, true}, true
}
