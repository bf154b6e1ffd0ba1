package events

import (
	"errors"
	"fmt"
	"strconv"

	"fleetlog/manifest"
)

// Head is the last valid tick of a log: what the next one must follow. Before
// the first tick it is LogOpened.
type Head struct {
	Lineage   string
	Seq       uint64
	Digest    manifest.Digest // SHA-256 of the body
	Tick      string
	Number    uint64
	Time      Time
	Opened    *LogOpened     // set exactly when the head is LogOpened
	Completed *TickCompleted // set exactly when it is not
}

// Floor is the newest fleet accepted so far, in this log or the one that it
// continues.
func (h Head) Floor() *Floor {
	if h.Completed != nil {
		return h.Completed.Floor
	}
	if h.Opened != nil && h.Opened.Continues != nil {
		return h.Opened.Continues.Floor
	}
	return nil
}

// EventID is the `ce-id` of the message that is the head.
func (h Head) EventID() string {
	index := 0
	if h.Completed != nil {
		index = h.Completed.Index
	}
	return h.Tick + "." + strconv.Itoa(index)
}

// ErrNotOpened says that sequence 1 does not hold a LogOpened by an accepted
// writer.
var ErrNotOpened = errors.New("stream does not begin with a LogOpened by an accepted writer")

// ReadOpening checks the message at sequence 1. With no accepted writers given
// the log's own list is trusted (trust on first use); the caller remembers the
// returned list from then on.
func ReadOpening(fleet FleetName, m Message, accepted []PublicKey) (Head, []PublicKey, error) {
	event, err := m.decode()
	if err != nil {
		return Head{}, nil, fmt.Errorf("%w: %w", ErrNotOpened, err)
	}
	opened, ok := event.(*LogOpened)
	if !ok || opened.Fleet != fleet {
		return Head{}, nil, fmt.Errorf("%w: it is a %s of fleet %s", ErrNotOpened, event.Head().Type, event.Head().Fleet)
	}
	writers := accepted
	if len(writers) == 0 {
		writers = opened.Writers
	}
	if !contains(writers, opened.Writer) {
		return Head{}, nil, fmt.Errorf("%w: it was written by %s, accept that one if it is the right one", ErrNotOpened, opened.Writer)
	}
	if !m.signedBy(opened.Writer, opened.Lineage) {
		return Head{}, nil, fmt.Errorf("%w: its signature does not hold", ErrNotOpened)
	}
	head := Head{
		Lineage: opened.Lineage, Seq: 1, Digest: digestOf(m.Body),
		Tick: opened.Tick, Time: opened.Time, Opened: opened,
	}
	return head, writers, nil
}

// End judges the message at seq as the end of a tick by itself: whether an
// accepted writer has signed it for this place of this log. That makes a valid
// tick of it once its findings are read. Errors: [*UnknownTypeError], which stops
// a reader; any other says why it is noise.
func (c *Chain) End(seq uint64, m Message) (Head, error) {
	if err := c.CheckKnown(seq, m); err != nil {
		return Head{}, err
	}
	event, err := m.decode()
	if err != nil {
		return Head{}, err
	}
	t, ok := event.(*TickCompleted)
	if !ok || t.Fleet != c.fleet || uint64(t.Index)+1 >= seq {
		return Head{}, fmt.Errorf("is a %s of fleet %s", event.Head().Type, event.Head().Fleet)
	}
	if err := NewChain(c.fleet, c.writers, said(c.head.Lineage, t)).follows(seq, m, t); err != nil {
		return Head{}, err
	}
	return headOf(seq, m, t), nil
}

// said is the head that a tick must follow, as the tick itself says.
func said(lineage string, t *TickCompleted) Head {
	h := Head{Lineage: lineage, Digest: t.Previous, Number: t.Number - 1, Time: t.Time}
	if t.Index == 0 {
		h.Completed = t
	}
	return h
}

// headOf is the head that a tick is.
func headOf(seq uint64, m Message, t *TickCompleted) Head {
	return Head{
		Lineage: t.Lineage, Seq: seq, Digest: digestOf(m.Body),
		Tick: t.Tick, Number: t.Number, Time: t.Time, Completed: t,
	}
}

// ReadTick judges the messages of one tick by themselves, stored from sequence
// first on: everything that makes a tick valid except what it says of the tick
// before it, which stands under its signature and is taken as said.
func ReadTick(fleet FleetName, writers []PublicKey, lineage string, first uint64, messages []Message) (*Tick, error) {
	if len(messages) == 0 {
		return nil, errors.New("read tick: no messages")
	}
	event, err := messages[len(messages)-1].decode()
	if err != nil {
		return nil, fmt.Errorf("read tick: %w", err)
	}
	completed, ok := event.(*TickCompleted)
	if !ok {
		return nil, fmt.Errorf("read tick: ends in a %s", event.Head().Type)
	}
	chain := NewChain(fleet, writers, said(lineage, completed))
	for i, m := range messages {
		seq := first + uint64(i)
		tick, noise, err := chain.Push(seq, m)
		if err != nil {
			return nil, fmt.Errorf("read tick: %w", err)
		}
		if len(noise) > 0 {
			return nil, fmt.Errorf("read tick: sequence %d: %w", noise[0].Seq, noise[0].Why)
		}
		if tick != nil && i == len(messages)-1 {
			return tick, nil
		}
	}
	return nil, errors.New("read tick: messages hold more than one")
}

// digestOf names a body in the chain.
func digestOf(body []byte) manifest.Digest { return manifest.Sum(body) }

// Predecessor is the tick before this one, as far as this one says.
func (t *Tick) Predecessor() Head {
	h := said(t.Head.Lineage, t.Completed)
	h.Seq, h.Completed = t.Head.Seq-uint64(t.Completed.Index)-1, nil
	return h
}

// ReadHead judges the body of a LogOpened or a TickCompleted with the signature
// that stood beside it, away from its log: whether one of the writers, or with
// none given the one that it names, has signed it.
func ReadHead(body []byte, signature string, writers []PublicKey) (Head, error) {
	event, err := Decode(body)
	if err != nil {
		return Head{}, err
	}
	m := Message{Header: map[string][]string{SignatureHeader: {signature}}, Body: body}
	var h Head
	var writer PublicKey
	switch e := event.(type) {
	case *TickCompleted:
		h, writer = headOf(e.Seq, m, e), e.Writer
	case *LogOpened:
		h = Head{Lineage: e.Lineage, Seq: e.Seq, Digest: digestOf(body), Tick: e.Tick, Time: e.Time, Opened: e}
		writer = e.Writer
	default:
		return Head{}, fmt.Errorf("is a %s, which is not signed", event.Head().Type)
	}
	if len(writers) > 0 && !contains(writers, writer) {
		return Head{}, fmt.Errorf("writer %s is not accepted", writer)
	}
	if !m.signedBy(writer, h.Lineage) {
		return Head{}, errors.New("signature does not hold")
	}
	return h, nil
}

// Fleet is the fleet whose log the head is of.
func (h Head) Fleet() FleetName {
	if h.Completed != nil {
		return h.Completed.Fleet
	}
	if h.Opened != nil {
		return h.Opened.Fleet
	}
	return FleetName{}
}
