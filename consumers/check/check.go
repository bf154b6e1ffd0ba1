// Package check reads a log, or a part of it, and a reducer's state directory
// beside it, and says what breaks an invariant (docs/log-format.md sections 1 to
// 5, docs/design.md, "Invariants").
//
// It is the only checker: tests, fsck, and audits of a log or of a bundle call
// it. It writes nothing and takes no lock. What it holds at once is one tick, the
// artifacts of one statement, and bounded memories of ids and of artifacts that
// were read, whatever the log's length.
package check

import (
	"context"
	"errors"
	"fmt"

	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/manifest"
)

// Options say what is checked beside the log itself.
type Options struct {
	StateDir string                // of a reducer, which may be at work; empty: none
	Progress func(seq, end uint64) // told after every event how far the log is read; nil: nobody

	// EverySignature looks at each tick's signature by itself. Without it those of
	// the last tick and at each change of writer are looked at, which cover all
	// before them; and all, when one of them does not hold.
	EverySignature bool
	Writers        []Writer        // when the keys of [Part] count; none: at all times
	Trust          Trust           // under which artifacts must be signed; none: that is not checked
	Policy         manifest.Policy // the windows that go with Trust
	Heads          []KnownHead     // that must be in the log
	Observe        Observe         // told what is read; nil: nobody
}

// Observe begins a reading: what it returns is told each tick, in order and with
// what was missed before it, nil when nothing was. A log whose signatures must be
// looked at one by one is read a second time from its beginning.
type Observe func() func(tick *events.Tick, missed *Outage)

// Check reads the log from its opening to the end that it has now. A log that
// others append to and a directory that a reducer works on are judged by what
// they were at one moment, the directory's before the log's.
//
// What is broken is in the report. An error means that something could not be
// read: [ErrNoCheckpoint], [eventlog.ErrUnavailable], [*events.UnknownTypeError].
func Check(ctx context.Context, log *eventlog.Log, o Options) (*Report, error) {
	return Read(ctx, OnBroker(log), Whole(log), o)
}

// Read is [Check] for a part of a log, from any source.
func Read(ctx context.Context, source Source, part Part, o Options) (*Report, error) {
	report, err := read(ctx, source, part, o)
	if errors.Is(err, errUnsure) {
		o.EverySignature = true
		report, err = read(ctx, source, part, o)
	}
	return report, err
}

// errUnsure says that a signature which should cover what was read does not hold.
var errUnsure = errors.New("signatures must be looked at one by one")

func read(ctx context.Context, source Source, part Part, o Options) (*Report, error) {
	opening := part.Opening
	c := &checking{
		Options: o, part: part, source: source, next: part.Before.Seq + 1, sure: part.Before.Seq, artifacts: newArtifacts(source),
		report: &Report{Lineage: opening.Lineage, Seq: opening.Seq, Events: 1, Findings: []Finding{}, Signatures: 1},
	}
	if o.StateDir != "" {
		var err error
		if c.directory, err = readDirectory(ctx, o.StateDir, c.report); err != nil {
			return nil, fmt.Errorf("check state directory: %w", err)
		}
	}
	if o.Observe != nil {
		c.observe = o.Observe()
	}
	if err := c.all(ctx); err != nil {
		return nil, fmt.Errorf("check log: %w", err)
	}
	return c.report, nil
}

// checking is one check under way.
type checking struct {
	Options
	part      Part
	source    Source
	report    *Report
	directory *directory // nil: only the log is checked
	artifacts *artifacts

	next    uint64            // sequence expected
	chain   *events.Chain     // behind the last tick
	run     []eventlog.Stored // findings that the next tick may end, as the chain holds them
	refused *refusal          // the last message behind the last tick that looks like the end of one
	moved   bool              // a tick behind the last one was found at another place than its own
	sure    uint64            // sequence up to which signatures cover what was read
	taken   uint64            // messages that are part of a tick
	held    *statement        // that the set is of; nil when it could not be read
	judged  judged            // the set that trust was last asked about
	ids     recentIDs
	observe func(tick *events.Tick, missed *Outage) // nil: nobody
}

func (c *checking) all(ctx context.Context) error {
	gaps, err := c.source.ArtifactGaps(ctx)
	if err != nil {
		return err
	}
	for _, g := range gaps {
		c.report.add(Finding{Code: CodeArtifactGap, Seq: g.First, Detail: g.Error()})
	}
	end := c.part.End
	if end == 0 {
		if end, err = c.source.LastSequence(ctx); err != nil {
			return err
		}
	}
	c.goOn(c.part.Before)
	c.directory.open(c.report, c.part)
	c.begin()
	if err := c.read(ctx, end); err != nil {
		return err
	}
	c.lost(end + 1)
	c.end()
	c.report.Noise = c.report.Events - 1 - c.taken
	c.directory.close(c.report, end)
	return c.covered()
}

// goOn makes the next tick one that follows head.
func (c *checking) goOn(head events.Head) {
	c.chain = events.NewChain(c.part.Fleet, c.part.Writers, head)
	if !c.EverySignature {
		c.chain.DeferSignatures()
	}
}

// covered checks that a signature covers all that was read. Error: errUnsure.
func (c *checking) covered() error {
	seq := c.chain.Head().Seq
	if c.EverySignature || c.sure >= seq {
		return nil
	}
	if !c.chain.HeadHolds() {
		return errUnsure
	}
	c.sure = seq
	c.report.Signatures++
	return nil
}

// read goes through the events up to end, and, where the end of the log is not
// given, on to the end of the tick that is there.
func (c *checking) read(ctx context.Context, end uint64) error {
	if c.next > end {
		return nil
	}
	for m, err := range c.source.Messages(ctx, c.next) {
		if err != nil {
			return err
		}
		if c.part.End > 0 && m.Seq > end {
			return nil
		}
		c.lost(m.Seq)
		c.next = m.Seq + 1
		c.report.Seq = m.Seq
		c.report.Events++
		c.report.Bytes += uint64(len(m.Body))
		if err := c.message(ctx, m); err != nil {
			return err
		}
		if c.Progress != nil {
			c.Progress(m.Seq, max(m.Seq, end))
		}
		if m.Seq >= end && (c.part.End > 0 || !c.chain.Open()) {
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
	gap := &eventlog.GapError{Stream: c.part.Fleet.EventsStream(), First: c.next, Last: before - 1}
	c.report.add(Finding{Code: CodeGap, Seq: gap.First, Detail: gap.Error()})
	c.next = before
}

// message judges one message by the rule of a valid tick.
func (c *checking) message(ctx context.Context, m eventlog.Stored) error {
	before, run := c.chain.Head(), c.run
	tick, noise, err := c.chain.Push(m.Seq, m.Message)
	var unknown *events.UnknownTypeError
	if errors.As(err, &unknown) && !c.EverySignature {
		return errUnsure // a signature may turn it into noise
	}
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
		tick, err = c.outside(before, run, m, noise)
	}
	if tick == nil || err != nil {
		return err
	}
	return c.tick(ctx, before, tick)
}
