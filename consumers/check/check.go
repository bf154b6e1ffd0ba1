// Package check reads a whole log, and a reducer's state directory beside it,
// and says what breaks an invariant (docs/log-format.md sections 1 to 5,
// docs/design.md, "Invariants").
//
// It writes nothing, takes no lock, and needs no trust file: whether artifacts
// are well signed is for a fold to judge. What it holds at once is one tick, one
// artifact, and bounded memories of ids and of artifacts that were read,
// whatever the log's length.
package check

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"fleetlog/eventlog"
	"fleetlog/events"
)

// Options say what is checked beside the log.
type Options struct {
	StateDir string                // of a reducer, which may be at work; empty: none
	Progress func(seq, end uint64) // told after every event how far the log is read; nil: nobody
}

// Check reads the log from its opening to the end that it has now. A log that
// others append to and a directory that a reducer works on are judged by what
// they were at one moment, the directory's before the log's.
//
// What is broken is in the report. An error means that something could not be
// read: [ErrNoCheckpoint], [eventlog.ErrUnavailable], [*events.UnknownTypeError].
func Check(ctx context.Context, log *eventlog.Log, o Options) (*Report, error) {
	opening := log.Opening()
	c := &checking{
		log: log, progress: o.Progress, next: opening.Seq + 1, artifacts: newArtifacts(log),
		report: &Report{Lineage: log.Lineage(), Seq: opening.Seq, Events: 1, Findings: []Finding{}},
	}
	if o.StateDir != "" {
		var err error
		if c.directory, err = readDirectory(ctx, o.StateDir, c.report); err != nil {
			return nil, fmt.Errorf("check state directory: %w", err)
		}
	}
	if err := c.all(ctx, opening); err != nil {
		return nil, fmt.Errorf("check log: %w", err)
	}
	return c.report, nil
}

// checking is one check under way.
type checking struct {
	log       *eventlog.Log
	report    *Report
	progress  func(seq, end uint64)
	directory *directory // nil: only the log is checked
	artifacts *artifacts

	next  uint64            // sequence expected
	chain *events.Chain     // behind the last tick
	run   []eventlog.Stored // findings that the next tick may end, as the chain holds them
	taken uint64            // messages that are part of a tick
	held  *statement        // that the set is of; nil when it could not be read
	ids   recentIDs
}

func (c *checking) all(ctx context.Context, opening events.Head) error {
	gaps, err := c.log.ArtifactGaps(ctx)
	if err != nil {
		return err
	}
	for _, g := range gaps {
		c.report.add(Finding{Code: CodeArtifactGap, Seq: g.First, Detail: g.Error()})
	}
	end, err := c.log.LastSequence(ctx)
	if err != nil {
		return err
	}
	c.goOn(opening)
	c.directory.open(c.report, c.log, opening)
	if err := c.read(ctx, end); err != nil {
		return err
	}
	c.lost(end + 1)
	c.report.Noise = c.report.Events - 1 - c.taken
	c.directory.close(c.report, end)
	return nil
}

// goOn makes the next tick one that follows head.
func (c *checking) goOn(head events.Head) {
	c.chain = events.NewChain(c.log.Fleet(), c.log.Writers(), head)
}

// read goes through the events up to end, and on to the end of the tick that is
// there.
func (c *checking) read(ctx context.Context, end uint64) error {
	for m, err := range c.log.Messages(ctx, c.next) {
		if err != nil {
			return err
		}
		c.lost(m.Seq)
		c.next = m.Seq + 1
		c.report.Seq = m.Seq
		c.report.Events++
		c.report.Bytes += uint64(len(m.Body))
		if err := c.message(ctx, m); err != nil {
			return err
		}
		if c.progress != nil {
			c.progress(m.Seq, max(m.Seq, end))
		}
		if m.Seq >= end && !c.chain.Open() {
			return nil
		}
	}
	return nil
}

// lost reports what is missing before the sequence.
func (c *checking) lost(before uint64) {
	if c.next >= before {
		return
	}
	gap := &eventlog.GapError{Stream: c.log.Fleet().EventsStream(), First: c.next, Last: before - 1}
	c.report.add(Finding{Code: CodeGap, Seq: gap.First, Detail: gap.Error()})
	c.next = before
}

// message judges one message by the rule of a valid tick.
func (c *checking) message(ctx context.Context, m eventlog.Stored) error {
	before, run := c.chain.Head(), c.run
	tick, noise, err := c.chain.Push(m.Seq, m.Message)
	if err != nil {
		return err
	}
	switch {
	case !c.chain.Open():
		c.run = nil
	case len(noise) > 0:
		c.run = []eventlog.Stored{m}
	default:
		c.run = append(c.run, m)
	}
	if tick == nil {
		tick, err = c.outside(before, run, m)
	}
	if tick == nil || err != nil {
		return err
	}
	return c.tick(ctx, before, tick)
}

// outside judges a message that ends no valid tick. One that an accepted writer
// has signed for this very place should have been one; what comes behind it is
// judged as if it were.
func (c *checking) outside(before events.Head, run []eventlog.Stored, m eventlog.Stored) (*events.Tick, error) {
	if m.Subject != c.log.Fleet().EventSubject("TickCompleted") {
		return nil, nil
	}
	head, err := c.chain.End(m.Seq, m.Message)
	if err != nil {
		return nil, nil //nolint:nilerr // it is noise
	}
	c.goOn(head)
	c.links(before, head)
	count := head.Completed.Index
	if count == 0 {
		return &events.Tick{Completed: head.Completed, Head: head}, nil
	}
	if len(run) != count || run[0].Seq != head.Seq-uint64(count) || !strings.HasPrefix(run[0].Header["ce-id"][0], head.Tick+".") {
		c.report.at(head, CodeIncomplete, fmt.Sprintf("the %d findings of the tick are not before it", count))
		return &events.Tick{Completed: head.Completed, Head: head}, nil
	}
	messages := make([]events.Message, 0, count+1)
	for _, stored := range append(run, m) {
		messages = append(messages, stored.Message)
	}
	tick, err := events.ReadTick(c.log.Fleet(), c.log.Writers(), head.Lineage, run[0].Seq, messages)
	var unknown *events.UnknownTypeError
	if errors.As(err, &unknown) {
		return nil, err
	}
	if err != nil {
		c.report.at(head, CodeStatement, err.Error())
		return &events.Tick{Completed: head.Completed, Head: head}, nil
	}
	return tick, nil
}

// links compares a tick with the one that it should follow.
func (c *checking) links(before, head events.Head) {
	var broken []string
	if head.Number != before.Number+1 {
		broken = append(broken, fmt.Sprintf("has number %d behind tick %d", head.Number, before.Number))
	}
	if head.Completed.Previous != before.Digest {
		broken = append(broken, fmt.Sprintf("names %s as the tick before it, which is %s", head.Completed.Previous, before.Digest))
	}
	if len(broken) > 0 {
		c.report.at(head, CodeChain, "the tick "+strings.Join(broken, ", and "))
	}
	if head.Time < before.Time {
		c.report.at(head, CodeTime, fmt.Sprintf("the tick has time %s, the one before it %s", head.Time, before.Time))
	}
	if head.Completed.Index == 0 && !repeats(before.Completed, head.Completed) {
		c.report.at(head, CodeStatement, "the tick has no findings, and does not repeat the statement of the tick before it")
	}
}

func repeats(before, t *events.TickCompleted) bool {
	if before == nil {
		return false
	}
	a, b := before.Statement, t.Statement
	return a.Tick == b.Tick && a.FirstSeq == b.FirstSeq && a.LastSeq == b.LastSeq && a.Digest == b.Digest &&
		before.Outcome == t.Outcome
}
