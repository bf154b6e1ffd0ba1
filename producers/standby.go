package producers

import (
	"context"
	"time"
)

// look reads the end of the log, and tells whether another poller has written.
func (p *Poller) look(ctx context.Context) (other bool, err error) {
	before := p.writer.Base().Head.Tick
	if other, err = p.writer.Refresh(ctx); err == nil && !other {
		p.storedLate(before)
	}
	if other {
		p.stored.forget()
	}
	return other, err
}

// storedLate forgets what was missed when the last tick is no longer the one
// before: an own one was stored although nothing had said so, and reports it.
func (p *Poller) storedLate(before string) {
	if p.writer.Base().Head.Tick != before {
		p.missed, p.why = 0, ""
	}
}

// standsBy tells whether another poller is at work: it has written since the
// last look, or the time in which it may still write is not over.
func (p *Poller) standsBy(ctx context.Context, other bool) bool {
	if p.Standby < 0 {
		return false
	}
	if other {
		p.hear(ctx)
	}
	p.standby = p.standby && p.untilSilence() > 0
	return p.standby
}

// hear makes this poller stand by for the writer of the last tick, which is as
// old as the broker says by its own clock: this poller may see it late, and their
// clocks may differ.
func (p *Poller) hear(ctx context.Context) {
	if p.Standby < 0 {
		return
	}
	p.standby, p.heard = true, p.Clock()
	if age, err := p.writer.Age(ctx); err == nil {
		p.heard = p.heard.Add(-age)
	}
	p.Ready(nil)
	p.state.change("standby", "another poller writes the log: standing by")
}

// untilSilence is how long the other poller may still write before this one
// takes over.
func (p *Poller) untilSilence() time.Duration {
	return p.heard.Add(p.Standby).Sub(p.Clock())
}
