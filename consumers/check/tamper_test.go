package check_test

import (
	"crypto/ed25519"
	"slices"
	"testing"

	"fleetlog/consumers/check"
	"fleetlog/events"
)

// tampering is done to a log, and says between which sequences the first thing
// that is found must be.
type tampering struct {
	name string
	do   func(r, other *recorded, o *check.Options) (first, last uint64)
}

// at is where all of a tick is.
func (r *recorded) at(tick int) (first, last uint64) {
	end := r.s.ticks[tick].Head
	return end.Seq - uint64(end.Completed.Index), end.Seq
}

var tamperings = slices.Concat(dropped, moved, signed, cutOff, replaced, rewritten)

var dropped = []tampering{
	{"a finding is lost", func(r, _ *recorded, _ *check.Options) (uint64, uint64) {
		r.lost[eventsStream] = []uint64{r.first(tickCarried) + 1}
		return r.at(tickCarried)
	}},
	{"the first finding of a tick is lost", func(r, _ *recorded, _ *check.Options) (uint64, uint64) {
		r.lost[eventsStream] = []uint64{r.first(tickCarried)}
		return r.at(tickCarried)
	}},
	{"the end of a tick is lost", func(r, _ *recorded, _ *check.Options) (uint64, uint64) {
		r.lost[eventsStream] = []uint64{r.seq(tickCarried)}
		return r.at(tickCarried)
	}},
	{"a tick is lost", func(r, _ *recorded, _ *check.Options) (uint64, uint64) {
		r.loseTick(tickRejected)
		return r.at(tickRejected)
	}},
	{"an unchanged tick is lost", func(r, _ *recorded, _ *check.Options) (uint64, uint64) {
		r.lost[eventsStream] = []uint64{r.seq(tickUnchanged)}
		return r.at(tickUnchanged)
	}},
	{"the opening is lost", func(r, _ *recorded, _ *check.Options) (uint64, uint64) {
		r.lost[eventsStream] = []uint64{1}
		return 1, 1
	}},
	{"a finding is taken out, and what follows moves up", func(r, _ *recorded, _ *check.Options) (uint64, uint64) {
		r.remove(r.first(tickCarried)+1, r.first(tickCarried)+1)
		return r.at(tickCarried)
	}},
	{"a tick is taken out, and what follows moves up", func(r, _ *recorded, _ *check.Options) (uint64, uint64) {
		first, last := r.at(tickRejected)
		r.remove(first, last)
		return first, uint64(len(r.events))
	}},
	{"an unchanged tick is taken out, and what follows moves up", func(r, _ *recorded, _ *check.Options) (uint64, uint64) {
		r.remove(r.seq(tickUnchanged), r.seq(tickUnchanged))
		return r.seq(tickUnchanged), uint64(len(r.events))
	}},
	{"the opening is taken out", func(r, _ *recorded, _ *check.Options) (uint64, uint64) {
		r.remove(1, 1)
		return 1, 1
	}},
	{"everything is taken out", func(r, _ *recorded, _ *check.Options) (uint64, uint64) {
		r.cut(0)
		return 1, 1
	}},
}

var moved = []tampering{
	{"two findings are swapped", func(r, _ *recorded, _ *check.Options) (uint64, uint64) {
		r.swap(r.first(tickCarried)+1, r.first(tickCarried)+2)
		return r.at(tickCarried)
	}},
	{"a finding and the end of its tick are swapped", func(r, _ *recorded, _ *check.Options) (uint64, uint64) {
		r.swap(r.seq(tickCarried)-1, r.seq(tickCarried))
		first, last := r.at(tickCarried)
		return first, last + uint64(r.s.ticks[tickRejected].Completed.Index) + 1
	}},
	{"the ends of two ticks are swapped", func(r, _ *recorded, _ *check.Options) (uint64, uint64) {
		r.swap(r.seq(tickCarried), r.seq(tickRejected))
		first, _ := r.at(tickCarried)
		return first, r.seq(tickRejected) + 5
	}},
	{"two findings of two ticks are swapped", func(r, _ *recorded, _ *check.Options) (uint64, uint64) {
		r.swap(r.first(tickCarried), r.first(tickRejected))
		return r.at(tickCarried)
	}},
	{"a finding is there twice", func(r, _ *recorded, _ *check.Options) (uint64, uint64) {
		r.insert(r.first(tickCarried), r.events[r.first(tickCarried)-1])
		first, _ := r.at(tickCarried)
		return first, uint64(len(r.events))
	}},
	{"a tick is there twice", func(r, _ *recorded, _ *check.Options) (uint64, uint64) {
		r.insert(r.seq(tickUnchanged), r.events[r.seq(tickUnchanged)-1])
		return r.seq(tickUnchanged), uint64(len(r.events))
	}},
	{"junk is slipped in, and what follows moves down", func(r, _ *recorded, _ *check.Options) (uint64, uint64) {
		r.insert(r.seq(tickUnchanged), events.Message{Subject: r.s.log.Fleet().EventSubject("TickCompleted"), Body: []byte("junk")})
		return r.seq(tickUnchanged), uint64(len(r.events))
	}},
	{"a finding is replaced by the same one of another tick", func(r, _ *recorded, _ *check.Options) (uint64, uint64) {
		r.events[r.first(tickRejected)-1] = r.events[r.first(tickCarried)-1]
		return r.at(tickRejected)
	}},
	{"a tick is replaced by an older one", func(r, _ *recorded, _ *check.Options) (uint64, uint64) {
		r.events[r.seq(tickRetained)-1] = r.events[r.seq(tickUnchanged)-1]
		return r.at(tickRetained)
	}},
	{"the last tick is replaced by an older one", func(r, _ *recorded, _ *check.Options) (uint64, uint64) {
		r.events[r.seq(tickLast)-1] = r.events[r.seq(tickUnchanged)-1]
		return r.at(tickLast)
	}},
}

var signed = []tampering{
	{"a signature is taken away", func(r, _ *recorded, o *check.Options) (uint64, uint64) {
		o.EverySignature = true
		r.header(r.seq(tickUnchanged), events.SignatureHeader, "")
		return r.at(tickUnchanged)
	}},
	{"the last signature is taken away", func(r, _ *recorded, _ *check.Options) (uint64, uint64) {
		r.header(r.seq(tickLast), events.SignatureHeader, "")
		return r.at(tickLast)
	}},
	{"a signature is another tick's", func(r, _ *recorded, o *check.Options) (uint64, uint64) {
		o.EverySignature = true
		r.header(r.seq(tickUnchanged), events.SignatureHeader, r.events[r.seq(tickFirst)-1].Header[events.SignatureHeader][0])
		return r.at(tickUnchanged)
	}},
	{"a signature is there twice", func(r, _ *recorded, o *check.Options) (uint64, uint64) {
		o.EverySignature = true
		h := r.events[r.seq(tickUnchanged)-1].Header
		h[events.SignatureHeader] = append(slices.Clone(h[events.SignatureHeader]), h[events.SignatureHeader]...)
		return r.at(tickUnchanged)
	}},
	{"a tick is signed by another key", func(r, _ *recorded, o *check.Options) (uint64, uint64) {
		o.EverySignature = true
		r.signedBy(strangerKey()).sign(&r.events[r.seq(tickCarried)-1])
		return r.at(tickCarried)
	}},
	{"the last tick is signed by another key", func(r, _ *recorded, _ *check.Options) (uint64, uint64) {
		r.signedBy(strangerKey()).sign(&r.events[r.seq(tickLast)-1])
		return r.at(tickLast)
	}},
	{"a tick is changed and signed by another key", func(r, _ *recorded, _ *check.Options) (uint64, uint64) {
		r.replace(r.seq(tickCarried), `"tookMs":0`, `"tookMs":1`)
		r.signedBy(strangerKey()).sign(&r.events[r.seq(tickCarried)-1])
		return r.at(tickCarried)
	}},
	{"a tick says that another key signed it, which did", func(r, _ *recorded, _ *check.Options) (uint64, uint64) {
		var stranger events.PublicKey
		copy(stranger[:], strangerKey().Public().(ed25519.PublicKey))
		writer := r.s.log.Writers()[0]
		r.replace(r.seq(tickCarried), quoted("writer", writer), quoted("writer", stranger))
		r.signedBy(strangerKey()).sign(&r.events[r.seq(tickCarried)-1])
		return r.at(tickCarried)
	}},
	{"the opening is signed by another key", func(r, _ *recorded, _ *check.Options) (uint64, uint64) {
		r.signedBy(strangerKey()).sign(&r.events[0])
		return 1, 1
	}},
	{"a key is used before its time", func(r, _ *recorded, o *check.Options) (uint64, uint64) {
		o.Writers = []check.Writer{{Key: r.s.log.Writers()[0], From: r.s.ticks[tickCarried].Head.Time.Time()}}
		return r.seq(tickFirst), r.seq(tickFirst)
	}},
	{"a key is used after its time", func(r, _ *recorded, o *check.Options) (uint64, uint64) {
		o.Writers = []check.Writer{{Key: r.s.log.Writers()[0], Until: r.s.ticks[tickCarried].Head.Time.Time()}}
		return r.seq(tickCarried), r.seq(tickCarried)
	}},
}

// TestTampering finds every tampering where it was done, and finds nothing in
// the log itself.
func TestTampering(t *testing.T) {
	s := newScene(t)
	s.live(someHosts)
	whole, other := s.record(), foreign(t)
	if got := whole.check(whole.options()); got.Found > 0 || got.Compared != 2 || got.Judged == 0 || got.Unjudged > 0 {
		t.Fatalf("the log itself: %+v", got)
	}
	if len(tamperings) < 40 {
		t.Errorf("%d kinds", len(tamperings))
	}
	for _, c := range tamperings {
		t.Run(stripped(c.name), func(t *testing.T) {
			r := whole.copied()
			o := r.options()
			first, last := c.do(r, other.copied(), &o)
			got := r.check(o)
			if got.Found == 0 {
				t.Fatal("nothing was found")
			}
			if seq := got.Findings[0].Seq; seq < first || seq > last {
				t.Errorf("found at %d, want between %d and %d: %+v", seq, first, last, got.Findings)
			}
		})
	}
}
