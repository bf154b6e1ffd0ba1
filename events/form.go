package events

import (
	"encoding/base64"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// Time is the instant of a tick: milliseconds since the Unix epoch, written as
// RFC 3339 in UTC with exactly three fraction digits.
type Time int64

const timeLayout = "2006-01-02T15:04:05.000Z"

// TimeOf cuts t to milliseconds, as every judgement of a tick must.
func TimeOf(t time.Time) Time { return Time(t.UnixMilli()) }

// Time returns the instant in UTC.
func (t Time) Time() time.Time { return time.UnixMilli(int64(t)).UTC() }

// String returns the form of the log.
func (t Time) String() string {
	at := t.Time()
	year, month, day := at.Date()
	if year < 0 || year > 9999 {
		return at.Format(timeLayout)
	}
	hour, minute, second := at.Clock()
	text := []byte(timeLayout)
	for _, part := range []struct{ at, digits, value int }{
		{0, 4, year}, {5, 2, int(month)}, {8, 2, day}, {11, 2, hour}, {14, 2, minute}, {17, 2, second}, {20, 3, at.Nanosecond() / 1e6},
	} {
		for n := part.digits - 1; n >= 0; n-- {
			text[part.at+n] = byte('0' + part.value%10)
			part.value /= 10
		}
	}
	return string(text)
}

// MarshalText returns the form of the log.
func (t Time) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText accepts exactly the form of the log.
func (t *Time) UnmarshalText(text []byte) error {
	if !parseTime(string(text), t) {
		return fmt.Errorf("time %q is not of the form %s", text, timeLayout)
	}
	return nil
}

// parseTime reads digits where the form has them, of an instant that exists.
func parseTime(text string, t *Time) bool {
	if len(text) != len(timeLayout) {
		return false
	}
	for i, c := range []byte(timeLayout) {
		isDigit := text[i] >= '0' && text[i] <= '9'
		if wantDigit := c >= '0' && c <= '9'; isDigit != wantDigit || !wantDigit && text[i] != c {
			return false
		}
	}
	part := func(at, digits int) (value int) {
		for _, c := range []byte(text[at : at+digits]) {
			value = 10*value + int(c) - '0'
		}
		return value
	}
	month, day := time.Month(part(5, 2)), part(8, 2)
	hour, minute, second := part(11, 2), part(14, 2), part(17, 2)
	at := time.Date(part(0, 4), month, day, hour, minute, second, part(20, 3)*1e6, time.UTC)
	*t = TimeOf(at)
	return at.Month() == month && at.Day() == day && hour < 24 && minute < 60 && second < 60
}

// maxInteger is the largest integer that every JSON reader keeps exact.
const maxInteger = 1<<53 - 1

// PublicKey is a writer's ed25519 key, in bodies the standard base64 of its 32
// raw bytes.
type PublicKey [32]byte

// ParsePublicKey reads the base64 form.
func ParsePublicKey(s string) (key PublicKey, err error) {
	raw, err := decodeBase64(s, len(key))
	if err != nil {
		return key, fmt.Errorf("writer key: %w", err)
	}
	copy(key[:], raw)
	return key, nil
}

// String returns the base64 form.
func (k PublicKey) String() string { return base64.StdEncoding.EncodeToString(k[:]) }

// MarshalText returns the base64 form.
func (k PublicKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText is [ParsePublicKey].
func (k *PublicKey) UnmarshalText(text []byte) (err error) {
	*k, err = ParsePublicKey(string(text))
	return err
}

// decodeBase64 accepts the one standard, padded spelling of size bytes.
func decodeBase64(s string, size int) ([]byte, error) {
	raw, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(raw) != size || base64.StdEncoding.EncodeToString(raw) != s {
		return nil, fmt.Errorf("want standard base64 of %d bytes", size)
	}
	return raw, nil
}

func checkUUID(s string, version uuid.Version) error {
	if !isUUID(s) || s[14] != '0'+byte(version) {
		return fmt.Errorf("%q is not a lower-case UUID of version %d", s, version)
	}
	return nil
}

// isUUID tells whether s is a UUID of lower-case digits.
func isUUID(s string) bool {
	if len(s) != len("00000000-0000-0000-0000-000000000000") {
		return false
	}
	for i, c := range []byte(s) {
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
				return false
			}
		}
	}
	return true
}

// checkDetail holds the form of `detail`: 1 to 256 bytes of printable ASCII.
func checkDetail(s string) error {
	if len(s) > maxDetail {
		return fmt.Errorf("detail is longer than %d bytes", maxDetail)
	}
	for _, c := range []byte(s) {
		if c < 0x20 || c > 0x7e {
			return fmt.Errorf("detail holds byte 0x%02x", c)
		}
	}
	return nil
}

const maxDetail = 256

// Detail makes any text fit for the `detail` of a finding: bytes outside
// printable ASCII become ?, and what is longer than 256 bytes is cut.
func Detail(s string) string {
	if len(s) > maxDetail {
		s = s[:maxDetail]
	}
	clean := []byte(s)
	for i, c := range clean {
		if c < 0x20 || c > 0x7e {
			clean[i] = '?'
		}
	}
	return string(clean)
}
