package audit

import (
	"math/bits"
	"slices"

	"fleetlog/consumers/check"
	"fleetlog/consumers/view"
	"fleetlog/events"
	"fleetlog/manifest"
)

// word says how the fleet or a channel stood; several of them, that it stood in
// all these ways, one after the other.
type word uint16

const (
	verified word = 1 << iota
	carried
	refused
	notServed
	mismatch
	idle
	removed
	skipped
	outage
	unread
	words = iota
)

var wordTexts = [words]struct{ name, class, means string }{
	{"verified", "verified", "what came was verified, and is in the set"},
	{"carried", "carried", "not fetched; the earlier manifest passed every check again, and stays in the set"},
	{"refused", "refused", "what came was wrong, or trust no longer covers it; not in the set"},
	{"not served", "notserved", "nothing came; not in the set"},
	{"mismatch", "mismatch", "well signed, but not of the fleet that was served; not in the set"},
	{"idle", "idle", "no host to roll out to"},
	{"removed", "removed", "the fleet does not have it any more"},
	{"skipped", "skipped", "the fleet was refused or not fetched; the set stayed as it was, less what trust took"},
	{"outage", "outage", "ticks were due, and none was recorded"},
	{"not readable", "unread", "the log is damaged here: how it stood is not known"},
}

// index is the place of a single word.
func (w word) index() int { return bits.TrailingZeros16(uint16(w)) }

func (w word) several() bool { return bits.OnesCount16(uint16(w)) > 1 }

// String is the word, or that there are several.
func (w word) String() string {
	if w.several() {
		return "in turn"
	}
	return wordTexts[w.index()].name
}

func (w word) class() string {
	if w.several() {
		return "turns"
	}
	return wordTexts[w.index()].class
}

// single are the words of which w is made.
func (w word) single() (all []word) {
	for i := range words {
		if one := word(1) << i; w&one != 0 {
			all = append(all, one)
		}
	}
	return all
}

// wordOf is the word for what was found about a channel, or about the fleet.
func wordOf(c view.Condition, fleet bool) word {
	switch {
	case fleet && !c.OK():
		return skipped
	case c.Carried:
		return carried
	case c.OK():
		return verified
	case c.State == view.Empty:
		return idle
	case c.State == view.NotAdvancing:
		return mismatch
	case c.State == view.Missing && (c.Event == "ChannelIdle" || c.Reason == view.Unlisted):
		return removed
	case c.State == view.Missing:
		return notServed
	}
	return refused
}

// standing is how the fleet or a channel stands.
type standing struct {
	word    word
	reason  events.Reason
	version string // for people; empty: none
	hash    manifest.Digest
}

// span is a time in which it stood so; spans, how many such times were joined.
type span struct {
	standing
	from, to  events.Time
	tick, seq uint64 // at which it began
	spans     int
}

// row is the past of the fleet or of one channel in at most maxSpans parts: when
// there are more, those that are the shortest together are joined.
type row struct {
	name   string // of the channel
	spans  []span // the last one is open
	now    standing
	lasted [words]events.Time // how long each word was so, but for the last span
}

// say takes how the row stands from a tick on.
func (r *row) say(now standing, at view.Resolved) {
	if now == r.now && !r.interrupted() {
		return
	}
	r.now = now
	r.open(span{standing: now, from: at.Time, tick: at.Tick, seq: at.Seq, spans: 1})
}

func (r *row) interrupted() bool {
	return len(r.spans) == 0 || r.spans[len(r.spans)-1].word == outage
}

// interrupt takes an outage, behind which it is not said yet how the row stands.
func (r *row) interrupt(o *check.Outage) {
	r.open(span{standing: standing{word: outage, reason: o.Reason}, from: o.From, tick: o.Tick, seq: o.Seq, spans: 1})
}

// resume goes on behind an outage as before.
func (r *row) resume(at view.Resolved) {
	if r.interrupted() {
		r.say(r.now, at)
	}
}

func (r *row) open(s span) {
	if n := len(r.spans); n > 0 {
		last := &r.spans[n-1]
		last.to = s.from
		r.lasted[last.word.index()] += last.to - last.from
	}
	r.spans = append(join(r.spans, maxSpans-1), s)
}

// until are the spans up to the end, at most so many; the last one is never
// joined.
func (r *row) until(end events.Time, limit int) []span {
	n := len(r.spans) - 1
	if n < 0 {
		return nil
	}
	last := r.spans[n]
	last.to = end
	return append(join(slices.Clone(r.spans[:n]), limit-1), last)
}

// shares say how long each word was so up to the end.
func (r *row) shares(end events.Time) [words]events.Time {
	all := r.lasted
	if n := len(r.spans); n > 0 {
		all[r.spans[n-1].word.index()] += end - r.spans[n-1].from
	}
	return all
}

// join joins neighbours, those that are the shortest together first, until no
// more than limit are left.
func join(all []span, limit int) []span {
	for len(all) > max(limit, 1) {
		best := 0
		for i := range all[1:] {
			if all[i+1].to-all[i].from < all[best+1].to-all[best].from {
				best = i
			}
		}
		all[best] = joined(all[best], all[best+1])
		all = slices.Delete(all, best+1, best+2)
	}
	return all
}

func joined(a, b span) span {
	s := span{from: a.from, to: b.to, tick: a.tick, seq: a.seq, spans: a.spans + b.spans}
	s.word = a.word | b.word
	if a.reason == b.reason {
		s.reason = a.reason
	}
	if a.hash == b.hash {
		s.version, s.hash = a.version, a.hash
	}
	return s
}
