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

	"github.com/cenkalti/backoff/v5"
	"github.com/sirupsen/logrus"
)

// Config is everything that a [Reducer] needs.
type Config struct {
	// Open opens the log with the writers that this reducer accepts; none
	// means those that LogOpened names.
	Open          func(ctx context.Context, writers []events.PublicKey) (*eventlog.Log, error)
	State         *state.Directory
	Trust         func() ([]byte, error) // reads trust.json
	Window        manifest.Window
	Scheme        manifest.Scheme
	AcceptLineage string // follow this log although the state is of another
	Clock         func() time.Time
	Log           logrus.FieldLogger
	Ready         func(error) // told nil while everything stored is folded, else what is wrong
}

// Reducer folds one log into one state directory.
type Reducer struct {
	Config
	rules fold.Rules

	notReady error

	mu       sync.Mutex // guards what serving reads
	current  fold.State
	position Position
}

// Position is how far the reducer has come.
type Position struct {
	Lineage  string
	Sequence uint64
	Tick     uint64
	Time     events.Time
	Diverged bool // the newest tick's set is not this reducer's
}

// ErrStarting is why a reducer is not ready before it has caught up.
var ErrStarting = errors.New("has not caught up with the log yet")

// NewReducer reads the trust file, and loads what the state directory holds.
// Errors: [*state.DamagedError] (use [Reducer.Quarantine]), a trust file that is
// refused.
func NewReducer(c Config) (*Reducer, error) {
	data, err := c.Trust()
	if err != nil {
		return nil, fmt.Errorf("read trust file: %w", err)
	}
	trust, err := manifest.ParseTrust(data)
	if err != nil {
		return nil, err
	}
	rules := fold.Rules{Trust: trust, Window: c.Window, Scheme: c.Scheme}
	return &Reducer{Config: c, rules: rules, notReady: ErrStarting}, nil
}

// Current is what is served: the state and the position that it belongs to.
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

func (r *Reducer) setReady(err error) {
	changed := (r.notReady == nil) != (err == nil) || err != nil && r.notReady.Error() != err.Error()
	if r.notReady = err; !changed {
		return
	}
	r.Ready(err)
	if err != nil {
		r.Log.WithError(err).Warn("not ready")
		return
	}
	_, position := r.Current()
	r.Log.WithFields(logrus.Fields{"seq": position.Sequence, "tick": position.Tick}).Info("caught up with the log")
}

// Run follows the log until ctx ends, which gives nil. While the broker is away
// or the log is not the one of the state, it keeps serving what it has and says
// that it is not ready. Errors are those that another try cannot mend: an event
// of unknown type, a log that no accepted writer opened, a full disk.
func (r *Reducer) Run(ctx context.Context) error { return r.follow(ctx, false) }

// Rebuild sets the checkpoint aside, folds everything that is stored now, and
// returns.
func (r *Reducer) Rebuild(ctx context.Context) error {
	if _, err := r.State.Quarantine(r.Clock()); err != nil {
		return err
	}
	return r.follow(ctx, true)
}

func (r *Reducer) follow(ctx context.Context, finite bool) error {
	f, err := r.resume()
	if err != nil {
		return err
	}
	f.finite = finite
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 200*time.Millisecond, 10*time.Second
	for {
		err := f.attempt(ctx, pause.Reset)
		switch {
		case ctx.Err() != nil:
			return f.save(true)
		case err == nil:
			return f.save(true)
		case errors.Is(err, errHalted):
			<-ctx.Done()
			return nil
		case finite || !isTransient(err):
			return err
		}
		r.setReady(err)
		select {
		case <-ctx.Done():
			return f.save(true)
		case <-time.After(pause.NextBackOff()):
		}
	}
}

// errHalted: only a person can decide how to go on; what there is stays served.
var errHalted = errors.New("halted")

func isTransient(err error) bool {
	return errors.Is(err, eventlog.ErrUnavailable) || errors.Is(err, eventlog.ErrMissing) || errors.Is(err, eventlog.ErrAhead)
}

// resume loads the state directory. A damaged one is set aside.
func (r *Reducer) resume() (*folding, error) {
	f := &folding{Reducer: r}
	checkpoint, s, err := r.State.Load(r.rules)
	var damaged *state.DamagedError
	if errors.As(err, &damaged) {
		to, qerr := r.State.Quarantine(r.Clock())
		if qerr != nil {
			return nil, errors.Join(err, qerr)
		}
		r.Log.WithError(err).WithField("quarantine", to).Warn("state cannot be used: rebuilding it from the log")
		f.state.Floor, err = r.State.CurrentFloor(r.rules, r.Clock())
		return f, err
	}
	if err != nil {
		return nil, err
	}
	if f.newest, err = r.State.CurrentFloor(r.rules, r.Clock()); err != nil {
		return nil, err
	}
	if checkpoint == nil {
		f.state.Floor = f.newest
		return f, nil
	}
	f.checkpoint, f.state = *checkpoint, s
	f.cover(r.Clock())
	return f, nil
}
