package events

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

// youngStatement is the age below which a refusal that changes its reason
// states nothing new.
const youngStatement = 60 * time.Second

// ErrContinuedUnverified refuses the first tick of a log that continues
// another one while the fleet is not verified: such a log must begin with the
// set that it takes over.
var ErrContinuedUnverified = errors.New("first tick of a continued log is not verified")

// Base is what a tick is composed on, read back from the log.
type Base struct {
	Fleet        FleetName
	Head         Head
	Last         []Finding // of the head's statement; none when the head is LogOpened
	LastVerified []Finding // of the newest verified tick's statement
}

// Draft is what one tick has established. The envelope of every finding and
// the places that Set refers to are filled in by [Compose].
type Draft struct {
	Tick     string
	Time     Time
	Findings []Finding
	Set      *SetReference // digest, fleetHash, signedAt and without of what a correct reader holds now
	Floor    *Floor
	TookMs   uint64
	Interval time.Duration
	Missed   *Missed
}

// Terms are the writer's constants.
type Terms struct {
	Writer       *Writer
	RestateEvery time.Duration      // 0: every tick is written out
	Describe     func(Event) string // nil: [Describe]
}

// Compose makes the messages of a tick that will be stored from sequence
// firstSeq on: the TickCompleted alone when nothing has changed and the
// statement is young enough, else all findings in order before it
// (docs/log-format.md section 4). The same arguments give the same bytes.
func Compose(base Base, draft Draft, terms Terms, firstSeq uint64) ([]Message, error) {
	if terms.Describe == nil {
		terms.Describe = Describe
	}
	c := composition{base: base, draft: draft, terms: terms}
	if err := c.judge(); err != nil {
		return nil, fmt.Errorf("compose tick: %w", err)
	}
	messages, err := c.write(firstSeq)
	if err != nil {
		return nil, fmt.Errorf("compose tick: %w", err)
	}
	return messages, nil
}

type composition struct {
	base     Base
	draft    Draft
	terms    Terms
	outcome  Outcome
	stated   Stated
	findings []Finding // sorted, `removed` included
}

// judge decides outcome, order, what is new, and whether to state at all.
func (c *composition) judge() error {
	previous := c.base.Head.Completed
	if c.draft.Time < c.base.Head.Time {
		return fmt.Errorf("time %s is before the last tick's %s", c.draft.Time, c.base.Head.Time)
	}
	if err := c.judgeOutcome(); err != nil {
		return err
	}
	if previous == nil && c.base.Head.Opened.Continues != nil && c.outcome != Verified {
		return ErrContinuedUnverified
	}
	if err := checkFloor(c.base.Head.Floor(), c.draft.Floor); err != nil {
		return err
	}
	c.addRemoved()
	slices.SortFunc(c.findings, compareFindings)

	anew := previous == nil || previous.Outcome != c.outcome
	var age time.Duration
	if len(c.base.Last) > 0 {
		age = c.draft.Time.Time().Sub(c.base.Last[0].Head().Time.Time())
	}
	young := age < youngStatement
	changed, gone, err := differing(c.base.Last, c.findings, young)
	if err != nil {
		return err
	}
	switch {
	case anew || gone || len(changed) > 0:
		c.stated = Changed
	case age < c.terms.RestateEvery:
		c.stated = Unchanged
	default:
		c.stated = Restated
	}
	for _, f := range c.findings {
		f.Head().New = c.stated == Changed && (anew || isRemoved(f) || changed[Leaf(f)])
	}
	return nil
}

// judgeOutcome copies the findings and tells a verified tick from a skipped
// one by its fleet finding, of which there must be exactly one.
func (c *composition) judgeOutcome() error {
	fleets := 0
	for _, f := range c.draft.Findings {
		f := f.clone()
		switch f := f.(type) {
		case *FleetFetched:
			fleets, c.outcome, f.Type = fleets+1, Verified, TypeFleetFetched
		case *FleetRejected:
			fleets, c.outcome, f.Type = fleets+1, Skipped, TypeFleetRejected
		case *RolloutVerified:
			f.Type = TypeRolloutVerified
		case *RolloutRejected:
			f.Type = TypeRolloutRejected
		case *CrossCheckFailed:
			f.Type = TypeCrossCheckFailed
		case *ChannelIdle:
			f.Type = TypeChannelIdle
		default:
			return fmt.Errorf("a %T cannot be written", f)
		}
		c.findings = append(c.findings, f)
	}
	if fleets != 1 {
		return fmt.Errorf("%d findings about the fleet, want one", fleets)
	}
	if c.outcome == Skipped && len(c.findings) != 1 {
		return errors.New("a skipped tick states channels")
	}
	return nil
}

// addRemoved says once that a channel has left the fleet.
func (c *composition) addRemoved() {
	if c.outcome != Verified {
		return
	}
	present := make(map[string]bool)
	for _, f := range c.findings {
		if name, ok := f.ChannelName(); ok {
			present[name] = true
		}
	}
	for _, f := range c.base.LastVerified {
		if name, ok := f.ChannelName(); ok && !isRemoved(f) && !present[name] {
			idle := &ChannelIdle{Channel: name, Reason: Removed}
			idle.Type = TypeChannelIdle
			c.findings = append(c.findings, idle)
		}
	}
}

func compareFindings(a, b Finding) int {
	nameA, channelA := a.ChannelName()
	nameB, channelB := b.ChannelName()
	if channelA != channelB {
		if channelA {
			return 1
		}
		return -1
	}
	return cmp.Compare(nameA, nameB)
}

func checkFloor(before, after *Floor) error {
	if before != nil && (after == nil || after.SignedAt.Compare(before.SignedAt) < 0) {
		return errors.New("the floor would go back")
	}
	return nil
}

// write makes the messages from firstSeq on.
func (c *composition) write(firstSeq uint64) ([]Message, error) {
	var messages []Message
	var bodies [][]byte
	if c.stated != Unchanged {
		for i, f := range c.findings {
			c.fillFinding(f, i)
			m, err := newMessage(f)
			if err != nil {
				return nil, err
			}
			messages = append(messages, m)
			bodies = append(bodies, m.Body)
		}
	}
	completed := c.completed()
	if err := c.place(completed, bodies, firstSeq); err != nil {
		return nil, err
	}
	last, err := newMessage(completed)
	if err != nil {
		return nil, err
	}
	if err := c.terms.Writer.sign(last, completed.Lineage); err != nil {
		return nil, err
	}
	return append(messages, last), nil
}

// place fills in what depends on sequences: the findings' bodies are stored
// from firstSeq on, and the TickCompleted behind them.
func (c *composition) place(t *TickCompleted, bodies [][]byte, firstSeq uint64) error {
	if len(bodies) > 0 {
		digest, err := StatementDigest(bodies)
		if err != nil {
			return err
		}
		t.Statement = Statement{
			Tick: c.draft.Tick, Number: t.Number,
			FirstSeq: firstSeq, LastSeq: firstSeq + uint64(len(bodies)) - 1, Digest: digest,
		}
	}
	t.Index, t.Seq = len(bodies), firstSeq+uint64(len(bodies))
	if err := c.placeSet(t); err != nil {
		return err
	}
	t.Message = c.terms.Describe(t)
	return nil
}

func (c *composition) fillFinding(f Finding, index int) {
	c.fillEnvelope(f, index)
	f.Head().Severity = f.severity()
	f.Head().Message = c.terms.Describe(f)
}

func (c *composition) fillEnvelope(e Event, index int) {
	head := e.Head()
	head.Fleet, head.Tick, head.Time = c.base.Fleet, c.draft.Tick, c.draft.Time
	head.Number, head.Index = c.base.Head.Number+1, index
}

// completed fills everything that does not depend on sequences.
func (c *composition) completed() *TickCompleted {
	t := &TickCompleted{
		Lineage: c.base.Head.Lineage, Outcome: c.outcome, Stated: c.stated,
		Floor: c.draft.Floor, TookMs: c.draft.TookMs, IntervalMs: uint64(c.draft.Interval.Milliseconds()),
		Missed: c.draft.Missed, Previous: c.base.Head.Digest,
	}
	if c.terms.Writer != nil {
		t.Writer = c.terms.Writer.Public()
	}
	t.Type, t.New = TypeTickCompleted, c.stated == Changed
	c.fillEnvelope(t, 0)
	stated := c.findings
	if c.stated == Unchanged {
		stated = c.base.Last
		t.Statement = c.base.Head.Completed.Statement
		t.Counts = c.base.Head.Completed.Counts
	} else {
		t.Counts = count(stated)
	}
	t.Severity = Error
	if c.outcome == Verified {
		t.Severity = Info
		if slices.ContainsFunc(stated, func(f Finding) bool { return f.severity() != Info }) {
			t.Severity = Warning
		}
	}
	return t
}

func count(findings []Finding) (n Counts) {
	for _, f := range findings {
		switch f := f.(type) {
		case *RolloutVerified:
			n.Verified++
		case *RolloutRejected:
			n.Rejected++
		case *CrossCheckFailed:
			n.CrossCheckFailed++
		case *ChannelIdle:
			if f.Reason != Removed {
				n.Idle++
			}
		}
	}
	return n
}

// placeSet refers to the statement that the set comes from: this tick's when
// it is verified, else the one of the last tick's set.
func (c *composition) placeSet(t *TickCompleted) error {
	if c.draft.Set == nil {
		if c.outcome == Verified {
			return errors.New("a verified tick has no set")
		}
		return nil
	}
	set := *c.draft.Set
	if c.outcome == Verified {
		set.Tick, set.FirstSeq, set.LastSeq = t.Statement.Tick, t.Statement.FirstSeq, t.Statement.LastSeq
	} else {
		before := c.base.Head.Completed
		if before == nil || before.Set == nil {
			return errors.New("a skipped tick has a set where the last one had none")
		}
		set.Tick, set.FirstSeq, set.LastSeq = before.Set.Tick, before.Set.FirstSeq, before.Set.LastSeq
	}
	t.Set = &set
	return nil
}
