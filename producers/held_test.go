package producers_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"fleetlog/events"
	"fleetlog/producers"

	"github.com/google/go-cmp/cmp"
)

// hold stops whoever comes by, once, after it was armed.
type hold struct {
	armed atomic.Bool
	stop  func()
}

func (h *hold) pass() {
	if h.armed.CompareAndSwap(true, false) {
		h.stop()
	}
}

// heldSigner is a key that passes the hold before it signs, which is the last
// thing that is done to a tick before it is published.
type heldSigner struct {
	ed25519.PrivateKey
	hold *hold
}

func (s heldSigner) Sign(random io.Reader, message []byte, options crypto.SignerOpts) ([]byte, error) {
	s.hold.pass()
	return s.PrivateKey.Sign(random, message, options)
}

// places are where a tick may be held up.
func places(t *testing.T, b *bubble) map[string]func(*producers.Config, *hold) {
	return map[string]func(*producers.Config, *hold){
		"fetching": func(c *producers.Config, h *hold) {
			c.Poll.Source = producers.NewDirectory(late{b.source, func() time.Duration { h.pass(); return 0 }})
		},
		"signing": func(c *producers.Config, h *hold) {
			w, err := events.NewWriter(heldSigner{ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32)), h})
			if err != nil {
				t.Fatal(err)
			}
			c.Terms.Writer = w
		},
	}
}

// tickAt is the tick with that time after the first one; nil when there is none.
func tickAt(ticks []*events.Tick, origin time.Time, at time.Duration) *events.Tick {
	for _, t := range ticks {
		if t.Head.Time.Time().Sub(origin) == at {
			return t
		}
	}
	return nil
}

// TestHeldTick holds up a poller in its sixth tick, and lets it go on. What it
// then had is recorded only when it is young and no other poller, which takes over
// in the middle of the sixth interval, has written; a poller that was deposed
// stands by.
func TestHeldTick(t *testing.T) {
	const sixth = 5 * interval
	for _, c := range []struct {
		pause           time.Duration
		beside, without bool // whether it is recorded beside another poller, and without one
	}{
		{10 * time.Second, true, true},
		{tickTimeout - time.Millisecond, false, true},
		{tickTimeout + time.Millisecond, false, false},
		{100 * interval, false, false},
	} {
		for _, place := range []string{"fetching", "signing"} {
			for _, beside := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s for %s beside another %t", place, c.pause, beside), func(t *testing.T) {
					keys := writerKeys(t, 2)
					inBubble(t, keys, func(b *bubble) {
						var other *worker
						if beside {
							other = b.start(keys[1], nil)
							pass(time.Second)
						}
						h := &hold{stop: func() { pass(c.pause) }}
						origin := time.Now()
						k := b.start(keys[0], func(config *producers.Config) { places(t, b)[place](config, h) })
						pass(sixth - interval/2)
						h.armed.Store(true)
						pass(c.pause + 5*interval + time.Second)
						k.kill()
						if !beside {
							demandAlone(t, b, origin, c.pause, c.without)
							return
						}
						other.kill()
						ticks := b.judge()
						held := tickAt(ticks, origin, sixth)
						if (held != nil) != c.beside {
							t.Errorf("held tick %+v, want it recorded: %t", held, c.beside)
						}
						// Who was deposed has written five ticks, the other all since; who
						// was not has written to the end.
						if mine := k.by(ticks); c.beside && mine < 10 || !c.beside && mine != 5 {
							t.Errorf("the held poller wrote %d of %d ticks", mine, len(ticks))
						}
					})
				})
			}
		}
	}
}

// demandAlone judges a log with one writer: a held tick that is not recorded is
// reported as missed, with the points of the grid that it has taken up.
func demandAlone(t *testing.T, b *bubble, origin time.Time, pause time.Duration, recorded bool) {
	t.Helper()
	ticks := b.ticks()
	if held := tickAt(ticks, origin, 5*interval); (held != nil) != recorded {
		t.Errorf("held tick %+v, want it recorded: %t", held, recorded)
	}
	want := &events.Missed{Ticks: 1 + uint64(pause/interval), Reason: events.Overrun}
	next := tickAt(ticks, origin, 6*interval+pause/interval*interval)
	switch {
	case next == nil:
		t.Error("the next tick is not on the grid")
	case recorded && next.Completed.Missed != nil:
		t.Errorf("missed %+v, want none", next.Completed.Missed)
	case !recorded:
		if diff := cmp.Diff(want, next.Completed.Missed); diff != "" {
			t.Errorf("missed (-want +got):\n%s", diff)
		}
	}
}

// TestOldTickByOneClock holds up a tick while only one of the two clocks goes on:
// that of a machine that is suspended, and that of one whose time is set back.
func TestOldTickByOneClock(t *testing.T) {
	const sixth = 5 * interval
	for name, c := range map[string]struct {
		pause, wall time.Duration // that pass by the monotonic and by the wall clock
		recorded    bool
	}{
		"neither":   {0, 0, true},
		"monotonic": {tickTimeout + time.Second, 0, false},
		"wall":      {0, tickTimeout + time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			keys := writerKeys(t, 1)
			inBubble(t, keys, func(b *bubble) {
				var ahead atomic.Int64
				h := &hold{stop: func() {
					pass(c.pause)
					ahead.Store(int64(c.wall - c.pause))
				}}
				origin := time.Now()
				k := b.start(keys[0], func(config *producers.Config) {
					places(t, b)["signing"](config, h)
					config.Clock = func() time.Time { return time.Now().Round(0).Add(time.Duration(ahead.Load())) }
				})
				pass(sixth - interval/2)
				h.armed.Store(true)
				pass(4 * interval)
				k.kill()
				ticks := b.ticks()
				if held := tickAt(ticks, origin, sixth); (held != nil) != c.recorded {
					t.Errorf("held tick %+v, want it recorded: %t", held, c.recorded)
				}
				if len(ticks) < 7 {
					t.Errorf("%d ticks: the poller did not go on", len(ticks))
				}
			})
		})
	}
}
