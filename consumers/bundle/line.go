package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"fleetlog/eventlog"
	"fleetlog/events"

	"github.com/go-json-experiment/json"
)

// line is a message of the events stream in a bundle. What is not UTF-8, and so
// is no event, is given in base64.
type line struct {
	Seq     uint64              `json:"seq"`
	Subject string              `json:"subject"`
	Header  map[string][]string `json:"header"`
	Body    *string             `json:"body,omitzero"`
	Base64  []byte              `json:"base64,omitzero"`
}

// maxLine bounds one line: a message of the largest size, everything in it
// escaped.
const maxLine = 8 * events.MaxBody

// encodeLine writes the message. Headers that the broker adds are not part of
// it: a copy of the log has others.
func encodeLine(m eventlog.Stored) ([]byte, error) {
	l := line{Seq: m.Seq, Subject: strings.ToValidUTF8(m.Subject, "?"), Header: make(map[string][]string)}
	for name, values := range m.Header {
		if strings.HasPrefix(strings.ToLower(name), "nats-") {
			continue
		}
		for _, v := range values {
			name := strings.ToValidUTF8(name, "?")
			l.Header[name] = append(l.Header[name], strings.ToValidUTF8(v, "?"))
		}
	}
	if body := string(m.Body); utf8.ValidString(body) {
		l.Body = &body
	} else {
		l.Base64 = m.Body
	}
	return l.text()
}

func (l line) text() ([]byte, error) {
	data, err := json.Marshal(l, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("write message %d: %w", l.Seq, err)
	}
	return append(data, '\n'), nil
}

// decodeLine reads what [encodeLine] has written, and nothing else.
func decodeLine(text []byte) (eventlog.Stored, error) {
	var l line
	if err := json.Unmarshal(text, &l, json.RejectUnknownMembers(true)); err != nil {
		return eventlog.Stored{}, err
	}
	again, err := l.text()
	if err != nil || !bytes.Equal(bytes.TrimSuffix(again, []byte("\n")), text) || (l.Body == nil) == (l.Base64 == nil) {
		return eventlog.Stored{}, errors.New("line is not of the form")
	}
	body := l.Base64
	if l.Body != nil {
		body = []byte(*l.Body)
	}
	return eventlog.Stored{Seq: l.Seq, Message: events.Message{Subject: l.Subject, Header: l.Header, Body: body}}, nil
}
