// Package fold turns the ticks of a log into the set that a correct reader
// holds (docs/design.md, "The fold"). It is pure: the same ticks, artifacts,
// trust and window give the same state, whatever was folded before a restart.
package fold

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/manifest"
)

// State is what a reader holds behind a tick. Set is nil before the first
// verified tick and while trust covers no fleet.
type State struct {
	Set     *manifest.Set
	Without []string    // channels of the set's statement that trust took since
	Floor   Floor       // nothing older is accepted again
	Stated  events.Time // of the tick that made the set's statement
	Source  Source      // where the set's statement is in the log
}

// Floor is the newest fleet accepted so far; the zero value accepts any.
type Floor struct {
	SignedAt  manifest.Instant
	FleetHash manifest.Digest
}

// Source is the statement that a set comes from.
type Source struct {
	Tick              string
	Number            uint64
	FirstSeq, LastSeq uint64
}

// Rules are the reader's own trust and window, and how ids are derived.
type Rules struct {
	Trust    *manifest.Trust
	Window   manifest.Window
	Channels *manifest.ChannelWindows // nil: Window is for everything
	Scheme   manifest.Scheme          // empty: by the fleet's revision
}

// At is the policy by which artifacts are judged at that moment.
func (r Rules) At(now time.Time) manifest.Policy {
	return manifest.Policy{Trust: r.Trust, Now: now, Window: r.Window, Channels: r.Channels}
}

// Verdict compares the reader's own judgement of a tick with the writer's.
type Verdict struct {
	Diverged bool
	Own      *manifest.Digest // nil: no set
	Writers  *manifest.Digest
	Fleet    error            // why the statement's fleet was not taken
	Channels map[string]error // why channels that the writer verified are not in the set
}

// Apply folds one valid tick. artifacts are the bytes that the tick's findings
// name; they are not needed, and not looked at, for an unchanged or a skipped
// tick. Event fields are compared, never used: whatever enters the set was
// verified here, by this reader's rules at the tick's time.
func Apply(s State, tick *events.Tick, artifacts *eventlog.StatementArtifacts, rules Rules) (State, Verdict) {
	var v Verdict
	if Needs(tick) {
		s, v = s.state(tick, artifacts, rules)
	}
	v.Own, v.Writers, v.Diverged = s.Compare(tick.Completed)
	return s, v
}

// Compare holds the state against what the writer says that a correct reader
// holds after the tick; nil digests are no set.
func (s State) Compare(tick *events.TickCompleted) (own, writers *manifest.Digest, diverged bool) {
	if s.Set != nil {
		digest := s.Set.Digest()
		own = &digest
	}
	if tick.Set != nil {
		writers = &tick.Set.Digest
	}
	return own, writers, (own == nil) != (writers == nil) || own != nil && *own != *writers
}

// Needs tells whether a tick can change the set, and so needs its artifacts.
func Needs(tick *events.Tick) bool {
	return len(tick.Findings) > 0 && tick.Completed.Outcome == events.Verified
}

// state takes a verified statement. A fleet that these rules refuse leaves the
// set standing; a manifest that they refuse is left out.
func (s State) state(tick *events.Tick, artifacts *eventlog.StatementArtifacts, rules Rules) (State, Verdict) {
	policy := rules.At(tick.Head.Time.Time())
	set, refused, err := manifest.AssembleAfter(s.Set, artifacts.Fleet, artifacts.Rollouts, rules.Scheme, policy)
	if err == nil {
		err = s.Floor.check(set.Fleet())
	}
	if err != nil {
		return s, Verdict{Fleet: err}
	}
	fleet, statement := set.Fleet(), tick.Completed.Statement
	return State{
		Set:    set,
		Floor:  Floor{fleet.SignedAt(), fleet.Hash()},
		Stated: tick.Head.Time,
		Source: Source{tick.Head.Tick, tick.Head.Number, statement.FirstSeq, statement.LastSeq},
	}, Verdict{Channels: refused}
}

// FloorError refuses a fleet because of one that was accepted before it.
type FloorError struct {
	Reason   events.Reason
	Accepted Floor
	SignedAt manifest.Instant
}

// Error says which of the two is older.
func (e *FloorError) Error() string {
	return fmt.Sprintf("%s: fleet signed at %s behind one signed at %s", e.Reason, e.SignedAt, e.Accepted.SignedAt)
}

// FloorOf is the floor that an event states; nil is none.
func FloorOf(f *events.Floor) Floor {
	if f == nil {
		return Floor{}
	}
	return Floor{f.SignedAt, f.FleetHash}
}

// Newer is the newer of two floors, f where neither is.
func (f Floor) Newer(other Floor) Floor {
	if !other.SignedAt.IsZero() && (f.SignedAt.IsZero() || other.SignedAt.Compare(f.SignedAt) > 0) {
		return other
	}
	return f
}

func (f Floor) check(fleet manifest.Verified[manifest.Fleet]) error {
	if f.SignedAt.IsZero() {
		return nil
	}
	order := fleet.SignedAt().Compare(f.SignedAt)
	if order < 0 {
		return &FloorError{events.Rollback, f, fleet.SignedAt()}
	}
	if order == 0 && fleet.Hash() != f.FleetHash && !f.FleetHash.IsZero() {
		return &FloorError{events.Equivocation, f, fleet.SignedAt()}
	}
	return nil
}

// Cover drops from the set what trust no longer covers at this moment. The
// floor stays, and what is dropped stays out until the next verified statement.
func Cover(s State, trust *manifest.Trust, now time.Time) State {
	if s.Set == nil {
		return s
	}
	return s.Keep(s.Set.Reverify(trust, now))
}

// Keep is the state with what is left of its set, nil when nothing is; the
// channels named by without have left it.
func (s State) Keep(kept *manifest.Set, without []string) State {
	s.Set = kept
	dropped := make(map[string]bool)
	for _, name := range append(slices.Clone(s.Without), without...) {
		dropped[name] = true
	}
	s.Without = slices.Sorted(maps.Keys(dropped))
	if kept == nil {
		s.Without = nil
	}
	return s
}
