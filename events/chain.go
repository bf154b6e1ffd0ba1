package events

import (
	"errors"
	"fmt"
	"slices"
)

// Tick is a valid tick as it was read. Findings is empty when it is unchanged.
type Tick struct {
	Completed *TickCompleted
	Findings  []Finding
	Head      Head // that it is
}

// Noise is a message that is part of no valid tick.
type Noise struct {
	Seq     uint64
	Subject string
	Why     error
}

// UnknownTypeError stops a reader: an accepted writer has written something
// that this program does not know. Use a newer version of it.
type UnknownTypeError struct {
	Seq  uint64
	Type string
}

// Error names the type and what to do.
func (e *UnknownTypeError) Error() string {
	return fmt.Sprintf("event of unknown type %q at sequence %d was written by an accepted writer: upgrade this program", e.Type, e.Seq)
}

func contains(writers []PublicKey, key PublicKey) bool {
	for _, w := range writers {
		if w == key {
			return true
		}
	}
	return false
}

// Chain tells valid ticks from noise in a stream that is read in order
// (docs/log-format.md section 5).
type Chain struct {
	fleet   FleetName
	writers []PublicKey
	head    Head
	run     []candidate // findings that the next TickCompleted may end

	deferred bool    // signatures are left to HeadHolds
	last     Message // that the head is; none when it was given
	read     repetitions
}

type candidate struct {
	seq     uint64
	message Message
	finding Finding
	like    *repetition // of the finding; nil: there is none
}

// timeless is what the statement's digest takes of the finding.
func (c candidate) timeless() ([]byte, error) {
	if c.like != nil {
		return c.like.timeless(c.finding.Head().New, c.message.Body)
	}
	return timeless(c.message.Body)
}

// maxRun bounds the findings held for one tick; no server takes a larger
// batch.
const maxRun = 20000

// NewChain continues behind head, accepting ticks of the given writers.
func NewChain(fleet FleetName, writers []PublicKey, head Head) *Chain {
	return &Chain{fleet: fleet, writers: writers, head: head}
}

// DeferSignatures lets ticks count without a look at their signatures, but for
// the first that a writer signs behind another. One signature covers all history
// before it, so the caller asks [Chain.HeadHolds] at the end, and wherever a
// message on the subject of TickCompleted turns out to be noise: two may claim
// one place. When the head does not hold, nothing counts that was read behind
// the last one that did, an [*UnknownTypeError] included.
func (c *Chain) DeferSignatures() { c.deferred = true }

// Deferring is a copy of the chain with [Chain.DeferSignatures] in force. The two
// go on apart; what one has read the other may read more quickly.
func (c *Chain) Deferring() *Chain {
	other := *c
	other.run = slices.Clone(c.run)
	other.deferred = true
	return &other
}

// Behind continues behind another head of the same log. What was read before is
// read more quickly when it comes again.
func (c *Chain) Behind(head Head) *Chain {
	return &Chain{fleet: c.fleet, writers: c.writers, head: head, read: c.read}
}

// Proved is the chain with every signature looked at from here on, for a caller
// whom [Chain.HeadHolds] has told that the head's holds.
func (c *Chain) Proved() *Chain {
	c.deferred = false
	return c
}

// HeadHolds tells whether the signature of the head holds. That of a head which
// was given to [NewChain] was for the caller to check.
func (c *Chain) HeadHolds() bool {
	return c.last.Body == nil || c.last.signedBy(c.head.Completed.Writer, c.head.Lineage)
}

// sameWriter tells whether the key signed the head, too.
func (c *Chain) sameWriter(key PublicKey) bool {
	if c.head.Completed != nil {
		return c.head.Completed.Writer == key
	}
	return c.head.Opened != nil && c.head.Opened.Writer == key
}

// Head is the last valid tick read so far.
func (c *Chain) Head() Head { return c.head }

// Open tells whether messages were read that may still become part of a tick.
func (c *Chain) Open() bool { return len(c.run) > 0 }

// Push takes the next message of the stream. It returns the tick that the
// message completes, if any, and the messages that are now known to be noise.
// The error is an [*UnknownTypeError], and the chain is then at its end.
func (c *Chain) Push(seq uint64, m Message) (*Tick, []Noise, error) {
	event, like, err := c.read.decode(m)
	if err != nil {
		return c.refuse(seq, m, err)
	}
	if event.Head().Fleet != c.fleet {
		return c.refuse(seq, m, fmt.Errorf("is of fleet %s", event.Head().Fleet))
	}
	switch e := event.(type) {
	case *TickCompleted:
		return c.complete(seq, m, e)
	case *LogOpened:
		return c.refuse(seq, m, errors.New("log is open already"))
	case Finding:
		if _, unknown := e.(*Unrecognized); unknown {
			if err := c.CheckKnown(seq, m); err != nil {
				return nil, nil, err
			}
		}
		return nil, c.extend(candidate{seq, m, e, like}), nil
	}
	return c.refuse(seq, m, fmt.Errorf("is a %T", event))
}

// CheckKnown returns an [*UnknownTypeError] for a message that an accepted writer
// has signed, on a subject that only signed events have, although its type is
// unknown. Any other message may be judged, or passed over.
func (c *Chain) CheckKnown(seq uint64, m Message) error {
	t := typeOf(m.Body)
	if isKnown(t) || m.Subject != c.fleet.EventSubject("TickCompleted") && m.Subject != c.fleet.EventSubject("LogOpened") {
		return nil
	}
	for _, w := range c.writers {
		if m.signedBy(w, c.head.Lineage) {
			return &UnknownTypeError{seq, t}
		}
	}
	return nil
}

// refuse makes the message and everything before it that could still have been
// part of a tick noise. A signed message of unknown type stops the reader.
func (c *Chain) refuse(seq uint64, m Message, why error) (*Tick, []Noise, error) {
	if err := c.CheckKnown(seq, m); err != nil {
		return nil, nil, err
	}
	return nil, append(c.dropRun("another message came before its tick was complete"), Noise{seq, m.Subject, why}), nil
}

func (c *Chain) dropRun(why string) []Noise {
	var noise []Noise
	for _, held := range c.run {
		noise = append(noise, Noise{held.seq, held.message.Subject, errors.New(why)})
	}
	c.run = nil
	return noise
}

// extend holds a finding that follows the ones held, or begins anew with it.
func (c *Chain) extend(next candidate) []Noise {
	head := next.finding.Head()
	if n := len(c.run); n > 0 {
		last := c.run[n-1].finding.Head()
		if n < maxRun && head.Index == last.Index+1 && sameTick(head, last) && next.seq == c.run[n-1].seq+1 {
			c.run = append(c.run, next)
			return nil
		}
	}
	noise := c.dropRun("its tick was not completed")
	if head.Index != 0 {
		return append(noise, Noise{next.seq, next.message.Subject, errors.New("does not begin a tick")})
	}
	c.run = []candidate{next}
	return noise
}

func sameTick(a, b *Envelope) bool {
	return a.Tick == b.Tick && a.Number == b.Number && a.Time == b.Time && a.Fleet == b.Fleet
}

// complete judges a TickCompleted by the rule of a valid tick.
func (c *Chain) complete(seq uint64, m Message, t *TickCompleted) (*Tick, []Noise, error) {
	if err := c.follows(seq, m, t); err != nil {
		return c.refuse(seq, m, err)
	}
	findings, err := c.stated(seq, t)
	if err != nil {
		return c.refuse(seq, m, err)
	}
	for i, f := range findings {
		if unknown, ok := f.(*Unrecognized); ok {
			return nil, nil, &UnknownTypeError{seq - uint64(len(findings)-i), unknown.Type}
		}
	}
	var noise []Noise
	if len(findings) == 0 {
		noise = c.dropRun("the tick behind it has no findings")
	}
	c.run = nil
	c.head, c.last = headOf(seq, m, t), m
	return &Tick{Completed: t, Findings: findings, Head: c.head}, noise, nil
}

// follows checks that an accepted writer signed the tick for this place behind
// the last valid one.
func (c *Chain) follows(seq uint64, m Message, t *TickCompleted) error {
	switch {
	case t.Lineage != c.head.Lineage:
		return fmt.Errorf("is of lineage %s", t.Lineage)
	case t.Seq != seq:
		return fmt.Errorf("was signed for sequence %d", t.Seq)
	case t.Number != c.head.Number+1:
		return fmt.Errorf("has number %d behind %d", t.Number, c.head.Number)
	case t.Previous != c.head.Digest:
		return errors.New("does not name the last valid tick")
	case t.Time < c.head.Time:
		return fmt.Errorf("has time %s before %s", t.Time, c.head.Time)
	case !contains(c.writers, t.Writer):
		return fmt.Errorf("writer %s is not accepted", t.Writer)
	case c.deferred && c.sameWriter(t.Writer):
	case c.deferred && !c.HeadHolds():
		return errors.New("signature of the tick before it does not hold")
	case !m.signedBy(t.Writer, t.Lineage):
		return errors.New("signature does not hold")
	}
	return nil
}

// stated returns the tick's own findings, or none when it repeats the last
// statement.
func (c *Chain) stated(seq uint64, t *TickCompleted) ([]Finding, error) {
	if t.Index == 0 {
		last := c.head.Completed
		if last == nil || t.Statement.Tick == t.Tick {
			return nil, errors.New("has no findings and no statement to repeat")
		}
		if !sameStatement(t, last) {
			return nil, errors.New("does not repeat the last tick's statement")
		}
		return nil, nil
	}
	if len(c.run) != t.Index || !sameTick(&t.Envelope, c.run[0].finding.Head()) || c.run[0].seq != seq-uint64(t.Index) {
		return nil, fmt.Errorf("its %d findings are not before it", t.Index)
	}
	findings := make([]Finding, len(c.run))
	said := make([][]byte, len(c.run))
	for i, held := range c.run {
		var err error
		if said[i], err = held.timeless(); err != nil {
			return nil, fmt.Errorf("digest statement: finding %d: %w", i, err)
		}
		findings[i] = held.finding
	}
	s := t.Statement
	if s.Tick != t.Tick || s.Number != t.Number || s.FirstSeq != seq-uint64(t.Index) || s.LastSeq != seq-1 {
		return nil, errors.New("its statement is not its own findings")
	}
	if statementOf(said) != s.Digest {
		return nil, errors.New("its statement's digest is not that of its findings")
	}
	return findings, nil
}

func sameStatement(t, last *TickCompleted) bool {
	a, b := t.Statement, last.Statement
	return a.Tick == b.Tick && a.Number == b.Number && a.FirstSeq == b.FirstSeq && a.LastSeq == b.LastSeq &&
		a.Digest == b.Digest && t.Outcome == last.Outcome && sameCounts(t.Counts, last.Counts)
}

func sameCounts(a, b Counts) bool {
	return a.Verified == b.Verified && a.Rejected == b.Rejected &&
		a.CrossCheckFailed == b.CrossCheckFailed && a.Idle == b.Idle
}
