package events

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// MaxBody is the largest message of the events stream in bytes.
const MaxBody = 64 << 10

// maxWritten is the largest body that is written: what travels in headers, the
// broker's own among them, counts towards the message.
const maxWritten = MaxBody - 2<<10

// ErrTooLarge refuses an event that no message of the events stream can hold.
var ErrTooLarge = errors.New("event is larger than the log's largest message: a name or a commit in the release is too long")

// FormError says that a body is not exactly the form of the log.
type FormError struct{ Err error }

// Error describes what is wrong with the body.
func (e *FormError) Error() string { return "body is not of the log's form: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *FormError) Unwrap() error { return e.Err }

func formErrorf(format string, args ...any) error {
	return &FormError{fmt.Errorf(format, args...)}
}

// newEvent returns an empty event of the given type.
func newEvent(eventType string) Event {
	switch eventType {
	case TypeLogOpened:
		return new(LogOpened)
	case TypeFleetFetched:
		return new(FleetFetched)
	case TypeFleetRejected:
		return new(FleetRejected)
	case TypeRolloutVerified:
		return new(RolloutVerified)
	case TypeRolloutRejected:
		return new(RolloutRejected)
	case TypeCrossCheckFailed:
		return new(CrossCheckFailed)
	case TypeChannelIdle:
		return new(ChannelIdle)
	case TypeTickCompleted:
		return new(TickCompleted)
	}
	return new(Unrecognized)
}

// isKnown tells whether this program knows the type and its version.
func isKnown(eventType string) bool {
	_, unknown := newEvent(eventType).(*Unrecognized)
	return !unknown
}

// typeOf reads the `type` that every body begins with, without judging the
// rest.
func typeOf(body []byte) string {
	const prefix = `{"type":"`
	rest, ok := strings.CutPrefix(string(body[:min(len(body), len(prefix)+64)]), prefix)
	if !ok {
		return ""
	}
	name, _, ok := strings.Cut(rest, `"`)
	if !ok {
		return ""
	}
	return name
}

// Decode reads a body. The body must be exactly what [Encode] would write:
// known keys in order, unknown keys after the known ones, no white space, no
// needless escapes, no duplicates, every value in its form. Anything else is a
// [*FormError]. A type that this program does not know gives [*Unrecognized].
func Decode(body []byte) (Event, error) {
	if len(body) > MaxBody {
		return nil, formErrorf("larger than %d bytes", MaxBody)
	}
	event := newEvent(typeOf(body))
	if err := json.Unmarshal(body, event); err != nil {
		return nil, &FormError{err}
	}
	if unknown, ok := event.(*Unrecognized); ok {
		if err := unknown.readChannel(); err != nil {
			return nil, &FormError{err}
		}
	}
	if err := checkEnvelope(event.Head()); err != nil {
		return nil, &FormError{err}
	}
	if err := event.check(); err != nil {
		return nil, &FormError{err}
	}
	again, err := json.Marshal(event)
	if err != nil {
		return nil, &FormError{err}
	}
	if !bytes.Equal(again, body) {
		return nil, formErrorf("keys, white space or escapes differ from the form")
	}
	return event, nil
}

// Encode writes the body of an event, refusing values that are not of the
// log's form.
func Encode(event Event) ([]byte, error) {
	if err := checkEnvelope(event.Head()); err != nil {
		return nil, fmt.Errorf("encode %s: %w", event.Head().Type, err)
	}
	if err := event.check(); err != nil {
		return nil, fmt.Errorf("encode %s: %w", event.Head().Type, err)
	}
	body, err := json.Marshal(event)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", event.Head().Type, err)
	}
	if len(body) > MaxBody {
		return nil, fmt.Errorf("encode %s: %d bytes: %w", event.Head().Type, len(body), ErrTooLarge)
	}
	return body, nil
}

func (e *Unrecognized) readChannel() error {
	var named struct {
		Channel *string        `json:"channel"`
		Rest    jsontext.Value `json:",embed"`
	}
	if len(e.Rest) == 0 {
		return nil
	}
	if err := json.Unmarshal(e.Rest, &named); err != nil {
		return err
	}
	e.channel = named.Channel
	return nil
}

// Leaf is the part of the event's subject behind `nixfleet.<fleet>.event.`: the
// type without its version, and the token of the channel.
func Leaf(event Event) string {
	name := unversioned(event.Head().Type)
	if channel, ok := event.ChannelName(); ok {
		return name + "." + ChannelToken(channel)
	}
	return name
}

// unversioned is the type without `.vN`.
func unversioned(eventType string) string {
	i := strings.LastIndex(eventType, ".v")
	if i < 0 {
		return eventType
	}
	digits := eventType[i+len(".v"):]
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return eventType
	}
	return eventType[:i]
}
