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
func (t Time) String() string { return t.Time().Format(timeLayout) }

// MarshalText returns the form of the log.
func (t Time) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText accepts exactly the form of the log.
func (t *Time) UnmarshalText(text []byte) error {
	parsed, err := time.Parse(timeLayout, string(text))
	if err != nil {
		return fmt.Errorf("time %q is not of the form %s", text, timeLayout)
	}
	*t = TimeOf(parsed)
	return nil
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
	id, err := uuid.Parse(s)
	if err != nil || id.String() != s || id.Version() != version {
		return fmt.Errorf("%q is not a lower-case UUID of version %d", s, version)
	}
	return nil
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
