package check

import (
	"errors"
	"fmt"
	"strings"

	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/manifest"
)

// refusal is a message that looks like the end of a tick and is none.
type refusal struct {
	seq     uint64
	digest  manifest.Digest
	unknown bool // it carries a signature that does not hold
	why     error
}

// outside judges a message that ends no valid tick. One that an accepted writer
// has signed for this very place should have been one; what comes behind it is
// judged as if it were.
func (c *checking) outside(before events.Head, run []eventlog.Stored, m eventlog.Stored, noise []events.Noise) (*events.Tick, error) {
	if m.Subject != c.part.Fleet.EventSubject("TickCompleted") {
		return nil, nil
	}
	if err := c.covered(); err != nil { // two may claim one place
		return nil, err
	}
	head, err := c.chain.End(m.Seq, m.Message)
	if err != nil {
		c.refuse(m, noise, err)
		return nil, nil //nolint:nilerr // it is noise
	}
	c.goOn(head)
	c.links(before, head)
	if head.Completed.Index == 0 {
		return &events.Tick{Completed: head.Completed, Head: head}, nil
	}
	return c.whole(head, run, m)
}

func (c *checking) refuse(m eventlog.Stored, noise []events.Noise, why error) {
	for _, n := range noise {
		if n.Seq == m.Seq {
			why = n.Why
		}
	}
	signed := len(m.Header[events.SignatureHeader]) > 0
	copied := c.copied(m)
	c.refused = &refusal{m.Seq, manifest.Sum(m.Body), signed && copied == nil, why}
	if copied == nil || copied.Number <= c.chain.Head().Number || c.moved {
		return
	}
	// Whoever copies a tick has read it in its place, ahead of the copy.
	c.moved = true
	c.report.add(Finding{
		Code: CodeChain, Seq: m.Seq, Tick: copied.Number, Detail: fmt.Sprintf("the tick was signed for sequence %d, and stands at %d", copied.Seq, m.Seq),
		Expected: fmt.Sprintf("sequence %d", copied.Seq), Found: fmt.Sprintf("sequence %d", m.Seq),
	})
}

// copied returns what the message says when it is a tick of this log that belongs
// to another place.
func (c *checking) copied(m eventlog.Stored) *events.TickCompleted {
	event, err := events.Decode(m.Body)
	if err != nil {
		return nil
	}
	t, ok := event.(*events.TickCompleted)
	if !ok {
		return nil
	}
	if _, err = c.chain.End(t.Seq, m.Message); err != nil {
		return nil
	}
	return t
}

// whole reads the findings of a tick that was signed for this place.
func (c *checking) whole(head events.Head, run []eventlog.Stored, m eventlog.Stored) (*events.Tick, error) {
	count := head.Completed.Index
	if len(run) != count || run[0].Seq != head.Seq-uint64(count) || !strings.HasPrefix(run[0].Header["ce-id"][0], head.Tick+".") {
		c.report.at(head, CodeIncomplete, fmt.Sprintf("the %d findings of the tick are not before it", count))
		return &events.Tick{Completed: head.Completed, Head: head}, nil
	}
	messages := make([]events.Message, 0, count+1)
	bodies := make([][]byte, 0, count)
	for _, stored := range run {
		messages, bodies = append(messages, stored.Message), append(bodies, stored.Body)
	}
	tick, err := events.ReadTick(c.part.Fleet, c.part.Writers, head.Lineage, run[0].Seq, append(messages, m.Message))
	var unknown *events.UnknownTypeError
	if errors.As(err, &unknown) {
		return nil, err
	}
	if err != nil {
		f := Finding{Code: CodeStatement, Seq: head.Seq, Tick: head.Number, Detail: err.Error()}
		if digest, err := events.StatementDigest(bodies); err == nil && digest != head.Completed.Statement.Digest {
			f.Expected, f.Found = head.Completed.Statement.Digest.String(), digest.String()
		}
		c.report.add(f)
		return &events.Tick{Completed: head.Completed, Head: head}, nil
	}
	return tick, nil
}

// links compares a tick with the one that it should follow.
func (c *checking) links(before, head events.Head) {
	displaced := c.displaced(before, head)
	if !displaced {
		var broken []string
		if head.Number != before.Number+1 {
			broken = append(broken, fmt.Sprintf("has number %d behind tick %d", head.Number, before.Number))
		}
		if head.Completed.Previous != before.Digest {
			broken = append(broken, fmt.Sprintf("names %s as the tick before it, which is %s", head.Completed.Previous, before.Digest))
		}
		if len(broken) > 0 {
			c.report.add(Finding{
				Code: CodeChain, Seq: head.Seq, Tick: head.Number, Detail: "the tick " + strings.Join(broken, ", and "),
				Expected: head.Completed.Previous.String(), Found: before.Digest.String(),
			})
		}
	}
	if head.Time < before.Time {
		c.report.at(head, CodeTime, fmt.Sprintf("the tick has time %s, the one before it %s", head.Time, before.Time))
	}
	if head.Completed.Index == 0 && !repeats(before.Completed, head.Completed) && !displaced {
		c.report.at(head, CodeStatement, "the tick has no findings, and does not repeat the statement of the tick before it")
	}
}

// displaced reports a message that stands where the one tick was that is missing
// before head.
func (c *checking) displaced(before, head events.Head) bool {
	r := c.refused
	if r == nil || head.Number != before.Number+2 {
		return false
	}
	f := Finding{Code: CodeSignature, Seq: r.seq, Tick: head.Number - 1}
	if r.digest == head.Completed.Previous {
		f.Detail = fmt.Sprintf("the tick is the one that tick %d names, but does not count: it %v", head.Number, r.why)
		f.Expected, f.Found = "a signature by its writer", r.why.Error()
	} else {
		f.Code = CodeChain
		f.Detail = fmt.Sprintf("the message is not the tick that tick %d names: expected SHA-256 %s, found %s; it %v", head.Number, head.Completed.Previous, r.digest, r.why)
		f.Expected, f.Found = head.Completed.Previous.String(), r.digest.String()
	}
	c.report.add(f)
	return true
}

// end reports what stands behind the last tick as if it were the next: no writer
// leaves that there.
func (c *checking) end() {
	head := c.chain.Head()
	if c.report.Ticks > 0 {
		c.report.Head = head
	} else {
		c.report.Head = c.part.Before
	}
	if r := c.refused; r != nil && r.unknown {
		c.report.add(Finding{
			Code: CodeSignature, Seq: r.seq, Tick: head.Number + 1, Expected: "a tick signed by an accepted writer", Found: r.why.Error(),
			Detail: fmt.Sprintf("the last message that looks like a tick is none: it %v", r.why),
		})
	}
	if len(c.run) > 0 {
		if event, err := events.Decode(c.run[0].Body); err == nil && event.Head().Number == head.Number+1 {
			c.report.add(Finding{Code: CodeIncomplete, Seq: c.run[0].Seq, Tick: head.Number + 1, Detail: "the log ends in the middle of the tick"})
		}
	}
	c.missing(head)
}

func repeats(before, t *events.TickCompleted) bool {
	if before == nil {
		return false
	}
	a, b := before.Statement, t.Statement
	return a.Tick == b.Tick && a.FirstSeq == b.FirstSeq && a.LastSeq == b.LastSeq && a.Digest == b.Digest &&
		before.Outcome == t.Outcome
}
