package follower

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"fleetlog/consumers/fold"
	"fleetlog/consumers/state"
	"fleetlog/eventlog"
	"fleetlog/events"

	"github.com/cenkalti/backoff/v5"
)

// folding is a reducer at work; it is used by one goroutine.
type folding struct {
	*Reducer
	log        *eventlog.Log
	head       events.Head
	state      fold.State
	checkpoint state.Checkpoint
	newest     fold.Floor // of the fleet in `current`, which is never replaced by an older one
	unsaved    bool
	savedAt    time.Time
	live       bool             // everything stored has been folded once
	finite     bool             // that is all there is to do
	retained   bool             // the set is still the one from before folding anew
	look       <-chan time.Time // when to look at the trust file
	alarms     alarms
}

// run makes attempts until ctx ends, or, when finite, until one succeeds.
func (f *folding) run(ctx context.Context) error {
	ticker := time.NewTicker(f.TrustEvery)
	defer ticker.Stop()
	f.look = ticker.C
	pause := newPause(200 * time.Millisecond)
	for ctx.Err() == nil {
		f.waits()
		err := f.attempt(ctx, pause.Reset)
		f.waits()
		var again <-chan time.Time
		switch {
		case ctx.Err() != nil:
			continue
		case err == nil:
			return nil
		case errors.Is(err, errHalted):
			again = time.After(f.CheckEvery)
		case f.finite || !f.isTransient(err):
			return err
		default:
			f.notFollowing(err)
			again = time.After(pause.NextBackOff())
		}
		if err := f.attend(ctx, again); errors.Is(err, errUnsaved) {
			f.notFollowing(err) // the next attempt saves, too
		} else if err != nil {
			return err
		}
	}
	err := f.save(true)
	if f.finite {
		return errors.Join(context.Cause(ctx), err)
	}
	return err
}

func newPause(first time.Duration) *backoff.ExponentialBackOff {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = first, 10*time.Second
	return pause
}

// isTransient tells what time may mend: a broker that is away, a log that is
// being made or put back, settings that were changed while it was followed, a full
// disk.
func (f *folding) isTransient(err error) bool {
	var drift *eventlog.DriftError
	if errors.As(err, &drift) {
		return f.log != nil
	}
	for _, transient := range []error{
		eventlog.ErrUnavailable, eventlog.ErrMissing, eventlog.ErrNoMessage, eventlog.ErrAhead, errNoStatement, errUnsaved,
	} {
		if errors.Is(err, transient) {
			return true
		}
	}
	return false
}

// attempt opens the log and follows it until something goes wrong, or, when
// finite, until everything stored is folded.
func (f *folding) attempt(ctx context.Context, progress func()) error {
	if err := f.open(ctx); err != nil {
		return err
	}
	f.follows(f.log)
	f.live = false
	for {
		err := f.follow(ctx, progress)
		var gap *eventlog.GapError
		if !errors.As(err, &gap) {
			return err
		}
		if err := f.cross(ctx, gap); err != nil {
			return err
		}
	}
}

// delivery is what following yields.
type delivery struct {
	eventlog.Delivery
	err error
}

// deliver moves what following yields to the channel.
func deliver(ctx context.Context, following iter.Seq2[eventlog.Delivery, error], to chan<- delivery) {
	for d, err := range following {
		select {
		case to <- delivery{d, err}:
		case <-ctx.Done():
			return
		}
	}
}

// follow folds what is stored behind the head and, unless finite, what comes.
func (f *folding) follow(ctx context.Context, progress func()) error {
	ctx, cancel := context.WithCancel(ctx)
	deliveries, done := make(chan delivery), make(chan struct{})
	go func() {
		defer close(done)
		deliver(ctx, f.log.FollowChecking(ctx, f.head, f.CheckEvery), deliveries)
	}()
	defer func() {
		cancel()
		<-done
	}()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-f.look:
			if err := f.lookAtTrust(); err != nil {
				return err
			}
		case d := <-deliveries:
			if d.err != nil {
				f.interrupted(d.err)
				return d.err
			}
			if err := f.take(ctx, d.Delivery); err != nil || d.CaughtUp && f.finite {
				return err
			}
			f.Alive(Progress{Sequence: f.head.Seq, Stored: d.Stored, CaughtUp: f.live})
			if !d.Checked {
				progress()
			}
		}
	}
}

// interrupted says at once what waits for the end of following to be attended to.
func (f *folding) interrupted(err error) {
	f.waits()
	if !f.finite && errors.Is(err, eventlog.ErrUnavailable) {
		f.notFollowing(err)
	}
}

func (f *folding) take(ctx context.Context, d eventlog.Delivery) error {
	f.reportNoise(d.Noise)
	if d.Tick != nil {
		if err := f.apply(ctx, d.Tick); err != nil {
			return err
		}
	}
	if d.CaughtUp {
		return f.caughtUp()
	}
	return nil
}

// caughtUp ends the first pass: from here on every tick is made durable and
// served at once.
func (f *folding) caughtUp() error {
	if err := f.save(true); err != nil {
		return err
	}
	if !f.live {
		f.caughtUpWith()
	}
	f.live = true
	f.serve(f.state, f.reached())
	f.notFollowing(nil)
	return nil
}

// reached is the position of the head.
func (f *folding) reached() Position {
	p := Position{Lineage: f.head.Lineage, Sequence: f.head.Seq, Tick: f.head.Number, Time: f.head.Time}
	if f.head.Completed != nil {
		_, _, p.Diverged = f.state.Compare(f.head.Completed)
		p.Interval = time.Duration(f.head.Completed.IntervalMs) * time.Millisecond
	}
	return p
}

// apply folds one tick.
func (f *folding) apply(ctx context.Context, tick *events.Tick) error {
	if f.live {
		if err := f.lookAtTrust(); err != nil {
			return err
		}
	}
	var artifacts *eventlog.StatementArtifacts
	if fold.Needs(tick) {
		var err error
		artifacts, err = f.artifacts(ctx, tick)
		if errors.Is(err, errLost) {
			f.Log.WithError(err).WithField("tick", tick.Head.Number).Warn("tick is passed over, as accepted")
			f.advance(tick.Head)
			return f.save(f.live)
		}
		if err != nil {
			return err
		}
	}
	next, verdict := fold.Apply(f.state, tick, artifacts, f.rules)
	f.retained = f.retained && next.Set == f.state.Set
	f.state = next
	f.advance(tick.Head)
	f.judge(tick, verdict)
	if err := f.save(f.live); err != nil {
		return err
	}
	if f.live {
		f.serve(f.state, f.reached())
		f.State.Prepare()
	}
	return nil
}

// artifactPatience is how long an artifact may be missing before the reducer
// says that it is not ready.
const artifactPatience = 2 * time.Minute

// errLost: artifacts are missing whose loss the operator has accepted.
var errLost = errors.New("artifacts are lost")

// artifacts reads what the tick names. Its absence is not a verdict: a copy of
// the log may lag, so the tick is held until everything is there.
func (f *folding) artifacts(ctx context.Context, tick *events.Tick) (*eventlog.StatementArtifacts, error) {
	pause := newPause(100 * time.Millisecond)
	late := false
	for since := f.Clock(); ; {
		artifacts, err := f.log.StatementArtifacts(ctx, tick.Findings, f.held())
		f.waits()
		var missing *eventlog.ArtifactError
		if !errors.As(err, &missing) {
			return artifacts, err
		}
		if tick.Head.Seq <= f.AcceptGap {
			return nil, fmt.Errorf("%w: %w", errLost, err)
		}
		err = fmt.Errorf("tick %d waits: %w; if that is lost, start once with --accept-gap %d", tick.Head.Number, err, tick.Head.Seq)
		if f.finite {
			return nil, err
		}
		if f.Clock().Sub(since) >= artifactPatience {
			f.notFollowing(err)
			if !late {
				f.count(LostArtifact, 1)
			}
			late = true
		}
		if err := f.attend(ctx, time.After(pause.NextBackOff())); err != nil {
			return nil, err
		}
	}
}

// held are the bytes of the set, most of which the next one has, too. Those of a
// set that is to be folded anew do not count: the log must have them.
func (f *folding) held() eventlog.Held {
	held := eventlog.Held{}
	if f.state.Set == nil || f.retained {
		return held
	}
	fleet := f.state.Set.Fleet()
	held[fleet.Artifact()] = fleet.Received().Body
	for _, r := range f.state.Set.Rollouts() {
		held[r.Artifact()] = r.Received().Body
	}
	return held
}

// saveEvery is how often a checkpoint is made while catching up.
const saveEvery = time.Second

// errUnsaved: what is folded is not on disk, and so it is not served either.
var errUnsaved = errors.New("state directory does not take the newest state: make room, or mend the disk")

// save makes the state durable: now, or when the last time was long enough ago.
// Error: [errUnsaved]; what was not saved is with the next call.
func (f *folding) save(now bool) error {
	if !f.unsaved || f.checkpoint.Sequence == 0 || (!now && f.Clock().Sub(f.savedAt) < saveEvery) {
		return nil
	}
	has := fold.Floor{}
	if f.state.Set != nil {
		fleet := f.state.Set.Fleet()
		has = fold.Floor{SignedAt: fleet.SignedAt(), FleetHash: fleet.Hash()}
	}
	if f.currentStands(has) {
		return nil
	}
	f.checkpoint.TrustDigest, f.checkpoint.Window, f.checkpoint.Channels = f.rules.Trust.Digest(), f.rules.Window, f.rules.Channels
	saved, err := f.State.Save(f.checkpoint, f.state)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnsaved, err)
	}
	f.checkpoint, f.newest, f.unsaved, f.savedAt = saved, has, false, f.Clock()
	f.saves(f.savedAt)
	return nil
}

// currentStands tells whether `current` is newer than the set that would take
// its place: after a stop before the checkpoint could follow it, and while a log
// is folded anew because the state could not be loaded.
func (f *folding) currentStands(has fold.Floor) bool {
	if f.state.Set == nil && !f.retained {
		return false // the rules took it
	}
	return has.Newer(f.newest) != has
}
