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

// attributes are the CloudEvents headers that the event's body demands.
func attributes(event Event) map[string]string {
	head := event.Head()
	values := map[string]string{
		"ce-specversion":     "1.0",
		"ce-id":              head.Tick + "." + strconv.Itoa(head.Index),
		"ce-source":          "/nixfleet/" + head.Fleet.String(),
		"ce-type":            "io.nixfleet." + head.Type,
		"ce-time":            head.Time.String(),
		"ce-datacontenttype": "application/json",
	}
	if channel, ok := event.ChannelName(); ok {
		values["ce-subject"] = ChannelToken(channel)
	}
	return values
}

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
	for name, value := range attributes(event) {
		header[name] = []string{value}
	}
	return Message{Subject: event.Head().Fleet.EventSubject(Leaf(event)), Header: header, Body: body}, nil
}

// checkEnvironment tells whether subject and headers are what the body says.
func (m Message) checkEnvironment(event Event) error {
	if want := event.Head().Fleet.EventSubject(Leaf(event)); m.Subject != want {
		return fmt.Errorf("subject is %q, the body says %q", m.Subject, want)
	}
	want := attributes(event)
	for name, value := range want {
		if got := m.Header[name]; len(got) != 1 || got[0] != value {
			return fmt.Errorf("header %s is %q, the body says %q", name, got, value)
		}
	}
	if _, named := want["ce-subject"]; !named && len(m.Header["ce-subject"]) != 0 {
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
