package producers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"fleetlog/eventlog"
	"fleetlog/events"

	"github.com/google/uuid"
	"github.com/sirupsen/logrus"
)

// Config is everything that a [Poller] needs.
type Config struct {
	Poll         *Poll
	Open         func(context.Context) (*eventlog.Log, error) // opens the log; tried again while the broker is away
	Terms        events.Terms
	Interval     time.Duration
	TickTimeout  time.Duration // of one tick, from its instant to its commit; 0: the interval
	Standby      time.Duration // silence of another writer before this one polls; 0: 1.5 intervals; negative: none
	MaxClockSkew time.Duration // between this clock and the broker's
	Clock        func() time.Time
	NewTickID    func() (uuid.UUID, error)
	Log          logrus.FieldLogger
	Ready        func(error) // told nil while ticks are recorded, here or by the poller that this one stands by for, else what is wrong
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
	why     events.Reason
	standby bool
	heard   time.Time // when another writer's tick was last seen
	state   stateLog
}

// NewPoller fills in defaults. It starts nothing.
func NewPoller(c Config) *Poller {
	if c.TickTimeout == 0 {
		c.TickTimeout = c.Interval
	}
	if c.Standby == 0 {
		c.Standby = c.Interval * 3 / 2
	}
	return &Poller{Config: c, state: stateLog{log: c.Log}}
}

// Recorded is what became of one tick.
type Recorded struct {
	Result *Result
	Tick   *events.Tick // nil when it was not recorded
}

// Run polls at once and then on the grid of the start until ctx ends, which
// gives nil: a tick under way is dropped, nothing of it is published. Errors
// are those after which polling on makes no sense: a stream that is gone or
// would lose history, a log that another key owns.
func (p *Poller) Run(ctx context.Context) error {
	start := p.Clock()
	var notBefore time.Time
	for n := int64(0); ; {
		if now := p.Clock(); !now.Before(notBefore) {
			recorded, err := p.step(ctx)
			switch {
			case ctx.Err() != nil:
				return nil //nolint:nilerr // told to stop: whatever the tick met is dropped with it
			case err != nil:
				return err
			}
			if recorded != nil && recorded.Result.RetryAfter > 0 {
				notBefore = now.Add(recorded.Result.RetryAfter)
			}
		}
		elapsed := p.Clock().Sub(start)
		n = max(n+1, int64(elapsed/p.Interval)+1)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Duration(n)*p.Interval - elapsed):
		}
	}
}

// step is one point of the grid. Only errors that end the loop are returned.
func (p *Poller) step(ctx context.Context) (*Recorded, error) {
	if err := p.open(ctx); err != nil {
		return nil, p.unrecorded(err)
	}
	if p.standsBy(ctx) {
		return nil, nil
	}
	recorded, err := p.Once(ctx)
	if err != nil && ctx.Err() == nil {
		return recorded, p.unrecorded(err)
	}
	return recorded, nil
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

func (p *Poller) noise(count uint64) {
	p.Log.WithField("messages", count).Warn("foreign messages came before the tick: someone else publishes into the log")
}

// standsBy tells whether another poller is at work.
func (p *Poller) standsBy(ctx context.Context) bool {
	if p.Standby < 0 {
		return false
	}
	before := p.writer.Base().Head.Seq
	other, err := p.writer.Refresh(ctx)
	if err != nil {
		return false // the tick itself will meet the same error
	}
	if other && p.writer.Base().Head.Seq != before {
		p.standby, p.heard = true, p.Clock()
	}
	if p.standby && p.Clock().Sub(p.heard) >= p.Standby {
		p.standby = false
	}
	if p.standby {
		p.Ready(nil)
		p.state.change("standby", "another poller writes the log: standing by")
	}
	return p.standby
}

// unrecorded counts a tick that is not in the log, and tells which errors end
// the loop.
func (p *Poller) unrecorded(err error) error {
	var other *eventlog.OtherWriterError
	if errors.As(err, &other) {
		p.standby, p.heard = p.Standby >= 0, p.Clock()
		return nil
	}
	reason, transient := whyMissed(err)
	if !transient {
		return err
	}
	p.missed++
	p.why = reason
	p.Ready(err)
	p.state.change("missed "+string(reason), "tick not recorded: "+err.Error())
	return nil
}

// Errors that keep a tick out of the log.
var (
	// ErrOverrun: the tick was not through at its deadline.
	ErrOverrun = errors.New("tick took longer than its deadline")
	// ErrClockSkew: ticks would carry a wrong time.
	ErrClockSkew = errors.New("clock differs from the broker's")
)

func whyMissed(err error) (reason events.Reason, transient bool) {
	switch {
	case errors.Is(err, ErrOverrun):
		return events.Overrun, true
	case errors.Is(err, ErrClockSkew):
		return events.ClockSkew, true
	case errors.Is(err, eventlog.ErrLogFull):
		return events.LogFull, true
	case errors.Is(err, eventlog.ErrBatchTooLarge):
		return events.BatchTooLarge, true
	case errors.Is(err, eventlog.ErrContention):
		return events.Contention, true
	case errors.Is(err, events.ErrContinuedUnverified):
		return events.BrokerUnavailable, true
	case errors.Is(err, eventlog.ErrUnavailable):
		return events.BrokerUnavailable, true
	}
	return "", false
}

// Once runs one tick and records it. The error says why it is not in the log.
func (p *Poller) Once(ctx context.Context) (*Recorded, error) {
	if err := p.open(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, p.TickTimeout, ErrOverrun)
	defer cancel()
	began := p.Clock()
	skew, refreshed := p.refresh(ctx)
	if refreshed == nil {
		if err := p.recall(ctx); err != nil {
			refreshed = err
		}
	}
	if refreshed != nil && !errors.Is(refreshed, eventlog.ErrUnavailable) {
		return nil, refreshed
	}
	result := p.Poll.Tick(ctx, p.instant(began), p.memory)
	if err := ctx.Err(); err != nil {
		return &Recorded{Result: result}, fmt.Errorf("tick not recorded: %w", context.Cause(ctx))
	}
	if refreshed != nil {
		return &Recorded{Result: result}, refreshed
	}
	if skew > p.MaxClockSkew {
		return &Recorded{Result: result}, fmt.Errorf("%w by more than %s: set one of them right, or raise --max-clock-skew", ErrClockSkew, p.MaxClockSkew)
	}
	tick, err := p.record(ctx, began, result)
	if err != nil {
		return &Recorded{Result: result}, err
	}
	p.recorded(tick, result)
	return &Recorded{Result: result, Tick: tick}, nil
}

// instant is the tick's one `now`: cut to milliseconds, and never before the
// last tick's, so that a clock set back makes nothing fresh again.
func (p *Poller) instant(now time.Time) time.Time {
	return max(events.TimeOf(now), p.writer.Base().Head.Time).Time()
}

// refresh reads the end of the log and compares the broker's clock.
func (p *Poller) refresh(ctx context.Context) (skew time.Duration, err error) {
	before := p.Clock()
	if _, err := p.writer.Refresh(ctx); err != nil {
		return 0, err
	}
	broker, after := p.writer.BrokerTime(), p.Clock()
	return max(before.Sub(broker), broker.Sub(after)), nil
}
