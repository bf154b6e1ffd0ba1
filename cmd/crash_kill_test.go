package cmd_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"time"

	"fleetlog/consumers/check"
	"fleetlog/consumers/state"
)

// crash is a failing world whose programs are killed one after the other.
type crash struct {
	*failingWorld
	random       *rand.Rand
	witness      *witness
	acknowledged map[uint64]uint64 // ticks that the poller has said to be recorded, and where they end
	judged       int               // ticks of the witness
	violations   int               // since the last judgement
}

// violated fails the test and goes on.
func (c *crash) violated(format string, args ...any) {
	c.t.Helper()
	c.violations++
	c.t.Errorf(format, args...)
}

// point is a failpoint, passed so many times in what is made to happen.
type point struct {
	name     string
	passages int
}

// pollerPoints are passed by a tick with new artifacts: their upload, the time
// between them and the tick, the messages of its batch, and the moment when only
// the broker knows that it is stored.
var pollerPoints = []point{{"artifact", 2}, {"tick", 1}, {"batch", 2}, {"commit", 1}, {"acknowledged", 1}}

// changing makes the poller begin a tick with new artifacts, and holds it up
// before the first of them is stored. It returns the number of the tick.
func (c *crash) changing(ctx context.Context) (tick uint64) {
	c.t.Helper()
	return c.changingBy(ctx, c.publish)
}

// changingBy is changing with what is published.
func (c *crash) changingBy(ctx context.Context, publish func() error) (tick uint64) {
	c.t.Helper()
	c.poller.arm("artifact stop\n")
	if err := publish(); err != nil {
		c.t.Fatal(err)
	}
	c.poller.awaitStop(ctx)
	return c.newest(ctx) + 1
}

// newest is the number of the last tick, as soon as the broker tells it.
func (c *crash) newest(ctx context.Context) (tick uint64) {
	c.t.Helper()
	wait(ctx, c.t, "the last tick", func() bool {
		head, err := c.witness.log.Head(ctx)
		tick = head.Number
		return err == nil
	})
	return tick
}

func (c *crash) killPoller(ctx context.Context, p point, n int) bool {
	c.changing(ctx)
	if passage := n % p.passages; p.name == "artifact" && passage == 0 {
		c.poller.kill()
		c.poller.arm("")
	} else {
		c.poller.arm(fmt.Sprintf("%s kill %d\n", p.name, max(1, passage)))
		c.poller.resume()
		c.poller.awaitDeath(ctx)
	}
	c.pollerIsBack(ctx)
	return true
}

// killQuietPoller ends the poller in a tick that changes nothing.
func (c *crash) killQuietPoller(ctx context.Context, point string) bool {
	c.poller.arm(point + " kill\n")
	c.poller.awaitDeath(ctx)
	c.pollerIsBack(ctx)
	return true
}

func (c *crash) killPollerAtRandom(ctx context.Context) bool {
	tick := c.changing(ctx)
	c.poller.arm("")
	c.poller.resume()
	c.moment(10 * time.Millisecond)
	c.poller.kill()
	c.pollerIsBack(ctx)
	return c.acknowledged[tick] == 0
}

func (c *crash) pollerIsBack(ctx context.Context) {
	c.listen()
	c.startPoller(ctx)
}

var recordedTick = regexp.MustCompile(`seq=(\d+) tick=(\d+)`)

// listen takes note of the ticks that the poller has said to be recorded.
func (c *crash) listen() {
	for _, match := range recordedTick.FindAllStringSubmatch(c.poller.Said(), -1) {
		seq, _ := strconv.ParseUint(match[1], 10, 64)
		tick, _ := strconv.ParseUint(match[2], 10, 64)
		if c.acknowledged[tick] == 0 {
			c.acknowledged[tick] = seq
		}
	}
}

// moment lets a random time pass, up to the given one.
func (c *crash) moment(most time.Duration) {
	<-time.After(time.Duration(c.random.Int64N(int64(most))))
}

// reducerPoints are the operations of a save with a new set of one channel at
// least, in which each is passed so many times.
var reducerPoints = []point{
	{"create", 5}, {"write", 5}, {"sync", 5}, {"link", 2}, {"mkdir", 2}, {"rename", 3}, {"symlink", 1}, {"sync-directory", 6}, {"remove", 2},
}

// publishing is what makes a save pass the operation: only what the set before
// has, too, is linked.
func (c *crash) publishing(operation string) func() error {
	if operation == "link" {
		return c.publishOne
	}
	return c.publish
}

// delivering makes the poller hold back a tick with a new set until it is resumed,
// and waits until the reducer has saved everything before. It returns the number
// of the tick.
func (c *crash) delivering(ctx context.Context, publish func() error) (tick uint64) {
	tick = c.changingBy(ctx, publish)
	c.poller.goOnTo(ctx, "commit", 1)
	c.poller.arm("")
	end := c.reference.end(ctx, c.t)
	wait(ctx, c.t, "the reducer's checkpoint", func() bool { return c.sequence() >= end })
	return tick
}

func (c *crash) killReducer(ctx context.Context, p point, n int) bool {
	tick := c.delivering(ctx, c.publishing(p.name))
	c.reducer.arm(fmt.Sprintf("%s kill %d\n", p.name, 1+n%p.passages))
	c.poller.resume()
	c.reducer.awaitDeath(ctx)
	inFlight := c.checkpoint().Tick < tick
	c.reducerIsBack(ctx)
	return inFlight
}

func (c *crash) killReducerAtRandom(ctx context.Context) bool {
	tick := c.delivering(ctx, c.publish)
	c.reducer.arm("* stop\n")
	c.poller.resume()
	c.reducer.awaitStop(ctx)
	c.reducer.arm("")
	c.reducer.resume()
	c.moment(10 * time.Millisecond)
	c.reducer.kill()
	inFlight := c.checkpoint().Tick < tick
	c.reducerIsBack(ctx)
	return inFlight
}

// reducerIsBack looks at what the dead one has left, and starts another one.
func (c *crash) reducerIsBack(ctx context.Context) {
	c.checkCheckpoint(ctx)
	if _, _, err := state.View(c.stateDir).Read(); err != nil {
		c.violated("state directory: %v", err)
	}
	c.look()
	c.startReducer(ctx)
	c.look()
}

func (c *crash) look() {
	c.t.Helper()
	if _, err := c.looker.look(); err != nil {
		c.violated("current: %v", err)
	}
}

// brokerPoints are where the poller is when the broker dies.
var brokerPoints = []point{{"artifact", 1}, {"tick", 1}, {"batch", 2}, {"commit", 1}}

func (c *crash) killBroker(ctx context.Context, p point, n int) bool {
	tick := c.changing(ctx)
	if p.name != "artifact" {
		c.poller.goOnTo(ctx, p.name, 1+n%p.passages)
	}
	c.broker.kill()
	c.poller.arm("")
	c.poller.resume()
	c.brokerIsBack(ctx, tick)
	return p.name == "batch" || p.name == "commit"
}

// killBrokerAtRandom ends the broker about when the poller commits. Whether the
// tick was in flight shows in what the poller does next: it has the answer, or it
// finds out that the tick is stored, or it publishes that once more.
func (c *crash) killBrokerAtRandom(ctx context.Context) bool {
	tick := c.changing(ctx)
	c.poller.goOnTo(ctx, "commit", 1)
	c.poller.arm("acknowledged stop\ntick stop\n")
	c.poller.resume()
	c.moment(6 * time.Millisecond)
	c.broker.kill()
	c.startBroker(ctx)
	line := fmt.Sprintf(" tick=%d ", tick)
	wait(ctx, c.t, "what becomes of the tick", func() bool { return c.poller.stopped() || strings.Contains(c.poller.Said(), line) })
	answered := c.poller.stopped() && c.poller.awaitStop(ctx) == "acknowledged"
	c.poller.arm("")
	c.poller.resume()
	c.recorded(ctx, tick)
	return !answered
}

func (c *crash) brokerIsBack(ctx context.Context, tick uint64) {
	c.startBroker(ctx)
	c.recorded(ctx, tick)
}

// recorded waits until the poller says that the tick is, and everybody can read it
// again.
func (c *crash) recorded(ctx context.Context, tick uint64) {
	c.poller.await(ctx, fmt.Sprintf(`seq=\d+ tick=%d `, tick))
	c.newest(ctx)
}

// judge says how much was wrong since it was last asked, and is now.
func (c *crash) judge(ctx context.Context) (violations int) {
	c.t.Helper()
	end := c.reference.end(ctx, c.t)
	wait(ctx, c.t, "the reducer's checkpoint", func() bool { return c.sequence() >= end })
	c.checkCheckpoint(ctx)
	c.look()
	report, err := check.Check(ctx, c.witness.log, check.Options{StateDir: c.stateDir})
	if err != nil {
		c.t.Fatal(err)
	}
	if report.Found > 0 || report.Noise > 0 {
		c.violated("%d broken, %d noise: %+v", report.Found, report.Noise, report.Findings)
	}
	c.listen()
	for tick, seq := range c.acknowledged {
		if head, err := c.witness.log.HeadAt(ctx, seq); err != nil || head.Number != tick {
			c.violated("acknowledged tick %d is not at %d any more: %d, %v", tick, seq, head.Number, err)
		}
	}
	ticks := c.reference.snapshot(c.t)
	for _, t := range ticks[c.judged:] {
		if head, err := c.witness.log.HeadAt(ctx, t.Sequence); err != nil || head.Digest.String() != t.Event {
			c.violated("tick %d, which was seen, is another one now: %v", t.Tick, err)
		}
	}
	c.judged = len(ticks)
	violations, c.violations = c.violations, 0
	return violations
}

// finish ends the reducer in good order, and finds that nothing is left of all the
// others that were not.
func (c *crash) finish(ctx context.Context) {
	c.poller.stop()
	end := c.reference.end(ctx, c.t)
	wait(ctx, c.t, "the reducer's last checkpoint", func() bool { return c.sequence() == end })
	c.reducer.stop()
	c.checkCheckpoint(ctx)
	c.survival.reducer = c.reducer.daemon
	c.checkFiles()
}
