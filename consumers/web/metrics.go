package web

import (
	"errors"
	"math"
	"strings"
	"time"

	"fleetlog/consumers/follower"
	"fleetlog/eventlog"
	"fleetlog/manifest"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics collects what a server's source holds, at the moment of being asked; no
// broker is asked for it. Series without a channel are there from the start; a
// channel's are there while the fleet has hosts in it, whether its manifest is
// verified or not. Times are absolute, in seconds; 0 stands for never, +Inf for no
// end.
type Metrics struct {
	Server  *Server
	Reducer Reducer
}

// Reducer tells of itself what is not part of its set.
type Reducer interface {
	Saved() time.Time
	Broken() map[follower.Integrity]uint64
}

type desc = *prometheus.Desc

func describe(name, help string, labels ...string) desc {
	return prometheus.NewDesc("nixfleet_"+name, help, labels, nil)
}

// descriptions are all metrics by what they are about.
type descriptions struct {
	sequence, tick, lastApplied, caughtUp, diverged desc
	interval, checkpoint, integrity                 desc
	lastSequence, bytes, maxBytes, drift            desc
	fleetSigned, fleetExpires                       desc
	signed, expires, window, verified               desc
}

func described() descriptions {
	return descriptions{
		sequence:     describe("reducer_applied_sequence", "Sequence in the log of the newest tick that is served."),
		tick:         describe("reducer_applied_tick", "Number of the newest tick that is served."),
		lastApplied:  describe("reducer_last_applied_timestamp_seconds", "Time of the newest tick that is served, as its poller had it."),
		caughtUp:     describe("reducer_caught_up", "1 while everything in the log is folded and nothing keeps the next tick from it, else 0."),
		diverged:     describe("reducer_diverged", "1 while the poller holds another set than this reducer, else 0."),
		interval:     describe("reducer_tick_interval_seconds", "Time from tick to tick, as the poller of the newest tick that is served had it; 0 while that is not known."),
		checkpoint:   describe("reducer_checkpoint_timestamp_seconds", "When this process made its newest checkpoint."),
		integrity:    describe("reducer_integrity_errors_total", "What a log or a state directory should never have, by kind.", "kind"),
		lastSequence: describe("reducer_stream_last_sequence", "Sequence of the newest message in the log, as the broker said last."),
		bytes:        describe("stream_bytes", "Size of the stream, as the broker said last.", "stream"),
		maxBytes:     describe("stream_max_bytes", "Size that the stream may have.", "stream"),
		drift:        describe("stream_config_drift", "1 while the stream has settings that would lose history, else 0.", "stream"),
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
		d.sequence, d.tick, d.lastApplied, d.caughtUp, d.diverged, d.interval, d.checkpoint, d.integrity,
		d.lastSequence, d.bytes, d.maxBytes, d.drift, d.fleetSigned, d.fleetExpires, d.signed, d.expires, d.window, d.verified,
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
	gauge(d.interval, at.Interval.Seconds())
	gauge(d.checkpoint, seconds(m.Reducer.Saved()))
	broken := m.Reducer.Broken()
	for _, kind := range follower.Integrities() {
		to <- prometheus.MustNewConstMetric(d.integrity, prometheus.CounterValue, float64(broken[kind]), string(kind))
	}
	m.collectStreams(at, d, gauge)
	m.collectSet(state.Set, d, gauge)
}

// collectStreams sends what the broker has said when it was asked last. A tick
// that has come since is behind what it said.
func (m *Metrics) collectStreams(at follower.Position, d descriptions, gauge func(desc, float64, ...string)) {
	var events, artifacts eventlog.StreamState
	var drift *eventlog.DriftError
	if m.Server.Log != nil {
		if log := m.Server.Log(); log != nil {
			events, artifacts = log.Streams()
		}
	}
	drifted := errors.As(m.Server.Ready(), &drift)
	gauge(d.lastSequence, float64(max(events.Last, at.Sequence)))
	for stream, state := range map[string]eventlog.StreamState{"events": events, "artifacts": artifacts} {
		gauge(d.bytes, float64(state.Bytes), stream)
		gauge(d.maxBytes, float64(max(0, state.MaxBytes)), stream)
		gauge(d.drift, truth(drifted && strings.HasSuffix(drift.Stream, "-"+stream)), stream)
	}
}

func (m *Metrics) collectSet(set *manifest.Set, d descriptions, gauge func(desc, float64, ...string)) {
	held := m.Server.release(set)
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
