package producers

import (
	"fmt"
	"time"

	"fleetlog/events"
	"fleetlog/manifest"

	"github.com/sirupsen/logrus"
)

// isAging tells whether three quarters of a signature's window are over: what
// signs releases is late, and there is time left to look after it.
func isAging(signedAt manifest.Instant, freshUntil *manifest.Instant, now time.Time) bool {
	if freshUntil == nil {
		return false
	}
	window := freshUntil.Time().Sub(signedAt.Time())
	return now.Sub(signedAt.Time()) >= window-window/4
}

// warnAging writes one line when signatures of the tick begin to age.
func (p *Poller) warnAging(findings []events.Finding, now time.Time) {
	var until manifest.Instant
	var channels []string
	fleet := false
	for _, f := range findings {
		switch f := f.(type) {
		case *events.FleetFetched:
			if fleet = isAging(f.SignedAt, f.FreshUntil, now); fleet {
				until = *f.FreshUntil
			}
		case *events.RolloutVerified:
			if isAging(f.SignedAt, f.FreshUntil, now) {
				channels = append(channels, f.Channel)
				until = *f.FreshUntil
			}
		}
	}
	if !fleet && channels == nil {
		p.age.last = ""
		return
	}
	log := p.Log.WithFields(logrus.Fields{"fleet": fleet, "channels": channels, "freshUntil": until.String()})
	p.age.changeWith(log, fmt.Sprint(fleet, channels, until),
		"three quarters of a freshness window are over: the release must be signed anew", events.Warning)
}

// warnOfContent writes what a new set holds that readers may understand in
// different ways.
func (p *Poller) warnOfContent(set *manifest.Set) {
	if set == nil || set.Digest() == p.looked {
		return
	}
	p.looked = set.Digest()
	for _, warning := range set.Fleet().Warnings() {
		p.Log.WithField("warning", warning).Warn("fleet may be understood in different ways")
	}
	for _, r := range set.Rollouts() {
		for _, warning := range r.Warnings() {
			p.Log.WithField("channel", r.Value().Channel).WithField("warning", warning).Warn("rollout may be understood in different ways")
		}
	}
}

// warnOfKeys writes one line when trust.json has come to hold keys that verify
// nothing.
func (p *Poller) warnOfKeys(result *Result) {
	if result.Unjudged {
		return
	}
	if result.Keys == nil {
		p.keys.last = ""
		return
	}
	log := p.Log.WithField("warning", result.Keys)
	p.keys.changeWith(log, fmt.Sprint(result.Keys), "trust.json holds a key that verifies nothing", events.Warning)
}
