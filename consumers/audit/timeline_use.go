package audit

import (
	"cmp"
	"slices"

	"fleetlog/consumers/view"
	"fleetlog/events"
)

// period is when something was so: from the first tick to the last, how often it
// began, and at how many ticks it was so.
type period struct {
	first, last  view.Resolved
	times, ticks uint64
	detail       string // said last
}

// said is one thing that is so, and what is said of it.
type said[K comparable] struct {
	key    K
	detail string
}

// tally keeps periods, of the first limit things.
type tally[K comparable] struct {
	limit   int
	left    uint64 // beginnings of things that are not kept
	kept    map[K]*period
	now     []said[K]
	pending uint64 // ticks at which now was so, that are not counted yet
	last    view.Resolved
}

// set takes what is so from a tick on.
func (y *tally[K]) set(now []said[K], at view.Resolved) {
	y.settle()
	was := make(map[K]bool, len(y.now))
	for _, s := range y.now {
		was[s.key] = true
	}
	for _, s := range now {
		p := y.kept[s.key]
		if p == nil && len(y.kept) < y.limit {
			if y.kept == nil {
				y.kept = make(map[K]*period)
			}
			p = &period{first: at}
			y.kept[s.key] = p
		}
		switch {
		case p == nil && !was[s.key]:
			y.left++
		case p != nil && !was[s.key]:
			p.times++
			fallthrough
		case p != nil:
			p.detail = s.detail
		}
	}
	y.now = now
}

// tick counts a tick at which what was set is so.
func (y *tally[K]) tick(at view.Resolved) { y.pending, y.last = y.pending+1, at }

// settle adds the ticks that are not counted yet.
func (y *tally[K]) settle() {
	if y.pending == 0 {
		return
	}
	for _, s := range y.now {
		if p := y.kept[s.key]; p != nil {
			p.ticks += y.pending
			p.last = y.last
		}
	}
	y.pending = 0
}

// sorted are the things, by when they began, and then in the given order.
func (y *tally[K]) sorted(order func(a, b K) int) []K {
	y.settle()
	keys := make([]K, 0, len(y.kept))
	for key := range y.kept {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b K) int {
		return cmp.Or(cmp.Compare(y.kept[a].first.Seq, y.kept[b].first.Seq), order(a, b))
	})
	return keys
}

// key is one that signed something of that kind.
type key struct{ kind, algorithm, public string }

const (
	kindTicks    = "ticks"
	kindFleet    = "fleet"
	kindRollouts = "rollouts"
)

func compareKeys(a, b key) int {
	return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.algorithm, b.algorithm), cmp.Compare(a.public, b.public))
}

// keysOf are those that signed what a statement verified.
func keysOf(findings []events.Finding) (all []said[key]) {
	for _, f := range findings {
		a := events.ArtifactOf(f)
		if a == nil {
			continue
		}
		k := key{kindFleet, a.Algorithm, a.Key}
		if _, about := f.ChannelName(); about {
			k.kind = kindRollouts
		}
		if s := (said[key]{key: k}); !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}

// refusal is one way in which the fleet or a channel was not verified anew.
type refusal struct {
	fleet   bool
	channel string
	word    word
	event   string
	reason  events.Reason
}

func compareRefusals(a, b refusal) int {
	if a.fleet != b.fleet {
		if a.fleet {
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(a.channel, b.channel), cmp.Compare(a.event, b.event), cmp.Compare(a.reason, b.reason))
}

// changeList keeps the first changes and the last ones.
type changeList struct {
	total uint64
	first []view.Change
	last  []view.Change // a ring, once it is full
	next  int
}

func (l *changeList) add(c view.Change) {
	l.total++
	switch {
	case len(l.first) < keptChanges:
		l.first = append(l.first, c)
	case len(l.last) < keptChanges:
		l.last = append(l.last, c)
	default:
		l.last[l.next] = c
		l.next = (l.next + 1) % keptChanges
	}
}

// newest are the last ones in order, behind the first.
func (l *changeList) newest() []view.Change {
	return append(append([]view.Change(nil), l.last[l.next:]...), l.last[:l.next]...)
}
