package audit

import (
	"maps"
	"slices"

	"fleetlog/consumers/check"
	"fleetlog/consumers/view"
	"fleetlog/events"
)

// How much a timeline keeps.
const (
	maxSpans     = 200 // of one row
	maxChannels  = 200
	maxRefusals  = 1000
	maxKeys      = 200
	keptChanges  = 500 // at the beginning, and as many at the end
	maxPageSpans = 4000
)

// Timeline is what a log tells of the fleet and its channels, tick by tick: how
// they stood, what changed, what was refused, and which keys signed. It is made
// while an audit reads, by [Timeline.Observe], and is what the writer stated: what
// of it is proven is in the [Report] of that audit. What it keeps is bounded,
// whatever the log's length.
type Timeline struct {
	first, last view.Resolved // ticks
	ticks       uint64

	statement *events.Tick // the newest one that could be read
	held      *events.Tick // the newest one of a verified fleet
	set       *events.SetReference
	writer    events.PublicKey
	lost      bool // what the last tick states could not be read
	snapshot  view.Snapshot

	fleet    row
	channels map[string]*row
	crowded  bool // there were more channels than are kept
	changes  changeList
	refusals tally[refusal]
	keys     tally[key]
	writers  tally[key]
}

// Observe begins the timeline anew, and returns what takes each tick: it is a
// [check.Observe].
func (t *Timeline) Observe() func(tick *events.Tick, missed *check.Outage) {
	*t = Timeline{
		channels: make(map[string]*row),
		refusals: tally[refusal]{limit: maxRefusals},
		keys:     tally[key]{limit: maxKeys}, writers: tally[key]{limit: maxKeys},
	}
	return t.observe
}

func (t *Timeline) observe(tick *events.Tick, missed *check.Outage) {
	at, said := view.ResolvedAt(tick.Head), tick.Completed
	if t.ticks == 0 {
		t.first = at
	}
	t.ticks++
	t.last = at
	if missed != nil && t.ticks > 1 {
		t.each(func(r *row) { r.interrupt(missed) })
	}
	switch {
	case len(tick.Findings) > 0:
		t.statement = tick
		if said.Outcome == events.Verified {
			t.held = tick
		}
		t.take(tick, at)
	case t.statement == nil || said.Statement.Tick != t.statement.Head.Tick:
		t.lose(at)
	case t.lost || !sameSet(t.set, said.Set):
		t.take(tick, at)
	}
	if missed != nil {
		t.each(func(r *row) { r.resume(at) })
	}
	t.count(said.Writer, at)
}

func sameSet(a, b *events.SetReference) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Digest == b.Digest && a.Tick == b.Tick && slices.Equal(a.Without, b.Without)
}

func (t *Timeline) count(writer events.PublicKey, at view.Resolved) {
	if t.ticks == 1 || writer != t.writer {
		t.writer = writer
		t.writers.set([]said[key]{{key: key{kindTicks, "ed25519", writer.String()}}}, at)
	}
	t.writers.tick(at)
	t.keys.tick(at)
	t.refusals.tick(at)
}

func (t *Timeline) each(do func(*row)) {
	do(&t.fleet)
	for _, r := range t.channels {
		do(r)
	}
}

// take takes what the statement says, and what the tick says of the set.
func (t *Timeline) take(tick *events.Tick, at view.Resolved) {
	ref := tick.Completed.Set
	set := t.snapshot.Set
	set.Resolved = at
	if ref == nil {
		set = view.Said(tick, nil)
	} else if t.held != nil && ref.Tick == t.held.Head.Tick {
		set = view.Said(tick, t.held.Findings)
	}
	t.set = ref
	next := t.snapshot.Next(set, t.statement.Findings)
	changes := view.Changes(t.snapshot, next)
	t.snapshot = next
	if len(changes) == 0 && !t.lost {
		return
	}
	t.lost = false
	for _, c := range changes {
		t.changes.add(c)
	}
	t.stand(at)
	var keys []said[key]
	if tick.Completed.Outcome == events.Verified {
		keys = keysOf(t.statement.Findings)
	}
	t.keys.set(keys, at)
}

// stand takes how the fleet and each channel stand now.
func (t *Timeline) stand(at view.Resolved) {
	var refusals []said[refusal]
	refuse := func(fleet bool, name string, c view.Condition) {
		switch w := wordOf(c, fleet); w {
		case carried, refused, notServed, mismatch, skipped:
			refusals = append(refusals, said[refusal]{refusal{fleet, name, w, c.Event, c.Reason}, c.Detail})
		}
	}
	t.fleet.say(standingOf(t.snapshot.Fleet, true, t.snapshot.Set.FleetVersion()), at)
	refuse(true, "", t.snapshot.Fleet)
	for _, name := range slices.Sorted(maps.Keys(t.snapshot.Channels)) {
		c := t.snapshot.Channels[name]
		if r := t.channel(name); r != nil {
			r.say(standingOf(c, false, t.snapshot.Set.RolloutVersion(name)), at)
		}
		refuse(false, name, c)
	}
	for name, r := range t.channels {
		if _, listed := t.snapshot.Channels[name]; !listed && r.now.word != removed {
			r.say(standing{word: removed}, at)
		}
	}
	t.refusals.set(refusals, at)
}

// channel is the row of a channel; nil when there are too many.
func (t *Timeline) channel(name string) *row {
	r := t.channels[name]
	if r == nil && len(t.channels) == maxChannels {
		t.crowded = true
	} else if r == nil {
		r = &row{name: name}
		t.channels[name] = r
	}
	return r
}

func standingOf(c view.Condition, fleet bool, v *view.Version) standing {
	s := standing{word: wordOf(c, fleet), reason: c.Reason}
	switch {
	case v == nil:
	case fleet:
		s.version, s.hash = v.Short(), v.Hash
	default:
		s.version, s.hash = v.RolloutID, v.Hash
	}
	return s
}

// lose takes a tick of which it is not known what it states.
func (t *Timeline) lose(at view.Resolved) {
	if t.lost {
		return
	}
	t.lost = true
	t.each(func(r *row) { r.say(standing{word: unread}, at) })
	t.refusals.set(nil, at)
	t.keys.set(nil, at)
}

// rows are the fleet and the channels by name.
func (t *Timeline) rows() []*row {
	all := []*row{&t.fleet}
	for _, name := range slices.Sorted(maps.Keys(t.channels)) {
		all = append(all, t.channels[name])
	}
	return all
}
