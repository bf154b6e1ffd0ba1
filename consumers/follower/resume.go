package follower

import (
	"context"
	"errors"
	"fmt"

	"fleetlog/consumers/fold"
	"fleetlog/consumers/state"
	"fleetlog/eventlog"
	"fleetlog/events"
)

// resume loads the state directory, and serves what it holds. What is damaged is
// folded anew: the floor stays, and so does what the checkpoint says of the log.
func (r *Reducer) resume() (*folding, error) {
	f := &folding{Reducer: r}
	checkpoint, s, err := r.State.Load(r.rules)
	var damaged *state.DamagedError
	if err != nil && !errors.As(err, &damaged) {
		return nil, err
	}
	if f.newest, err = r.State.CurrentFloor(r.rules, r.Clock()); err != nil {
		return nil, err
	}
	if checkpoint != nil {
		f.checkpoint = *checkpoint
	}
	f.state = s
	if damaged != nil {
		f.checkpoint.Set = nil // its files are not to be counted on
		f.count(DamagedState, 1)
		return f, f.startOver(damaged.Error())
	}
	if checkpoint == nil {
		return f, nil
	}
	r.serve(s, Position{
		Lineage: checkpoint.Lineage, Sequence: checkpoint.Sequence, Tick: checkpoint.Tick, Time: checkpoint.Time,
	})
	if f.rulesChanged() {
		err = f.cover()
	}
	if errors.Is(err, errUnsaved) { // there is a set to serve; saving it is tried again
		f.notFollowing(err)
		err = nil
	}
	return f, err
}

// rulesChanged tells whether the state was made by other rules than today's: by
// other trust, or by windows under which the set is not what it was. By the same
// rules nothing is judged again: a restart changes no set.
func (f *folding) rulesChanged() bool {
	before, now := f.checkpoint.Set, f.state.Set
	if f.checkpoint.TrustDigest != f.rules.Trust.Digest() || (before == nil) != (now == nil) {
		return true
	}
	return before != nil && before.Digest != now.Digest()
}

// startOver makes the next attempt fold from the log's beginning. The floor
// stays, and the set until the log has brought one that is not older.
func (f *folding) startOver(why string) error {
	kept, err := f.State.Quarantine()
	if err != nil {
		return fmt.Errorf("%w: %w", errUnsaved, err)
	}
	f.Log.WithField("quarantine", kept).Warn("folding the log anew: " + why)
	f.checkpoint.Sequence = 0
	f.retained = true
	return nil
}

// open finds the log and the place in it that the checkpoint names.
func (f *folding) open(ctx context.Context) error {
	if err := f.openLog(ctx); err != nil {
		return err
	}
	if before := f.checkpoint.Lineage; before != "" && before != f.log.Lineage() {
		if f.AcceptLineage != f.log.Lineage() {
			return f.halt(fmt.Errorf("%w: state is of lineage %s, the log is %s; if that is right, start once with --accept-lineage %s",
				errOtherLog, before, f.log.Lineage(), f.log.Lineage()))
		}
		if err := f.startOver("a new lineage was accepted"); err != nil {
			return err
		}
	}
	if f.checkpoint.Sequence == 0 {
		return f.begin()
	}
	head, err := f.log.HeadAt(ctx, f.checkpoint.Sequence)
	switch {
	case err == nil && head.Digest == f.checkpoint.EventDigest:
		f.head, f.checkpoint.Writers = head, f.log.Writers()
		return nil
	case err != nil && !errors.Is(err, eventlog.ErrAhead):
		return err
	}
	f.count(Rewritten, 1)
	if err := f.startOver("it does not hold the event of the checkpoint any more"); err != nil {
		return err
	}
	return f.begin()
}

// openLog opens the log with the writers remembered from the first use, so that
// a log cannot change who may write it. Only a new lineage that was accepted
// brings its own.
func (f *folding) openLog(ctx context.Context) error {
	log, err := f.Open(ctx, f.checkpoint.Writers)
	refused := errors.Is(err, events.ErrNotOpened)
	accepting := f.AcceptLineage != "" && f.AcceptLineage != f.checkpoint.Lineage
	if accepting && (refused || err == nil && log.Lineage() == f.AcceptLineage) {
		if accepted, acceptedErr := f.Open(ctx, nil); acceptedErr == nil && accepted.Lineage() == f.AcceptLineage {
			log, err = accepted, nil
		}
	}
	if refused && err != nil && f.checkpoint.Lineage != "" {
		return f.halt(fmt.Errorf("%w: %w; if that is right, start with its writer's --writer-key and its --accept-lineage", errOtherLog, err))
	}
	var gap *eventlog.GapError
	if errors.As(err, &gap) {
		return f.halt(withoutOpening(gap))
	}
	if err == nil {
		f.log = log
	}
	return err
}

// withoutOpening says what is left to do for a log that has lost its beginning:
// nobody can tell any more whose it is.
func withoutOpening(gap *eventlog.GapError) error {
	return fmt.Errorf("%w, the log's opening among them; put it back from a backup, or make a new log and start once with its --accept-lineage", gap)
}

var errOtherLog = errors.New("log is another one")

// begin makes the log's opening the position. A floor that the log continues
// with is the one fact taken on its writer's word: it can only refuse more.
func (f *folding) begin() error {
	opening := f.log.Opening()
	f.state.Floor = f.state.Floor.Newer(f.newest).Newer(fold.FloorOf(opening.Floor()))
	f.checkpoint.Lineage, f.checkpoint.Stream = opening.Lineage, f.log.Fleet().EventsStream()
	f.checkpoint.Writers = f.log.Writers()
	f.advance(opening)
	return f.save(true)
}

// advance makes the head the position of the next checkpoint.
func (f *folding) advance(head events.Head) {
	f.head, f.unsaved = head, true
	f.checkpoint.Sequence, f.checkpoint.Tick, f.checkpoint.Time = head.Seq, head.Number, head.Time
	f.checkpoint.EventID, f.checkpoint.EventDigest = head.EventID(), head.Digest
}

// errHalted: only a person can decide how to go on, or put back what was there;
// what there is stays served.
var errHalted = errors.New("halted")

// halt stops applying where going on could hide a loss. It says so once.
func (f *folding) halt(why error) error {
	if f.finite {
		return why
	}
	if told := f.readiness.following; told == nil || told.Error() != why.Error() {
		f.Log.WithError(why).Error("following stopped; the last set stays served")
		f.countHalt(why)
	}
	f.notFollowing(why)
	if err := f.save(true); err != nil {
		return err
	}
	return errHalted
}

// NeedsPerson tells whether a reducer that is not ready for this reason stays so
// until somebody decides how to go on, or puts back what is lost.
func NeedsPerson(reason error) bool {
	var gap *eventlog.GapError
	return errors.Is(reason, errOtherLog) || errors.As(reason, &gap)
}
