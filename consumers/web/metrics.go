package web

import (
	"math"
	"time"

	"fleetlog/manifest"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics collects what a server's source holds, at the moment of being asked.
// Series without a channel are there from the start; a channel's are there while
// the fleet has hosts in it, whether its manifest is verified or not. Times are
// absolute, in seconds; 0 stands for never, +Inf for no end.
type Metrics struct {
	Server  *Server
	Version string
}

type desc = *prometheus.Desc

func describe(name, help string, labels ...string) desc {
	return prometheus.NewDesc("nixfleet_"+name, help, labels, nil)
}

// descriptions are all metrics by what they are about.
type descriptions struct {
	sequence, tick, lastApplied, caughtUp, diverged, build desc
	fleetSigned, fleetExpires                              desc
	signed, expires, window, verified                      desc
}

func described() descriptions {
	return descriptions{
		sequence:     describe("reducer_applied_sequence", "Sequence in the log of the newest tick that is served."),
		tick:         describe("reducer_applied_tick", "Number of the newest tick that is served."),
		lastApplied:  describe("reducer_last_applied_timestamp_seconds", "Time of the newest tick that is served, as its poller had it."),
		caughtUp:     describe("reducer_caught_up", "1 while everything in the log is folded and nothing keeps the next tick from it, else 0."),
		diverged:     describe("reducer_diverged", "1 while the poller holds another set than this reducer, else 0."),
		build:        describe("reducer_build_info", "Version of the program; always 1.", "version"),
		fleetSigned:  describe("fleet_signed_timestamp_seconds", "When the fleet of the set was signed."),
		fleetExpires: describe("fleet_expires_timestamp_seconds", "When the fleet of the set is past its window."),
		signed:       describe("channel_signed_timestamp_seconds", "When the channel's manifest in the set was signed.", "channel"),
		expires:      describe("channel_expires_timestamp_seconds", "When the channel's manifest in the set is past its window.", "channel"),
		window:       describe("channel_window_seconds", "How old the channel's signatures may be.", "channel"),
		verified:     describe("channel_verified", "1 while the set has a manifest of the channel, else 0.", "channel"),
	}
}

// Describe says what Collect collects.
func (m *Metrics) Describe(to chan<- *prometheus.Desc) {
	d := described()
	for _, one := range []desc{
		d.sequence, d.tick, d.lastApplied, d.caughtUp, d.diverged, d.build, d.fleetSigned, d.fleetExpires, d.signed, d.expires, d.window, d.verified,
	} {
		to <- one
	}
}

// Collect sends one metric for every series.
func (m *Metrics) Collect(to chan<- prometheus.Metric) {
	d := described()
	gauge := func(of desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(of, prometheus.GaugeValue, value, labels...)
	}
	state, at := m.Server.Source.Current()
	gauge(d.sequence, float64(at.Sequence))
	gauge(d.tick, float64(at.Tick))
	gauge(d.lastApplied, seconds(at.Time.Time()))
	gauge(d.caughtUp, truth(m.Server.Ready() == nil))
	gauge(d.diverged, truth(at.Diverged))
	gauge(d.build, 1, m.Version)
	held := m.Server.release(state.Set)
	if held == nil {
		gauge(d.fleetSigned, 0)
		gauge(d.fleetExpires, 0)
		return
	}
	gauge(d.fleetSigned, seconds(held.shown.Fleet.SignedAt.Time()))
	gauge(d.fleetExpires, end(held.shown.Fleet.FreshUntil))
	for _, channel := range held.channels {
		rollout, verified := held.shown.Rollouts[channel.name]
		gauge(d.window, float64(channel.window), channel.name)
		gauge(d.verified, truth(verified), channel.name)
		if verified {
			gauge(d.signed, seconds(rollout.SignedAt.Time()), channel.name)
			gauge(d.expires, end(rollout.FreshUntil), channel.name)
		} else {
			gauge(d.signed, 0, channel.name)
			gauge(d.expires, 0, channel.name)
		}
	}
}

// seconds is the time since 1970, 0 for none and before.
func seconds(t time.Time) float64 {
	return max(0, float64(t.UnixMilli())/1000)
}

func end(at *manifest.Instant) float64 {
	if at == nil {
		return math.Inf(1)
	}
	return seconds(at.Time())
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
