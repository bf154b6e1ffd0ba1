package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"fleetlog/consumers/follower"
	"fleetlog/consumers/status"
	"fleetlog/consumers/view"

	"github.com/go-json-experiment/json"
)

// status answers with how things stand, as JSON: what `fleetlog status -o json`
// prints, with the reducer's own word about itself.
func (s *Server) status(seen *shared) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		answer := s.stand(r.Context(), seen).Status
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.MarshalWrite(w, answer, json.Deterministic(true)) // the client is gone
	}
}

// stand is how things stand by the log, held against what is served; by that
// alone while the log cannot be asked.
func (s *Server) stand(ctx context.Context, shared *shared) Seen {
	seen, err := shared.newest(ctx)
	state, at := s.Source.Current()
	held := view.Of(state.Set, state.Without, view.Resolved{Seq: at.Sequence, Tick: at.Tick, Time: at.Time}, s.Policy)
	if err != nil {
		seen = Seen{Status: *status.OfServed(s.Fleet, held, s.Clock(), err)}
	} else if seen.Resolved != nil && seen.Resolved.Seq == at.Sequence {
		compare(&seen.Status, held)
	}
	seen.Processes = slices.Clip(seen.Processes)
	seen.Add(s.own(at, seen.Resolved))
	return seen
}

// compare holds what the log says against the set that this reducer verified
// from it, which is the one that is shown.
func compare(said *status.Status, held view.Set) {
	said.Verified, said.SetDigest = true, held.SetDigest
	said.Channels = slices.Clone(said.Channels)
	for i, c := range said.Channels {
		if _, own := held.Rollouts[c.Name]; c.InSet && !own {
			said.Channels[i].InSet, said.Channels[i].State = false, view.Rejected
			said.Channels[i].Detail = "the poller holds it; this reducer's trust file and windows refuse it"
		}
	}
}

// own is what this reducer says of itself.
func (s *Server) own(at follower.Position, newest *view.Resolved) status.Process {
	p := status.Process{Name: status.Reducer, State: status.Ready, Note: fmt.Sprintf("at tick %d, sequence %d", at.Tick, at.Sequence)}
	if at.Tick > 0 {
		p.LastSuccess = &at.Time
	}
	err := s.Ready()
	switch {
	case err == nil && at.Diverged:
		p.State, p.Note = status.Late, "the poller holds another set: compare trust files and windows of both; "+p.Note
	case err == nil && newest != nil && newest.Tick > at.Tick+1: // the next one may be under way
		p.State, p.Note = status.Late, fmt.Sprintf("%s behind the log; %s", counted(int(newest.Tick-at.Tick), "tick"), p.Note)
	case err == nil:
	case errors.Is(err, follower.ErrStarting) && at.Sequence > 0:
		p.State, p.Note = status.Replaying, err.Error()+"; "+p.Note
	case errors.Is(err, follower.ErrStarting):
		p.State, p.Note = status.Starting, err.Error()
	case follower.NeedsPerson(err):
		p.State, p.Note = status.Stalled, err.Error()
	default:
		p.State, p.Note = status.Late, err.Error()
	}
	return p
}
