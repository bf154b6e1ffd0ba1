package status

import (
	"context"
	"errors"
	"time"

	"fleetlog/consumers/past"
	"fleetlog/consumers/view"
	"fleetlog/eventlog"
	"fleetlog/events"
)

// Reader builds the status of a fleet from its log alone. With a trust file in
// the policy of Past what it says of the set is verified by this program.
type Reader struct {
	Past    *past.Reader
	Recent  int // ticks that stated something else; no more are told
	Outages int // no more are told
	Back    int // statements that are looked back at for these and for how long a refusal lasts; 0: [DefaultBack]
}

// DefaultBack is half a day of a fleet in which nothing happens.
const DefaultBack = 12

// Status is the state of the fleet at now, which must not be before the log's
// newest tick by more than a clock is off. What it reads does not grow with the
// log: the newest tick, its statement and that of its set; for Recent, Outages
// and refusals up to Back statements before, each two messages where nothing
// changed. A log without ticks gives a status, not an error. Errors are those of
// [eventlog.Log.At], [eventlog.Log.Statement] and
// [eventlog.Log.StatementArtifacts].
func (r *Reader) Status(ctx context.Context, now time.Time) (*Status, error) {
	s := empty(r.Past.Log.Fleet().String(), now)
	s.Verified = r.Past.Policy.Trust != nil
	if err := s.addStream(ctx, r.Past.Log); err != nil {
		return nil, err
	}
	tick, err := r.Past.Log.At(ctx, eventlog.Point{})
	if errors.Is(err, eventlog.ErrNoTick) {
		s.Problems["log"] = "it holds no tick: start a poller"
		s.Processes = append([]Process{{Name: Poller, State: NotSeen, Note: "has recorded no tick"}}, s.Processes...)
		s.judge()
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	build := &building{Reader: r, status: s, tick: tick, now: now}
	if build.standings, err = r.Past.Standings(ctx, tick, now); err == nil {
		err = build.all(ctx)
	}
	if err != nil {
		return nil, err
	}
	s.judge()
	return s, nil
}

func empty(fleet string, now time.Time) *Status {
	return &Status{
		Health: Unknown, Fleet: fleet, Now: events.TimeOf(now), Processes: []Process{}, Channels: []Channel{},
		Outages: []Outage{}, Recent: []Tick{}, Problems: map[string]string{},
	}
}

// building is one status under way.
type building struct {
	*Reader
	status    *Status
	tick      *events.Tick
	now       time.Time
	standings past.Standings
	success   *events.Head // newest verified tick; nil: not found
	skipped   *events.Head // first tick behind it, when it was skipped
}

func (b *building) all(ctx context.Context) error {
	resolved := view.ResolvedAt(b.tick.Head)
	b.status.Resolved, b.status.SetDigest = &resolved, b.standings.Set.SetDigest
	if err := b.lastSuccess(ctx); err != nil {
		return err
	}
	poller := b.poller()
	b.status.Processes = append([]Process{poller}, b.status.Processes...)
	if err := b.channels(ctx); err != nil {
		return err
	}
	if b.Recent > 0 || b.Outages > 0 {
		return b.lookBack(ctx)
	}
	return nil
}

func (b *building) back() int {
	if b.Back > 0 {
		return b.Back
	}
	return DefaultBack
}

// judge says the answer in one word.
func (s *Status) judge() {
	switch {
	case s.degraded():
		s.Health = Degraded
	case s.Resolved == nil || len(s.Processes) == 0 || s.Stream == nil:
		s.Health = Unknown
	default:
		s.Health = Healthy
	}
}

func (s *Status) degraded() bool {
	for _, p := range s.Processes {
		if p.State != Ready && (p.State != NotSeen || p.URL != "") {
			return true
		}
	}
	for _, c := range s.Channels {
		if !c.InOrder() {
			return true
		}
	}
	return s.Signed != nil && !s.Signed.InOrder()
}

// InOrder tells whether nobody need look at the channel. One that left the fleet
// is missing because the fleet says so.
func (c Channel) InOrder() bool {
	return c.State == view.Fresh || c.State == view.Empty || c.State == view.Missing && c.Reason == events.Removed
}

// Add adds a process that was asked itself, and judges anew: where one did not
// answer the status is degraded.
func (s *Status) Add(p Process) {
	s.Processes = append(s.Processes, p)
	s.judge()
}
