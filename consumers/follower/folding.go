package follower

import (
	"context"
	"errors"
	"fmt"
	"time"

	"fleetlog/consumers/fold"
	"fleetlog/consumers/state"
	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/manifest"

	"github.com/cenkalti/backoff/v5"
	"github.com/sirupsen/logrus"
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
	live       bool
	finite     bool
	diverged   uint64 // ticks, while catching up
	noise      uint64
}

// attempt opens the log and follows it until something goes wrong, or, when
// finite, until everything stored is folded.
func (f *folding) attempt(ctx context.Context, progress func()) error {
	if err := f.open(ctx); err != nil {
		return err
	}
	f.live = false
	for delivery, err := range f.log.Follow(ctx, f.head) {
		if err != nil {
			return f.halt(err)
		}
		progress()
		f.reportNoise(delivery.Noise)
		if delivery.Tick != nil {
			if err := f.apply(ctx, delivery.Tick); err != nil {
				return err
			}
		}
		if delivery.CaughtUp {
			if err := f.caughtUp(); err != nil || f.finite {
				return err
			}
		}
	}
	return ctx.Err()
}

// open finds the log and the place in it that the checkpoint names.
func (f *folding) open(ctx context.Context) error {
	writers, err := f.writers()
	if err != nil {
		return err
	}
	if f.log, err = f.Open(ctx, writers); err != nil {
		return err
	}
	if f.checkpoint.Sequence == 0 {
		f.head = f.log.Opening()
		return f.startAt(f.head)
	}
	if f.log.Lineage() != f.checkpoint.Lineage {
		return f.otherLineage()
	}
	head, err := f.log.HeadAt(ctx, f.checkpoint.Sequence)
	if err == nil && head.Digest == f.checkpoint.EventDigest {
		f.head = head
		return nil
	}
	if errors.Is(err, eventlog.ErrUnavailable) || ctx.Err() != nil {
		return err
	}
	return f.rebuild("the log does not hold the event of the checkpoint any more")
}

// writers are those remembered from the first use, so that a log cannot change
// who may write it.
func (f *folding) writers() ([]events.PublicKey, error) {
	var writers []events.PublicKey
	if f.AcceptLineage != "" && f.AcceptLineage != f.checkpoint.Lineage {
		return nil, nil
	}
	for _, text := range f.checkpoint.Writers {
		key, err := events.ParsePublicKey(text)
		if err != nil {
			return nil, err
		}
		writers = append(writers, key)
	}
	return writers, nil
}

// rebuild sets the checkpoint aside and folds from the log's beginning; the
// floor stays.
func (f *folding) rebuild(why string) error {
	to, err := f.State.Quarantine(f.Clock())
	if err != nil {
		return err
	}
	f.Log.WithField("quarantine", to).Warn(why + ": rebuilding the state from the log")
	floor := f.state.Floor
	if f.newest.SignedAt.Compare(floor.SignedAt) > 0 {
		floor = f.newest
	}
	f.checkpoint, f.state = state.Checkpoint{}, fold.State{Floor: floor}
	f.head = f.log.Opening()
	return f.startAt(f.head)
}

// startAt makes the head the position of the next checkpoint.
func (f *folding) startAt(head events.Head) error {
	f.checkpoint.Lineage, f.checkpoint.Stream = head.Lineage, f.log.Fleet().EventsStream()
	f.checkpoint.Writers = nil
	for _, w := range f.log.Writers() {
		f.checkpoint.Writers = append(f.checkpoint.Writers, w.String())
	}
	f.advance(head)
	return nil
}

func (f *folding) advance(head events.Head) {
	f.head = head
	f.checkpoint.Sequence, f.checkpoint.Tick, f.checkpoint.Time = head.Seq, head.Number, head.Time
	f.checkpoint.EventDigest = head.Digest
	f.checkpoint.EventID = head.EventID()
	f.checkpoint.TrustDigest, f.checkpoint.Window = f.rules.Trust.Digest(), f.rules.Window
}

// otherLineage halts unless the operator has accepted the new log; the floor
// holds in any case.
func (f *folding) otherLineage() error {
	if f.AcceptLineage == f.log.Lineage() {
		return f.rebuild("a new lineage was accepted")
	}
	return f.halt(fmt.Errorf("%w: state is of lineage %s, the log is %s; if that is right, start once with --accept-lineage %s",
		errLineage, f.checkpoint.Lineage, f.log.Lineage(), f.log.Lineage()))
}

var errLineage = errors.New("log is another one")

// halt stops applying for good where going on could hide a loss, but goes on
// serving. Everything else is the caller's to judge.
func (f *folding) halt(err error) error {
	var gap *eventlog.GapError
	if !errors.As(err, &gap) && !errors.Is(err, errLineage) {
		return err
	}
	if f.finite {
		return err
	}
	f.setReady(err)
	f.Log.WithError(err).Error("following stopped; the last set stays served")
	if err := f.save(true); err != nil {
		return err
	}
	return errHalted
}

// apply folds one tick, waiting for artifacts that a lagging copy does not have
// yet: their absence is not a verdict.
func (f *folding) apply(ctx context.Context, tick *events.Tick) error {
	if err := f.reloadTrust(); err != nil {
		f.setReady(err)
	}
	var artifacts *eventlog.StatementArtifacts
	if fold.Needs(tick) {
		var err error
		if artifacts, err = f.artifacts(ctx, tick); err != nil {
			return err
		}
	}
	next, verdict := fold.Apply(f.state, tick, artifacts, f.rules)
	f.state, f.unsaved = next, true
	f.advance(tick.Head)
	f.compare(tick, verdict)
	if f.live {
		return f.save(true)
	}
	return f.save(false)
}

// artifactPatience is how long an artifact may be missing before the reducer
// says that it is not ready.
const artifactPatience = 2 * time.Minute

func (f *folding) artifacts(ctx context.Context, tick *events.Tick) (*eventlog.StatementArtifacts, error) {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 100*time.Millisecond, 10*time.Second
	for since := f.Clock(); ; {
		artifacts, err := f.log.StatementArtifacts(ctx, tick.Findings)
		var missing *eventlog.ArtifactError
		if !errors.As(err, &missing) {
			return artifacts, err
		}
		if f.finite {
			return nil, err
		}
		if f.Clock().Sub(since) >= artifactPatience {
			f.setReady(fmt.Errorf("tick %d waits: %w", tick.Head.Number, err))
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause.NextBackOff()):
		}
	}
}

// compare alarms when the writer holds another set than this reducer: on the
// newest ticks at once, while catching up as a count. The own verdict stands.
func (f *folding) compare(tick *events.Tick, v fold.Verdict) {
	position := Position{
		Lineage: tick.Head.Lineage, Sequence: tick.Head.Seq, Tick: tick.Head.Number,
		Time: tick.Head.Time, Diverged: v.Diverged,
	}
	f.serve(f.state, position)
	if !v.Diverged {
		return
	}
	if !f.live {
		f.diverged++
		return
	}
	log := f.Log.WithFields(logrus.Fields{"tick": position.Tick, "seq": position.Sequence, "own": v.Own, "writer": v.Writers})
	if v.Fleet != nil {
		log = log.WithField("fleet", v.Fleet.Error())
	}
	for channel, err := range v.Channels {
		log = log.WithField("channel "+channel, err.Error())
	}
	log.Error("own set is not the one that the writer holds")
}

func (f *folding) reportNoise(noise []events.Noise) {
	if len(noise) == 0 {
		return
	}
	f.noise += uint64(len(noise))
	first := noise[0]
	f.Log.WithFields(logrus.Fields{
		"seq": first.Seq, "subject": first.Subject, "messages": len(noise), "total": f.noise,
	}).Warnf("noise in the log, not applied: %v", first.Why)
}

// reloadTrust takes a changed trust file into force. One that is refused leaves
// the last valid one in force.
func (f *folding) reloadTrust() error {
	data, err := f.Trust()
	if err != nil {
		return fmt.Errorf("read trust file: %w", err)
	}
	if manifest.Sum(data) == f.rules.Trust.Digest() {
		return nil
	}
	trust, err := manifest.ParseTrust(data)
	if err != nil {
		return err
	}
	f.rules.Trust = trust
	f.Log.WithField("trust", trust.Digest().String()).Info("trust file has changed")
	f.cover(f.Clock())
	return nil
}

// cover drops what the trust in force no longer covers.
func (f *folding) cover(now time.Time) {
	f.state = fold.Cover(f.state, f.rules.Trust, now)
	f.unsaved = true
}

// caughtUp ends the first pass: from here on every tick is made durable at
// once.
func (f *folding) caughtUp() error {
	if err := f.save(true); err != nil {
		return err
	}
	if !f.live && f.diverged > 0 {
		f.Log.WithField("ticks", f.diverged).Warn("while catching up, own set differed from the writer's")
	}
	f.live, f.diverged = true, 0
	f.serve(f.state, f.currentPosition())
	f.setReady(nil)
	return nil
}

func (f *folding) currentPosition() Position {
	_, p := f.Current()
	p.Lineage, p.Sequence, p.Tick = f.head.Lineage, f.head.Seq, f.head.Number
	if p.Time == 0 {
		p.Time = f.head.Time
	}
	return p
}

// saveEvery is how often a checkpoint is made while catching up.
const saveEvery = time.Second

// save makes the state durable: now, or when the last time was long enough ago.
// A state with an older fleet than the one in `current`, as there is while a
// log is folded anew, is not written.
func (f *folding) save(now bool) error {
	if !f.unsaved || f.checkpoint.Sequence == 0 || (!now && f.Clock().Sub(f.savedAt) < saveEvery) {
		return nil
	}
	if f.state.Set != nil && f.state.Set.Fleet().SignedAt().Compare(f.newest.SignedAt) < 0 {
		return nil
	}
	if f.state.Set == nil && !f.newest.SignedAt.IsZero() && !f.live {
		return nil
	}
	saved, err := f.State.Save(f.checkpoint, f.state)
	if err != nil {
		return err
	}
	f.checkpoint, f.unsaved, f.savedAt = saved, false, f.Clock()
	if f.state.Set != nil {
		fleet := f.state.Set.Fleet()
		f.newest = fold.Floor{SignedAt: fleet.SignedAt(), FleetHash: fleet.Hash()}
	}
	return nil
}
