// Package follower keeps a state directory up to date with a log: it follows,
// folds, and makes every step durable (docs/design.md, "The reducer").
package follower

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"fleetlog/consumers/fold"
	"fleetlog/consumers/state"
	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/manifest"

	"github.com/sirupsen/logrus"
)

// Config is everything that a [Reducer] needs.
type Config struct {
	// Open opens the log with the writers that this reducer accepts; none
	// means those that LogOpened names.
	Open          func(ctx context.Context, writers []events.PublicKey) (*eventlog.Log, error)
	State         *state.Directory
	Trust         func() ([]byte, error) // reads trust.json
	TrustEvery    time.Duration          // how often that is done beside every new tick; 0: 10 s
	CheckEvery    time.Duration          // how often the streams are asked whether they are still the log; 0: [eventlog.CheckEvery]
	Window        manifest.Window
	Channels      *manifest.ChannelWindows // nil: Window is for everything
	Scheme        manifest.Scheme
	AcceptLineage string // follow this log although the state is of another
	AcceptGap     uint64 // go on behind this sequence although messages up to it are lost
	Clock         func() time.Time
	Log           logrus.FieldLogger
	Ready         func(error)    // told nil while everything stored is folded, else what is wrong
	Alive         func(Progress) // called behind every step: a delivery, a check or an attempt, also one that failed; nil: nobody wants to know
}

// Reducer folds one log into one state directory.
type Reducer struct {
	Config
	rules     fold.Rules
	readiness readiness

	mu       sync.Mutex // guards what serving reads
	current  fold.State
	position Position
	followed *eventlog.Log
	saved    time.Time
	broken   map[Integrity]uint64
}

// Position is how far the reducer has come.
type Position struct {
	Lineage  string
	Sequence uint64
	Tick     uint64
	Time     events.Time
	Diverged bool          // the newest tick's set is not this reducer's
	Interval time.Duration // from tick to tick, as the newest tick's poller had it; 0 while that is not known
}

// Progress is how far the reducer has come in folding what is stored.
type Progress struct {
	Sequence uint64 // of the newest message that is folded
	Stored   uint64 // of the newest message in the log; 0: it cannot be read at the moment
	CaughtUp bool   // everything stored has been folded once since the log was opened
}

// defaultTrustEvery is how often the trust file is looked at.
const defaultTrustEvery = 10 * time.Second

// NewReducer reads the trust file. Errors: one of reading it, or a
// [*manifest.Rejection] when it is refused.
func NewReducer(c Config) (*Reducer, error) {
	data, err := c.Trust()
	if err != nil {
		return nil, fmt.Errorf("read trust file: %w", err)
	}
	trust, err := manifest.ParseTrust(data)
	if err != nil {
		return nil, err
	}
	if c.TrustEvery == 0 {
		c.TrustEvery = defaultTrustEvery
	}
	if c.CheckEvery == 0 {
		c.CheckEvery = eventlog.CheckEvery
	}
	if c.Alive == nil {
		c.Alive = func(Progress) {}
	}
	r := &Reducer{Config: c, broken: make(map[Integrity]uint64), rules: fold.Rules{Trust: trust, Window: c.Window, Channels: c.Channels, Scheme: c.Scheme}}
	r.readiness = readiness{following: ErrStarting, told: ErrStarting}
	return r, nil
}

// Current is what is served: the state and the position that it belongs to.
// After a start that is what the state directory held; while it catches up, a
// reducer goes on serving what it had before.
func (r *Reducer) Current() (fold.State, Position) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.current, r.position
}

func (r *Reducer) serve(s fold.State, p Position) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.current, r.position = s, p
}

// Followed is the log that is followed, as it was opened last and found to be the one
// of the state; nil before. It stays what it is while the broker is away.
func (r *Reducer) Followed() *eventlog.Log {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.followed
}

func (r *Reducer) follows(log *eventlog.Log) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.followed = log
}

// Run follows the log until ctx ends, which gives nil. While the log cannot be
// opened, has lost messages or is not the one of the state, it keeps serving what
// it has, says that it is not ready, and goes on by itself once that is mended.
// So it does while the state directory takes nothing, as on a full disk. Errors
// are those that another try cannot mend: an event of unknown type, a log that no
// accepted writer opened or whose settings would lose history from the start, a
// state directory that cannot be read.
func (r *Reducer) Run(ctx context.Context) error {
	f, err := r.resume()
	if err != nil {
		return err
	}
	return f.run(ctx)
}

// Rebuild folds everything that is stored now from the beginning, and returns.
// The floor stays, and so does the set until the log has brought one that is
// not older. What Run waits for is an error here, and so is the end of ctx.
func (r *Reducer) Rebuild(ctx context.Context) error {
	f, err := r.resume()
	if err != nil {
		return err
	}
	if err := f.startOver("asked to"); err != nil {
		return err
	}
	f.finite = true
	return f.run(ctx)
}

// ErrStarting is why a reducer is not ready before it has caught up.
var ErrStarting = errors.New("has not caught up with the log yet")

// readiness is why a reducer is not ready, by the two things that it depends
// on: the log and the trust file.
type readiness struct {
	following error
	untrusted error
	told      error // what the outside was told last
}

// notFollowing says what keeps the log from being folded, nil for nothing.
func (r *Reducer) notFollowing(err error) {
	r.readiness.following = err
	r.report()
}

// untrusted says what is wrong with the trust file, nil for nothing.
func (r *Reducer) untrusted(err error) {
	r.readiness.untrusted = err
	r.report()
}

// report tells the outside when readiness has changed.
func (r *Reducer) report() {
	is, was := errors.Join(r.readiness.following, r.readiness.untrusted), r.readiness.told
	if is == nil && was == nil || is != nil && was != nil && is.Error() == was.Error() {
		return
	}
	r.readiness.told = is
	r.Ready(is)
	switch {
	case errors.Is(is, errUnsaved):
		r.Log.WithError(is).Error("not ready: the last set that was saved stays served")
		return
	case is != nil:
		r.Log.WithError(is).Warn("not ready")
		return
	}
	_, position := r.Current()
	r.Log.WithFields(logrus.Fields{"seq": position.Sequence, "tick": position.Tick}).Info("caught up with the log")
}
