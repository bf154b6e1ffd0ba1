// Package anchor keeps heads of a log outside of it: as notes that anybody can
// hold, copy and check without the log, and in a memory of the heads that were
// seen. A log that goes back behind one of them, or holds another history, is
// found out, even when the holder of the writer's key has rewritten it.
//
// The form is a C2SP checkpoint in a C2SP signed note (docs/bundle.md, "HEAD").
// The signature is the writer's own of the tick: no other key is needed.
package anchor

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"fleetlog/consumers/check"
	"fleetlog/events"

	"golang.org/x/mod/sumdb/note"
)

// Anchor is a head with what proves it.
type Anchor struct {
	events.Head
	body      string
	signature string
}

// Of makes the anchor of a stored LogOpened or TickCompleted. The writers are
// those whose signature counts; with none, the one that it names.
func Of(m events.Message, writers []events.PublicKey) (Anchor, error) {
	values := m.Header[events.SignatureHeader]
	if len(values) != 1 {
		return Anchor{}, errors.New("make anchor: the message has no signature")
	}
	return read(string(m.Body), values[0], writers)
}

func read(body, signature string, writers []events.PublicKey) (Anchor, error) {
	head, err := events.ReadHead([]byte(body), signature, writers)
	if err != nil {
		return Anchor{}, fmt.Errorf("read anchor: %w", err)
	}
	return Anchor{head, body, signature}, nil
}

// Known is the head for a check, under the name of who knows it.
func (a Anchor) Known(from string) check.KnownHead {
	return check.KnownHead{From: from, Lineage: a.Lineage, Number: a.Number, Digest: a.Digest}
}

// origin names the log. It is the name of the signature's key, too.
func (a Anchor) origin() string {
	return "fleetlog/" + a.Fleet().String() + "/" + a.Lineage
}

// text is what the note holds before its signatures.
func (a Anchor) text() string {
	return fmt.Sprintf("%s\n%d\n%s\n%s\n", a.origin(), a.Number, base64.StdEncoding.EncodeToString(a.Digest[:]), a.body)
}

// MarshalText writes the note.
func (a Anchor) MarshalText() ([]byte, error) {
	signature, err := base64.StdEncoding.DecodeString(a.signature)
	if err != nil {
		return nil, fmt.Errorf("write anchor: %w", err)
	}
	return note.Sign(&note.Note{Text: a.text()}, signer{key{a.origin(), a.writer()}, signature})
}

func (a Anchor) writer() events.PublicKey {
	if a.Completed != nil {
		return a.Completed.Writer
	}
	return a.Opened.Writer
}

// MaxNote is how large a note may be that is read.
const MaxNote = 1 << 20

// Parse reads a note and checks it: the lines are what the tick in it says, and
// one of the writers, or with none given the one that it names, has signed it.
// Further signatures, such as witnesses', are passed over.
func Parse(data []byte, writers []events.PublicKey) (Anchor, error) {
	if len(data) > MaxNote {
		return Anchor{}, fmt.Errorf("read anchor: larger than %d bytes", MaxNote)
	}
	lines := strings.SplitN(string(data), "\n", 5)
	if len(lines) < 5 {
		return Anchor{}, errors.New("read anchor: it is no checkpoint of a log")
	}
	named, err := events.Decode([]byte(lines[3]))
	if err != nil {
		return Anchor{}, fmt.Errorf("read anchor: %w", err)
	}
	var writer events.PublicKey
	switch e := named.(type) {
	case *events.TickCompleted:
		writer = e.Writer
	case *events.LogOpened:
		writer = e.Writer
	}
	v := &verifier{key: key{lines[0], writer}, writers: writers}
	if _, err := note.Open(data, note.VerifierList(v)); err != nil {
		if v.refused != nil {
			err = v.refused
		}
		return Anchor{}, fmt.Errorf("read anchor: %w", err)
	}
	return v.read, v.read.spelled(data)
}

// spelled checks that the signature has its one spelling: the last digit of base64
// may hold bits that mean nothing.
func (a Anchor) spelled(data []byte) error {
	again, err := a.MarshalText()
	if err != nil {
		return err
	}
	_, line, _ := bytes.Cut(again, []byte("\n\n"))
	if !bytes.Contains(data, append([]byte("\n"), line...)) {
		return errors.New("read anchor: its signature is not spelled as it must be")
	}
	return nil
}

// key is a writer's key as notes name it.
type key struct {
	name   string
	public events.PublicKey
}

// algorithm identifies signatures of ticks among those of notes: 0xff stands for
// types that C2SP does not assign, behind which comes a name.
const algorithm = "\xfffleetlog/v1"

// Name is the log's origin.
func (k key) Name() string { return k.name }

// KeyHash tells keys of one name apart.
func (k key) KeyHash() uint32 {
	sum := sha256.Sum256([]byte(k.name + "\n" + algorithm + string(k.public[:])))
	return binary.BigEndian.Uint32(sum[:4])
}

// signer puts a signature into a note that exists already.
type signer struct {
	key
	signature []byte
}

// Sign returns it.
func (s signer) Sign([]byte) ([]byte, error) { return s.signature, nil }

// verifier checks a note by the tick in it.
type verifier struct {
	key
	writers []events.PublicKey
	read    Anchor
	refused error
}

// Verify tells whether the text is the anchor of a tick that carries the
// signature.
func (v *verifier) Verify(text, signature []byte) bool {
	lines := strings.Split(string(text), "\n")
	if len(lines) < 5 {
		v.refused = errors.New("it is no checkpoint of a log")
		return false
	}
	v.read, v.refused = read(lines[3], base64.StdEncoding.EncodeToString(signature), v.writers)
	if v.refused == nil && v.read.text() != string(text) {
		v.refused = errors.New("it says something else than the tick in it, " + strconv.FormatUint(v.read.Number, 10))
	}
	return v.refused == nil
}
