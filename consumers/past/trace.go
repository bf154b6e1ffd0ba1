package past

import (
	"context"
	"fmt"

	"fleetlog/consumers/view"
	"fleetlog/events"
)

// Trace follows what the host is told to run after the tick down to the
// signatures and the events. A host that is told nothing has a reason.
func (r *Reader) Trace(ctx context.Context, tick *events.Tick, host string) (view.Trace, error) {
	look, err := r.look(ctx, tick)
	if err != nil {
		return view.Trace{}, err
	}
	content, err := r.content(ctx, look)
	if err != nil {
		return view.Trace{}, err
	}
	t := view.Trace{Host: host, Resolved: look.set.Resolved, Verified: look.set.Verified}
	if look.statement != nil {
		t.Tick = linkTick(look.statement)
		t.Fleet = findLink(look, nil)
	}
	if told, ok := content.Told[host]; ok {
		t.Told = &told
		t.Rollout = findLink(look, &told.Channel)
		return t, nil
	}
	channel, listed := content.Channel(host)
	switch {
	case look.statement == nil:
		t.Detail = "the log has no set at that point"
	case !listed:
		t.Reason, t.Detail = view.Unlisted, "the fleet has no such host"
	default:
		t.Reason, t.Detail = untold(look, channel)
	}
	return t, nil
}

// untold is why a channel of the fleet tells a host nothing.
func untold(look look, channel string) (events.Reason, string) {
	snapshot := view.Snapshot{}.Next(look.set, look.statement.Findings)
	for _, name := range look.set.Without {
		if name == channel {
			return view.Uncovered, fmt.Sprintf("channel %q is not covered by trust any more", channel)
		}
	}
	c, ok := snapshot.Channels[channel]
	switch {
	case !ok:
		return view.Unlisted, fmt.Sprintf("the fleet has no channel %q", channel)
	case c.OK():
		return events.NoClosure, fmt.Sprintf("the manifest of channel %q does not name the host", channel)
	}
	return c.Reason, fmt.Sprintf("channel %q is %s: %s", channel, c.State, c.Detail)
}

func linkTick(statement *events.Tick) *view.TickLink {
	head := statement.Head
	return &view.TickLink{
		Resolved: view.ResolvedAt(head), ID: head.Tick, Digest: head.Digest,
		Writer: statement.Completed.Writer, Lineage: head.Lineage,
	}
}

// findLink is the artifact of the channel, of the fleet for nil, that the
// statement names, as this program verified it where it did.
func findLink(look look, channel *string) *view.Link {
	for i, f := range look.statement.Findings {
		name, about := f.ChannelName()
		if about != (channel != nil) || about && name != *channel {
			continue
		}
		link := view.LinkOf(f, look.statement.Completed.Statement.FirstSeq+uint64(i))
		if own := look.set.Version(channel); link != nil && own != nil && look.set.Verified {
			link.Version = *own
		}
		return link
	}
	return nil
}
