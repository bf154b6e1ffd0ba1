package producers_test

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"testing"
	"time"

	"fleetlog/events"
	"fleetlog/producers"

	"github.com/google/go-cmp/cmp"
)

func writerKeys(t testing.TB, n int) (all []*events.Writer) {
	t.Helper()
	for i := range n {
		all = append(all, writerKey(t, byte(i+1)))
	}
	return all
}

// late is a release directory whose every file takes its time to open.
type late struct {
	fs.FS
	by func() time.Duration
}

func (l late) Open(name string) (fs.File, error) {
	pass(l.by())
	return l.FS.Open(name)
}

// restating makes every tick a batch.
func restating(c *producers.Config) { c.Terms.RestateEvery = 0 }

// TestTakeover ends the poller that writes, at several places of its tick, beside
// one or two that stand by. One of them goes on as soon as the log has been silent
// for one and a half intervals since that poller's last tick was stored.
func TestTakeover(t *testing.T) {
	const fetching = 3 * time.Second // a tick reads two files one behind the other, of fleet and manifest at once
	for at, end := range map[string]func(*worker){
		"between ticks": func(k *worker) { k.kill() },
		"in a fetch": func(k *worker) {
			pass(interval - 11*fetching/2 + fetching)
			k.kill()
		},
		"in a batch": func(k *worker) {
			k.line.cutInBatch()
			pass(interval - fetching)
			k.kill()
			k.line.mu.Lock()
			defer k.line.mu.Unlock()
			if !k.line.met {
				k.t.Error("its line was not cut in the middle of a batch")
			}
		},
	} {
		for standby := 1; standby <= 2; standby++ {
			t.Run(fmt.Sprintf("%s beside %d", at, standby), func(t *testing.T) {
				keys := writerKeys(t, 1+standby)
				inBubble(t, keys, func(b *bubble) {
					b.source = late{b.source, func() time.Duration { return fetching }}
					var all []*worker
					for _, key := range keys { // each takes over from the one before it
						all = append(all, b.start(key, restating))
						pass(2*interval + 11*fetching/2)
					}
					last, rest := all[standby], all[:standby]
					before := len(b.ticks())
					end(last)
					pass(5 * interval)
					for _, k := range rest {
						k.kill()
					}
					ticks := b.judge()
					if n := last.by(ticks[before:]); n > 0 {
						t.Errorf("the poller that was ended wrote %d more", n)
					}
					if got, want := after(ticks[before-1], ticks[before]), silence+2*fetching; got != want {
						t.Errorf("taken over after %s, want %s: that tick took %s", got, want, 2*fetching)
					}
					for i := before + 1; i < len(ticks); i++ {
						if got := after(ticks[i-1], ticks[i]); got != interval {
							t.Errorf("tick %d came %s after the one before it", ticks[i].Head.Number, got)
						}
					}
				})
			})
		}
	}
}

// TestStandby: a poller that starts polls at once; the one that has written until
// then stands by from its next look on, and writes nothing while the other does.
func TestStandby(t *testing.T) {
	keys := writerKeys(t, 2)
	inBubble(t, keys, func(b *bubble) {
		first := b.start(keys[0], nil)
		pass(4*interval + interval/3)
		second := b.start(keys[1], nil)
		pass(30 * interval)
		first.kill()
		second.kill()
		ticks := b.judge()
		if first.by(ticks[:5]) != 5 || second.by(ticks[5:]) != len(ticks)-5 || len(ticks) < 30 {
			t.Errorf("of %d ticks the first poller wrote %d, the second %d", len(ticks), first.by(ticks), second.by(ticks))
		}
		if got := after(ticks[4], ticks[5]); got != interval/3 {
			t.Errorf("the second poller's first tick came %s after the first one's last, want %s", got, interval/3)
		}
		if diff := cmp.Diff([]string{"another poller writes the log: standing by"}, first.warnings()); diff != "" {
			t.Errorf("the first poller says (-want +got):\n%s", diff)
		}
	})
}

// TestStandbyUnderOneKey: who writes is told by the ticks, not by the key.
func TestStandbyUnderOneKey(t *testing.T) {
	key := writerKeys(t, 1)
	inBubble(t, key, func(b *bubble) {
		first := b.start(key[0], nil)
		pass(4*interval + interval/3)
		second := b.start(key[0], nil)
		pass(10 * interval)
		first.kill()
		second.kill()
		if n := len(b.judge()); n != 5+10 {
			t.Errorf("%d ticks, want 5 by the first poller and 10 by the second", n)
		}
	})
}

// TestPollersComeAndGo starts and ends three pollers at random, some of them in
// the middle of a batch; one at least is always at work.
func TestPollersComeAndGo(t *testing.T) {
	for seed := range uint64(2) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			keys := writerKeys(t, 3)
			random := rand.New(rand.NewPCG(seed, 4))
			inBubble(t, keys, func(b *bubble) {
				b.source = late{b.source, func() time.Duration { return rand.N(4 * time.Second) }}
				working := make([]*worker, len(keys))
				working[0] = b.start(keys[0], restating)
				kills := 0
				for range 60 {
					pass(time.Duration(random.Int64N(int64(2 * interval))))
					i := random.IntN(len(keys))
					switch k := working[i]; {
					case k == nil:
						working[i] = b.start(keys[i], restating)
						continue
					case countWorking(working) == 1:
						continue
					case random.IntN(2) == 0:
						k.line.cutInBatch()
						pass(2 * interval) // one that stands by is not in a batch
					}
					working[i].kill()
					working[i] = nil
					kills++
				}
				for _, k := range working {
					if k != nil {
						k.kill()
					}
				}
				ticks := b.judge()
				by := map[string]int{}
				for _, tick := range ticks {
					by[tick.Completed.Writer.String()]++
				}
				if len(by) < len(keys) || kills < 10 {
					t.Errorf("%d kills, ticks by writer %v, want 10 and some by each", kills, by)
				}
			})
		})
	}
}

func countWorking(all []*worker) (n int) {
	for _, k := range all {
		if k != nil {
			n++
		}
	}
	return n
}
