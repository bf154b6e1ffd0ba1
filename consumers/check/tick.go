package check

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"fleetlog/events"
	"fleetlog/manifest"
)

// tick checks what a tick says, behind the one before it. Without findings it is
// unchanged, or they could not be read.
func (c *checking) tick(ctx context.Context, before events.Head, tick *events.Tick) error {
	c.taken += uint64(len(tick.Findings)) + 1
	c.count(before, tick)
	c.meet(tick.Head)
	if first, ok := c.ids.add(tick.Head.Tick, tick.Head.Seq); ok {
		c.report.at(tick.Head, CodeDuplicate, fmt.Sprintf("tick %s is stored at sequence %d too", tick.Head.Tick, first))
	}
	if err := c.state(ctx, tick); err != nil {
		return err
	}
	given := before.Completed == nil && before.Opened == nil // the part begins here
	if given || before.Number+1 != tick.Head.Number {        // what it should have followed is not known
		before = events.Head{}
	}
	c.writer(tick.Completed)
	c.set(before, tick)
	c.floor(before, tick)
	c.directory.compare(c.report, tick.Head)
	return nil
}

// count takes the tick into the report.
func (c *checking) count(before events.Head, tick *events.Tick) {
	r := c.report
	if r.Ticks == 0 {
		r.First = tick.Head
	}
	r.Ticks++
	r.Tick = tick.Head.Number
	if c.EverySignature {
		r.Signatures++
	}
	if tick.Completed.Outcome == events.Skipped {
		r.Skipped++
	}
	missed := r.outage(before, tick.Head)
	if c.observe != nil {
		c.observe(tick, missed)
	}
	c.refused, c.moved = nil, false
}

// writer checks that the tick's key counted at its time.
func (c *checking) writer(t *events.TickCompleted) {
	if len(c.Writers) == 0 {
		return
	}
	for _, w := range c.Writers {
		if w.at(t.Writer, t.Time.Time()) {
			return
		}
	}
	c.report.add(Finding{
		Code: CodeWriter, Seq: t.Seq, Tick: t.Number, Expected: "a writer that counts at " + t.Time.String(), Found: t.Writer.String(),
		Detail: fmt.Sprintf("writer %s does not count at %s", t.Writer, t.Time),
	})
}

// state reads what the tick states.
func (c *checking) state(ctx context.Context, tick *events.Tick) (err error) {
	if len(tick.Findings) == 0 {
		return nil
	}
	c.checkForm(tick)
	if tick.Completed.Outcome == events.Verified {
		if c.held, err = c.readStatement(ctx, tick); err == nil {
			err = c.judge(ctx, tick)
		}
	}
	return err
}

// checkForm checks what findings a statement has, and in what order.
func (c *checking) checkForm(tick *events.Tick) {
	t, first := tick.Completed, "FleetFetched"
	if t.Outcome == events.Skipped {
		first = "FleetRejected"
	}
	if leaf := events.Leaf(tick.Findings[0]); leaf != first {
		c.report.at(tick.Head, CodeStatement, fmt.Sprintf("a %s tick begins with %s", t.Outcome, leaf))
	}
	var counts tally
	last := ""
	for i, f := range tick.Findings[1:] {
		name, about := f.ChannelName()
		if !about || i > 0 && cmp.Compare(name, last) <= 0 {
			c.report.at(tick.Head, CodeStatement, fmt.Sprintf("finding %d, %s, is out of order", i+1, events.Leaf(f)))
		}
		last = name
		counts.add(f)
	}
	said := tally{t.Counts.Verified, t.Counts.Rejected, t.Counts.CrossCheckFailed, t.Counts.Idle}
	if said != counts {
		c.report.at(tick.Head, CodeStatement, fmt.Sprintf("counts are %+v, its findings are %+v", said, counts))
	}
}

// tally counts channels as a tick does.
type tally struct{ verified, rejected, crossCheckFailed, idle int }

func (t *tally) add(f events.Finding) {
	switch f := f.(type) {
	case *events.RolloutVerified:
		t.verified++
	case *events.RolloutRejected:
		t.rejected++
	case *events.CrossCheckFailed:
		t.crossCheckFailed++
	case *events.ChannelIdle:
		if f.Reason != events.Removed {
			t.idle++
		}
	}
}

// set checks which statement the tick's set is of, and its digest.
func (c *checking) set(before events.Head, tick *events.Tick) {
	t := tick.Completed
	ref, last := t.Set, setOf(before)
	switch {
	case ref == nil && t.Outcome == events.Verified:
		c.report.at(tick.Head, CodeSet, "a verified tick has no set")
	case ref == nil:
	case t.Outcome == events.Verified && (ref.Tick != t.Statement.Tick || ref.FirstSeq != t.Statement.FirstSeq || ref.LastSeq != t.Statement.LastSeq):
		c.report.at(tick.Head, CodeSet, "the set of a verified tick is not of its statement")
	case t.Outcome == events.Skipped && before.Lineage != "" && !samePlace(ref, last):
		c.report.at(tick.Head, CodeSet, "the set of a skipped tick is not of the statement that the last one was of")
	case sameSet(ref, last): // it was checked then
	case c.held == nil || ref.Tick != c.held.tick: // it could not be read
	default:
		if why := c.held.differs(ref); why != "" {
			c.report.at(tick.Head, CodeSet, why)
		}
	}
}

func setOf(h events.Head) *events.SetReference {
	if h.Completed == nil {
		return nil
	}
	return h.Completed.Set
}

func samePlace(a, b *events.SetReference) bool {
	return a != nil && b != nil && a.Tick == b.Tick && a.FirstSeq == b.FirstSeq && a.LastSeq == b.LastSeq
}

func sameSet(a, b *events.SetReference) bool {
	return samePlace(a, b) && a.Digest == b.Digest && a.FleetHash == b.FleetHash && a.SignedAt == b.SignedAt &&
		len(a.Without) == len(b.Without)
}

// floor checks that the floor is the newest fleet accepted so far. An empty
// before stands for one that is not known.
func (c *checking) floor(before events.Head, tick *events.Tick) {
	t, was, is := tick.Completed, before.Floor(), tick.Completed.Floor
	var broken string
	switch {
	case was != nil && (is == nil || is.SignedAt.Compare(was.SignedAt) < 0):
		broken = fmt.Sprintf("the floor went from %s to %s", floorText(was), floorText(is))
	case is == nil && t.Outcome == events.Verified:
		broken = "a verified tick has no floor"
	case is == nil || sameFloor(was, is):
	case t.Outcome == events.Skipped && before.Lineage != "":
		broken = fmt.Sprintf("the floor went from %s to %s in a skipped tick", floorText(was), floorText(is))
	case was != nil && is.SignedAt == was.SignedAt:
		broken = fmt.Sprintf("the floor went from %s to %s, which was signed at the same time", floorText(was), floorText(is))
	case is.SignedAt.Compare(manifest.InstantOf(tick.Head.Time.Time().Add(manifest.Slack*time.Second))) > 0:
		broken = fmt.Sprintf("the floor is %s, which is in the future of the tick's time %s", floorText(is), tick.Head.Time)
	}
	if broken == "" && t.Outcome == events.Verified && c.held != nil && c.held.tick == t.Statement.Tick && !sameFloor(is, &c.held.floor) {
		broken = fmt.Sprintf("the floor is %s, the fleet is %s", floorText(is), floorText(&c.held.floor))
	}
	if broken != "" {
		c.report.at(tick.Head, CodeFloor, broken)
	}
}

func sameFloor(a, b *events.Floor) bool {
	return a == nil && b == nil || a != nil && b != nil && a.SignedAt == b.SignedAt && a.FleetHash == b.FleetHash
}

func floorText(f *events.Floor) string {
	if f == nil {
		return "none"
	}
	return fmt.Sprintf("%s signed at %s", f.FleetHash, f.SignedAt)
}

// keptIDs is how many ids are remembered.
const keptIDs = 1 << 16

// recentIDs finds an id that the last [keptIDs] ticks have already: what stores
// a tick twice does so within moments.
type recentIDs struct {
	seqs  map[string]uint64
	order []string // a ring, once it is full
	next  int
}

// add tells where the id is stored already, if it is.
func (r *recentIDs) add(id string, seq uint64) (first uint64, repeated bool) {
	if r.seqs == nil {
		r.seqs = make(map[string]uint64)
	}
	if first, repeated = r.seqs[id]; repeated {
		return first, true
	}
	if len(r.order) < keptIDs {
		r.order = append(r.order, id)
	} else {
		delete(r.seqs, r.order[r.next])
		r.order[r.next] = id
		r.next = (r.next + 1) % keptIDs
	}
	r.seqs[id] = seq
	return 0, false
}
