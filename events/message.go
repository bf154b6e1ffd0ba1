package events

import (
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"strconv"

	"fleetlog/manifest"
)

// Message is an event as it is stored: subject, headers and body. A reader
// fills it with what the broker returned.
type Message struct {
	Subject string
	Header  map[string][]string
	Body    []byte
}

// SignatureHeader carries the writer's signature of LogOpened and
// TickCompleted.
const SignatureHeader = "nixfleet-signature"

// attribute is a CloudEvents header.
type attribute struct{ name, value string }

// attributes are the CloudEvents headers that the event's body demands; the last
// one is ce-subject, where there is one.
func attributes(event Event) []attribute {
	head := event.Head()
	values := append(make([]attribute, 0, 7), []attribute{
		{"ce-specversion", "1.0"},
		{idHeader, head.Tick + "." + strconv.Itoa(head.Index)},
		{"ce-source", "/nixfleet/" + head.Fleet.String()},
		{"ce-type", "io.nixfleet." + head.Type},
		{timeHeader, head.Time.String()},
		{"ce-datacontenttype", "application/json"},
	}...)
	if channel, ok := event.ChannelName(); ok {
		values = append(values, attribute{subjectHeader, ChannelToken(channel)})
	}
	return values
}

// Headers of whose values a reader knows more.
const (
	idHeader      = "ce-id"
	timeHeader    = "ce-time"
	subjectHeader = "ce-subject"
)

// newMessage encodes an event with its subject and headers, unsigned.
func newMessage(event Event) (Message, error) {
	body, err := Encode(event)
	if err != nil {
		return Message{}, err
	}
	if len(body) > maxWritten {
		return Message{}, fmt.Errorf("encode %s: %d bytes: %w", event.Head().Type, len(body), ErrTooLarge)
	}
	header := map[string][]string{"content-type": {"application/json"}}
	for _, a := range attributes(event) {
		header[a.name] = []string{a.value}
	}
	return Message{Subject: event.Head().Fleet.EventSubject(Leaf(event)), Header: header, Body: body}, nil
}

// checkEnvironment tells whether subject and headers are what the body says.
func (m Message) checkEnvironment(event Event) error {
	if want := event.Head().Fleet.EventSubject(Leaf(event)); m.Subject != want {
		return fmt.Errorf("subject is %q, the body says %q", m.Subject, want)
	}
	want := attributes(event)
	for _, a := range want {
		if got := m.Header[a.name]; len(got) != 1 || got[0] != a.value {
			return fmt.Errorf("header %s is %q, the body says %q", a.name, got, a.value)
		}
	}
	if want[len(want)-1].name != subjectHeader && len(m.Header[subjectHeader]) != 0 {
		return fmt.Errorf("header ce-subject on an event without a channel")
	}
	return nil
}

// decode reads body, subject and headers together.
func (m Message) decode() (Event, error) {
	event, err := Decode(m.Body)
	if err != nil {
		return nil, err
	}
	if err := m.checkEnvironment(event); err != nil {
		return nil, err
	}
	return event, nil
}

// signedText is what the writer signs: three lines, the last one not ended.
func signedText(lineage string, body []byte) []byte {
	return []byte("fleetlog/v1\n" + lineage + "\n" + manifest.Sum(body).String())
}

// Writer signs ticks. Its key is used for nothing else.
type Writer struct {
	signer crypto.Signer
	public PublicKey
}

// NewWriter takes an ed25519 signer.
func NewWriter(signer crypto.Signer) (*Writer, error) {
	public, ok := signer.Public().(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("writer key is a %T, want an ed25519 key", signer.Public())
	}
	return &Writer{signer, PublicKey(public)}, nil
}

// Public is the key by which readers know the writer.
func (w *Writer) Public() PublicKey { return w.public }

// sign adds the signature header for the lineage.
func (w *Writer) sign(m Message, lineage string) error {
	signature, err := w.signer.Sign(nil, signedText(lineage, m.Body), crypto.Hash(0))
	if err != nil {
		return fmt.Errorf("sign event: %w", err)
	}
	m.Header[SignatureHeader] = []string{base64.StdEncoding.EncodeToString(signature)}
	return nil
}

// signedBy tells whether the message carries the key's signature for the
// lineage.
func (m Message) signedBy(key PublicKey, lineage string) bool {
	values := m.Header[SignatureHeader]
	if len(values) != 1 {
		return false
	}
	signature, err := decodeBase64(values[0], ed25519.SignatureSize)
	return err == nil && ed25519.Verify(key[:], signedText(lineage, m.Body), signature)
}
