package check_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"fleetlog/consumers/check"
	"fleetlog/events"
	"fleetlog/manifest"
)

var cutOff = []tampering{
	{"the tail is cut off behind a tick", func(r, _ *recorded, _ *check.Options) (uint64, uint64) {
		r.cut(r.seq(tickRestated))
		return r.at(tickRestated)
	}},
	{"the tail is cut off in the middle of a tick", func(r, _ *recorded, _ *check.Options) (uint64, uint64) {
		r.cut(r.seq(tickLast) - 1)
		return r.at(tickLast)
	}},
	{"all but the opening is cut off", func(r, _ *recorded, _ *check.Options) (uint64, uint64) {
		r.cut(1)
		return 1, 1
	}},
	{"the head is cut off", func(r, _ *recorded, _ *check.Options) (uint64, uint64) {
		for seq := uint64(1); seq <= r.seq(tickFirst); seq++ {
			r.lost[eventsStream] = append(r.lost[eventsStream], seq)
		}
		return 1, 1
	}},
	{"the head is cut off behind the opening", func(r, _ *recorded, _ *check.Options) (uint64, uint64) {
		for seq := uint64(2); seq <= r.seq(tickFirst); seq++ {
			r.lost[eventsStream] = append(r.lost[eventsStream], seq)
		}
		return 2, 2
	}},
	{"another log of the fleet is in its place", func(r, other *recorded, _ *check.Options) (uint64, uint64) {
		r.events, r.artifacts = other.events, other.artifacts
		return 1, 1
	}},
	{"the log begins anew", func(r, other *recorded, _ *check.Options) (uint64, uint64) {
		r.events, r.artifacts = other.events[:1], nil
		return 1, 1
	}},
	{"the opening of another log is put in front", func(r, other *recorded, _ *check.Options) (uint64, uint64) {
		r.events[0] = other.events[0]
		return 1, r.seq(tickFirst)
	}},
	{"a tick of another log is spliced in", func(r, other *recorded, _ *check.Options) (uint64, uint64) {
		first, last := r.at(tickCarried)
		copy(r.events[first-1:last], other.events[first-1:last])
		return first, r.seq(tickRejected)
	}},
	{"the tail of another log is spliced on", func(r, other *recorded, _ *check.Options) (uint64, uint64) {
		copy(r.events[r.seq(tickResigned):], other.events[r.seq(tickResigned):])
		return r.seq(tickResigned), uint64(len(r.events))
	}},
	{"a forged tick is put behind the last one", func(r, _ *recorded, _ *check.Options) (uint64, uint64) {
		m := r.copied().events[r.seq(tickUnchanged)-1]
		seq := uint64(len(r.events)) + 1
		m.Body = bytes.Replace(m.Body, fmt.Appendf(nil, `"seq":%d`, r.seq(tickUnchanged)), fmt.Appendf(nil, `"seq":%d`, seq), 1)
		r.events = append(r.events, m)
		return seq, seq
	}},
}

var replaced = []tampering{
	{"an artifact is removed", func(r, _ *recorded, _ *check.Options) (uint64, uint64) {
		_, f := r.finding(tickRemoved, 0)
		r.lost[artifactsStream] = []uint64{events.ArtifactOf(f).Parts[0]}
		return events.ArtifactOf(f).Parts[0], events.ArtifactOf(f).Parts[0] // of that stream
	}},
	{"a bit of an artifact is changed", func(r, _ *recorded, _ *check.Options) (uint64, uint64) {
		seq, f := r.finding(tickRemoved, 0)
		part := &r.artifacts[events.ArtifactOf(f).Parts[0]-1]
		part.Body = slices.Clone(part.Body)
		part.Body[len(part.Body)/2] ^= 1
		return seq, seq
	}},
	{"an artifact is replaced by an older one", func(r, _ *recorded, _ *check.Options) (uint64, uint64) {
		seq, f := r.finding(tickRemoved, 0)
		_, before := r.finding(tickFirst, 0)
		r.artifacts[events.ArtifactOf(f).Parts[0]-1] = r.artifacts[events.ArtifactOf(before).Parts[0]-1]
		return seq, seq
	}},
	{"two artifacts are swapped", func(r, _ *recorded, _ *check.Options) (uint64, uint64) {
		seq, f := r.finding(tickFirst, 1)
		_, g := r.finding(tickFirst, 2)
		a, b := events.ArtifactOf(f).Parts[0]-1, events.ArtifactOf(g).Parts[0]-1
		r.artifacts[a], r.artifacts[b] = r.artifacts[b], r.artifacts[a]
		return seq, seq
	}},
	{"an artifact is cut short", func(r, _ *recorded, _ *check.Options) (uint64, uint64) {
		seq, f := r.finding(tickRemoved, 1)
		part := &r.artifacts[events.ArtifactOf(f).Parts[0]-1]
		part.Body = part.Body[:len(part.Body)-1]
		return seq, seq
	}},
	{"artifacts are signed by a key that did not hold", func(r, _ *recorded, o *check.Options) (uint64, uint64) {
		trust, err := manifest.ParseTrust(another.Trust())
		must(r.s.t, err)
		o.Trust = check.Trust{{Trust: o.Trust[0].Trust}, {From: r.s.ticks[tickRemoved].Head.Time.Time(), Trust: trust}}
		seq, _ := r.finding(tickRemoved, 0)
		return seq, seq
	}},
	{"artifacts were too old to be accepted", func(r, _ *recorded, o *check.Options) (uint64, uint64) {
		o.Policy.Window = 0
		return r.at(tickCarried)
	}},
}

// What the holder of the writer's key can do: everything that follows is signed
// anew, so that the log is whole by itself.
var rewritten = []tampering{
	{"history is rewritten behind a head that is known", func(r, _ *recorded, o *check.Options) (uint64, uint64) {
		r.forge(r.seq(tickRejected), `"tookMs":0`, `"tookMs":1`)
		return r.at(tickLast)
	}},
	{"history is rewritten up to a head that is known", func(r, _ *recorded, _ *check.Options) (uint64, uint64) {
		r.forge(r.seq(tickUnchanged), `"tookMs":0`, `"tookMs":1`)
		return r.at(tickCarried)
	}},
	{"a refused fleet is said to have been verified", func(r, _ *recorded, _ *check.Options) (uint64, uint64) {
		r.forge(r.seq(tickWithout), `"outcome":"skipped"`, `"outcome":"verified"`)
		return r.at(tickWithout)
	}},
	{"a set is said to be another", func(r, _ *recorded, _ *check.Options) (uint64, uint64) {
		digest := r.s.ticks[tickRemoved].Completed.Set.Digest
		r.forge(r.seq(tickRemoved), digest.String(), flipped(digest))
		return r.at(tickRemoved)
	}},
	{"the floor is lowered", func(r, _ *recorded, _ *check.Options) (uint64, uint64) {
		r.forge(r.seq(tickRemoved), floorOf(r.s.ticks[tickRemoved]), floorOf(r.s.ticks[tickFirst]))
		return r.at(tickRemoved)
	}},
	{"a count is changed", func(r, _ *recorded, _ *check.Options) (uint64, uint64) {
		r.forge(r.seq(tickRejected), `"rejected":1`, `"rejected":0`)
		return r.at(tickRejected)
	}},
	{"the signature of an artifact is forged", func(r, _ *recorded, _ *check.Options) (uint64, uint64) {
		seq, f := r.finding(tickRemoved, 0)
		body := r.body(seq)
		from := strings.Index(body, `"signature":"`) + len(`"signature":"`)
		old := body[from : from+86]
		r.forge(seq, old, strings.Repeat("A", 84)+old[84:])
		_ = f
		return seq, seq
	}},
	{"an artifact is said to be signed by another key", func(r, _ *recorded, _ *check.Options) (uint64, uint64) {
		seq, f := r.finding(tickRemoved, 0)
		r.forge(seq, events.ArtifactOf(f).Key, "iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1x=")
		return seq, seq
	}},
	{"a fleet is said to have other hosts", func(r, _ *recorded, _ *check.Options) (uint64, uint64) {
		seq, _ := r.finding(tickRemoved, 0)
		r.forge(seq, `"hosts":6`, `"hosts":60`)
		return seq, seq
	}},
	{"a tick is said to be of another time", func(r, _ *recorded, _ *check.Options) (uint64, uint64) {
		r.forge(r.seq(tickUnchanged), quoted("time", r.s.ticks[tickUnchanged].Head.Time), quoted("time", events.TimeOf(epoch.Add(-time.Hour))))
		return r.at(tickUnchanged)
	}},
	{"a number is left out", func(r, _ *recorded, _ *check.Options) (uint64, uint64) {
		r.forge(r.seq(tickUnchanged), `"number":2`, `"number":3`)
		return r.at(tickUnchanged)
	}},
}
