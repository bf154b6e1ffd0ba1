package status

import (
	"context"
	"time"

	"fleetlog/consumers/past"
	"fleetlog/consumers/view"
	"fleetlog/events"
	"fleetlog/manifest"
)

// channels are the fleet and its channels, with since when what is wrong with
// them has been said.
func (b *building) channels(ctx context.Context) error {
	var err error
	if b.status.Signed, err = b.fleet(ctx); err != nil {
		return err
	}
	since, err := b.since(ctx)
	if err != nil {
		return err
	}
	for _, s := range b.standings.Channels {
		c := channelOf(b.standings.Set, s, b.now)
		if began, ok := since[leafOf(s)]; ok && !s.Condition.OK() {
			at := view.ResolvedAt(began.Head)
			c.Since, c.Earlier = &at, began.Earlier
		}
		b.status.Channels = append(b.status.Channels, c)
	}
	return nil
}

// since are the beginnings of what the writer found wrong, by leaf.
func (b *building) since(ctx context.Context) (map[string]past.Beginning, error) {
	var leaves []string
	var tick *events.Tick
	for _, s := range b.standings.Channels {
		if s.Finding != nil && !view.ConditionOf(s.Finding, true).OK() && s.State != view.Empty {
			leaves, tick = append(leaves, leafOf(s)), s.Tick
		}
	}
	if leaves == nil {
		return nil, nil
	}
	return b.Past.Beginnings(ctx, tick.Head, leaves, b.back())
}

func leafOf(s past.Standing) string {
	if s.Finding == nil {
		return ""
	}
	return events.Leaf(s.Finding)
}

// fleet is the fleet as a channel without name. While ticks are skipped it has
// been so from the first of them on.
func (b *building) fleet(ctx context.Context) (*Channel, error) {
	s := b.standings.Fleet
	c := Channel{State: s.State, Reason: s.Condition.Reason, Detail: s.Condition.Detail, InSet: s.InSet}
	if f := b.standings.Set.Fleet; f != nil {
		c.SHA256 = &f.SHA256
		if f.CICommit != nil {
			c.Ref = *f.CICommit
		}
		c.window(f.SignedAt, f.FreshUntil, b.now)
	}
	if _, rejected := s.Finding.(*events.FleetRejected); rejected {
		found, err := b.Past.Beginnings(ctx, b.tick.Head, []string{events.Leaf(s.Finding)}, b.back())
		if err != nil {
			return nil, err
		}
		began := found[events.Leaf(s.Finding)]
		at := view.ResolvedAt(began.Head)
		c.Since, c.Earlier = &at, began.Earlier
	}
	return &c, nil
}

func channelOf(set view.Set, s past.Standing, now time.Time) Channel {
	c := Channel{Name: s.Channel, State: s.State, Reason: s.Condition.Reason, Detail: s.Condition.Detail, InSet: s.InSet}
	switch f := s.Finding.(type) {
	case *events.RolloutRejected:
		if f.RolloutID != nil {
			c.RolloutID = *f.RolloutID
		}
	case *events.CrossCheckFailed:
		c.RolloutID = f.RolloutID
	}
	if r, ok := set.Rollouts[s.Channel]; ok {
		c.inForce(r, now)
	}
	if c.State == view.Expired && c.Reason == "" {
		c.Reason = events.Reason(manifest.KindStale)
	}
	return c
}

func (c *Channel) inForce(r view.Rollout, now time.Time) {
	c.InSet, c.Ref, c.RolloutID, c.SHA256 = true, r.ChannelRef, r.RolloutID, &r.SHA256
	c.window(r.SignedAt, r.FreshUntil, now)
}

// window says how old what is in force is, and how long it stays fresh.
func (c *Channel) window(signed manifest.Instant, until *manifest.Instant, now time.Time) {
	age := int64(now.Sub(signed.Time()) / time.Second)
	c.SignedAt, c.AgeSeconds, c.FreshUntil = &signed, &age, until
	if until != nil {
		left := int64(until.Time().Sub(now) / time.Second)
		c.ExpiresInSeconds = &left
	}
}

// Used is how much of the window is over, in percent; false: there is none.
func (c Channel) Used() (percent int, ok bool) {
	if c.SignedAt == nil || c.FreshUntil == nil || c.AgeSeconds == nil {
		return 0, false
	}
	window := c.FreshUntil.Time().Sub(c.SignedAt.Time()) / time.Second
	if window <= 0 {
		return 0, false
	}
	return int(max(0, 100**c.AgeSeconds/int64(window))), true
}
