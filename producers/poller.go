package producers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/manifest"

	"github.com/google/uuid"
	"github.com/sirupsen/logrus"
)

// Config is everything that a [Poller] needs.
type Config struct {
	Poll         *Poll
	Open         func(context.Context) (*eventlog.Log, error) // opens the log; tried again while the broker is away
	From         string                                       // where the source is, for people; no secret
	Terms        events.Terms
	Interval     time.Duration
	TickTimeout  time.Duration // of one tick, from its instant to its commit; 0: the interval
	Standby      time.Duration // silence of another writer before this one polls; 0: 1.5 intervals; negative: none
	MaxClockSkew time.Duration // between this clock and the broker's
	Clock        func() time.Time
	NewTickID    func() (uuid.UUID, error)
	Committed    func(*events.Tick) // told every tick that this poller has recorded
	Log          logrus.FieldLogger
	Alive        func()        // called behind every point of the grid, and every AliveEvery while waiting for the next
	AliveEvery   time.Duration // 0: not while waiting
	Ready        func(error)   // told nil while ticks are recorded, here or by the poller that this one stands by for, else what is wrong
	Verified     func()        // called behind every tick that was verified and recorded; must not wait
	Metrics      *Metrics      // nil: nobody looks at them
}

// Poller runs ticks and records them. It holds nothing on disk: what it must
// know of earlier ticks it reads from the log.
type Poller struct {
	Config
	writer  *eventlog.Writer
	log     *eventlog.Log
	memory  Memory
	held    string // id of the tick whose set memory holds
	missed  uint64
	put     map[manifest.Digest][]uint64 // artifacts stored for ticks that were not recorded
	stored  stored                       // of the artifacts stream
	lost    bool                         // artifacts of the last set are
	why     events.Reason
	standby bool
	heard   time.Time // when the broker stored the other writer's last tick, by this clock
	state   stateLog
	age     stateLog
	keys    stateLog
	looked  manifest.Digest // of the newest set whose content was looked at
}

// NewPoller fills in defaults. It starts nothing.
func NewPoller(c Config) *Poller {
	if c.TickTimeout == 0 {
		c.TickTimeout = c.Interval
	}
	if c.Standby == 0 {
		c.Standby = c.Interval * 3 / 2
	}
	if c.Committed == nil {
		c.Committed = func(*events.Tick) {}
	}
	if c.Alive == nil {
		c.Alive = func() {}
	}
	if c.Verified == nil {
		c.Verified = func() {}
	}
	if c.Metrics == nil {
		c.Metrics = NewMetrics(c.Interval)
	}
	return &Poller{Config: c, put: make(map[manifest.Digest][]uint64), state: stateLog{log: c.Log}, age: stateLog{log: c.Log}, keys: stateLog{log: c.Log}}
}

// Recorded is what became of one tick.
type Recorded struct {
	Result *Result
	Tick   *events.Tick // nil when it was not recorded
}

// Run polls at once and then on the grid of the start, or of the moment when it
// took over from another poller, until ctx ends, which gives nil: a tick under way
// is dropped, nothing of it is published. Errors are those after which polling on
// makes no sense: a stream that is gone or would lose history, that is not the one
// read before, a log that another key owns.
func (p *Poller) Run(ctx context.Context) error {
	alive, stop := p.aliveTicker()
	defer stop()
	start := p.Clock()
	for n := int64(0); ; {
		if p.standby {
			start, n = p.Clock(), 0
		}
		err := p.step(ctx)
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // told to stop: whatever the tick met is dropped with it
		case err != nil:
			return err
		}
		pause := p.untilSilence()
		if !p.standby {
			elapsed := p.Clock().Sub(start)
			next := max(n+1, int64(elapsed/p.Interval)+1)
			p.passed(next - n - 1)
			n = next
			pause = time.Duration(n)*p.Interval - elapsed
		}
		if !p.wait(ctx, pause, alive) {
			return nil
		}
	}
}

// aliveTicker ticks while the poller waits; never, when nobody wants to know.
func (p *Poller) aliveTicker() (alive <-chan time.Time, stop func()) {
	if p.AliveEvery <= 0 {
		return nil, func() {}
	}
	ticker := time.NewTicker(p.AliveEvery)
	return ticker.C, ticker.Stop
}

// wait waits for the next point of the grid; false when ctx ends first.
func (p *Poller) wait(ctx context.Context, d time.Duration, alive <-chan time.Time) bool {
	for next := time.After(d); ; {
		p.Alive()
		select {
		case <-ctx.Done():
			return false
		case <-next:
			return true
		case <-alive:
		}
	}
}

// step is one point of the grid, or one look at another poller's work. Only
// errors that end the loop are returned.
func (p *Poller) step(ctx context.Context) error {
	began := p.Clock()
	p.Metrics.lastAttempt.Set(seconds(began))
	defer func() { p.Metrics.stands(p.standby) }()
	if err := p.open(ctx); err != nil {
		return p.unrecorded(ctx, err)
	}
	began = p.Clock()
	ticking, cancel := p.deadline(ctx)
	defer cancel()
	other, looked := p.look(ticking)
	if looked == nil && p.standsBy(ticking, other) {
		return nil
	}
	p.standby = false // who cannot look cannot know
	if _, err := p.tick(ticking, began, looked); err != nil && ctx.Err() == nil {
		return p.unrecorded(ctx, err)
	}
	return nil
}

// open opens the log and reads its end, once.
func (p *Poller) open(ctx context.Context) error {
	if p.writer != nil {
		return nil
	}
	log, err := p.Open(ctx)
	if err != nil {
		return err
	}
	if !accepts(log, p.Terms.Writer.Public()) {
		return fmt.Errorf("%w: writer key %s is not among the log's writers; start a new log, or use the key that it names", ErrNotWriter, p.Terms.Writer.Public())
	}
	writer, err := log.NewWriter(ctx, p.noise)
	if err != nil {
		return err
	}
	p.log, p.writer = log, writer
	return nil
}

// ErrNotWriter refuses to poll for a log that does not accept this writer.
var ErrNotWriter = errors.New("log does not accept this writer")

func accepts(log *eventlog.Log, key events.PublicKey) bool {
	for _, w := range log.Writers() {
		if w == key {
			return true
		}
	}
	return false
}

// fetchShare is the part of a tick's time in which everything must have come:
// what has not is reported as timed out, and there is time left to record that.
const fetchShare = 0.75

// Once runs one tick and records it, whoever else writes the log. The error says
// why it is not in the log.
func (p *Poller) Once(ctx context.Context) (*Recorded, error) {
	if err := p.open(ctx); err != nil {
		return nil, err
	}
	began := p.Clock()
	ctx, cancel := p.deadline(ctx)
	defer cancel()
	_, looked := p.look(ctx)
	recorded, err := p.tick(ctx, began, looked)
	return recorded, advised(err)
}

func (p *Poller) deadline(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, p.TickTimeout, ErrOverrun)
}

// tick polls and records. looked is what came of the look at the log's end: while
// the broker is away it is polled all the same, and nothing is recorded.
func (p *Poller) tick(ctx context.Context, began time.Time, looked error) (*Recorded, error) {
	defer p.Metrics.began(began, p.Clock)()
	if looked == nil {
		looked = p.recall(ctx)
	}
	if looked != nil && !errors.Is(looked, eventlog.ErrUnavailable) {
		return nil, looked
	}
	result, skewed := p.poll(ctx, began)
	switch {
	case ctx.Err() != nil:
		return &Recorded{Result: result}, fmt.Errorf("tick not recorded: %w", context.Cause(ctx))
	case looked != nil:
		return &Recorded{Result: result}, looked
	case skewed != nil:
		return &Recorded{Result: result}, skewed
	}
	before := p.writer.Base().Head.Tick
	tick, err := p.record(ctx, began, result)
	var other *eventlog.OtherWriterError
	if err != nil && !errors.As(err, &other) {
		p.storedLate(before)
	}
	if err != nil {
		return &Recorded{Result: result}, err
	}
	p.Metrics.recorded(tick.Completed.Outcome, began)
	p.recorded(tick, result)
	return &Recorded{Result: result, Tick: tick}, nil
}

// poll runs the tick, and compares the clocks meanwhile.
func (p *Poller) poll(ctx context.Context, began time.Time) (result *Result, skewed error) {
	fetching, cancel := context.WithTimeout(ctx, time.Duration(float64(p.TickTimeout)*fetchShare))
	defer cancel()
	compared := make(chan error, 1)
	go func() { compared <- p.compareClocks(ctx) }()
	result = p.Poll.Tick(fetching, p.instant(began), p.memory)
	skewed = <-compared
	if ctx.Err() == nil {
		p.Metrics.polled(result.Findings)
		p.Metrics.compared(skewed)
	}
	return result, skewed
}

// compareClocks asks for the broker's time: ticks of a wrong clock would poison
// the log. The same answer tells of the artifacts stream.
func (p *Poller) compareClocks(ctx context.Context) error {
	before := p.Clock()
	around, err := p.writer.Surroundings(ctx)
	if err != nil {
		return err
	}
	broker := around.BrokerTime
	p.lookAtArtifacts(around.Artifacts)
	if skew := max(before.Sub(broker), broker.Sub(p.Clock())); skew > p.MaxClockSkew {
		return fmt.Errorf("%w by more than %s: set one of them right, or raise --max-clock-skew", ErrClockSkew, p.MaxClockSkew)
	}
	return nil
}

// instant is the tick's one `now`: cut to milliseconds, and never before the
// last tick's, so that a clock set back makes nothing fresh again.
func (p *Poller) instant(now time.Time) time.Time {
	return max(events.TimeOf(now), p.writer.Base().Head.Time).Time()
}
