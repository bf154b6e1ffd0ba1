package follower

import (
	"errors"
	"maps"
	"time"

	"fleetlog/eventlog"
)

// Integrity is a kind of what a log, or the state made of it, should never have.
type Integrity string

// The kinds.
const (
	Noise        = Integrity("noise")      // messages that belong to no valid tick
	Gap          = Integrity("gap")        // messages that are lost
	LostArtifact = Integrity("artifact")   // an artifact that a tick names and that does not come
	Rewritten    = Integrity("rewritten")  // the stream no longer holds what was read
	OtherLog     = Integrity("lineage")    // the log is not the one of the state
	Divergence   = Integrity("divergence") // the writer's newest set is another
	DamagedState = Integrity("state")      // the state directory was not whole
)

// Integrities are all kinds.
func Integrities() []Integrity {
	return []Integrity{Noise, Gap, LostArtifact, Rewritten, OtherLog, Divergence, DamagedState}
}

// Broken is how often each kind was met since the start. What stands is counted
// once.
func (r *Reducer) Broken() map[Integrity]uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.broken)
}

func (r *Reducer) count(kind Integrity, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.broken[kind] += uint64(n)
}

// countHalt counts what has stopped following.
func (r *Reducer) countHalt(why error) {
	var gap *eventlog.GapError
	switch {
	case errors.As(why, &gap):
		r.count(Gap, 1)
	case errors.Is(why, errOtherLog):
		r.count(OtherLog, 1)
	}
}

// Saved is when the newest checkpoint was made, zero before this process has made
// one.
func (r *Reducer) Saved() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.saved
}

func (r *Reducer) saves(at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.saved = at
}
