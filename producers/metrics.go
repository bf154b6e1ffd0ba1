package producers

import (
	"errors"
	"time"

	"fleetlog/eventlog"
	"fleetlog/events"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are what a poller tells of itself. Every series is there from the
// start. Times are absolute, in seconds; 0 stands for never.
type Metrics struct {
	lastAttempt, lastSuccess, tickStarted prometheus.Gauge
	interval, standby, clockSuspect       prometheus.Gauge
	ticks, verify, publish                *prometheus.CounterVec
	duration                              prometheus.Histogram
}

// What ticks_total counts beside the outcomes of recorded ticks, what
// publish_total does beside the reasons for misses, and what verify_total does
// beside the reasons for refusals.
const (
	labelMissed     = "missed"
	labelStored     = "stored"
	labelOther      = "other-writer"
	labelUnverified = "unverified-past"
	labelOK         = "ok"
	labelCrossCheck = "cross-check"
)

// The two artifacts of verify_total.
const (
	labelFleet   = "fleet"
	labelRollout = "rollout"
)

// NewMetrics makes them for a poller of that interval.
func NewMetrics(interval time.Duration) *Metrics {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: "nixfleet_poller_" + name, Help: help})
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "nixfleet_poller_" + name, Help: help}, labels)
	}
	m := &Metrics{
		lastAttempt:  gauge("last_attempt_timestamp_seconds", "When the newest tick began, or the newest look at another poller's ticks."),
		lastSuccess:  gauge("last_success_timestamp_seconds", "When the newest tick began that was verified and recorded."),
		tickStarted:  gauge("tick_started_timestamp_seconds", "When the tick under way began; 0 between ticks."),
		interval:     gauge("interval_seconds", "Time from tick to tick."),
		standby:      gauge("standby", "1 while this poller stands by for another one, else 0."),
		clockSuspect: gauge("clock_suspect", "1 while the clock differs too much from the broker's, else 0."),
		ticks:        counter("ticks_total", "Ticks that were recorded, by outcome, and ticks that were missed.", "outcome"),
		verify:       counter("verify_total", "Findings of ticks, by what was verified and the reason why not; \"ok\" when it was.", "artifact", "reason"),
		publish:      counter("publish_total", "Ticks, by what became of recording them.", "outcome"),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "nixfleet_poller_tick_duration_seconds", Help: "How long ticks took, recorded or not.",
			Buckets: []float64{0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60},
		}),
	}
	m.interval.Set(interval.Seconds())
	m.prepare()
	return m
}

// prepare makes every series.
func (m *Metrics) prepare() {
	for _, outcome := range []string{string(events.Verified), string(events.Skipped), labelMissed} {
		m.ticks.WithLabelValues(outcome)
	}
	for _, artifact := range []string{labelFleet, labelRollout} {
		m.verify.WithLabelValues(artifact, labelOK)
		for _, r := range events.Refusals() {
			m.verify.WithLabelValues(artifact, r.Label())
		}
	}
	m.verify.WithLabelValues(labelRollout, labelCrossCheck)
	for _, outcome := range []string{labelStored, labelOther, labelUnverified} {
		m.publish.WithLabelValues(outcome)
	}
	for _, r := range events.Misses() {
		m.publish.WithLabelValues(r.Label())
	}
}

func (m *Metrics) all() []prometheus.Collector {
	return []prometheus.Collector{
		m.lastAttempt, m.lastSuccess, m.tickStarted, m.interval, m.standby, m.clockSuspect,
		m.ticks, m.verify, m.publish, m.duration,
	}
}

// Describe says what Collect collects.
func (m *Metrics) Describe(to chan<- *prometheus.Desc) {
	for _, c := range m.all() {
		c.Describe(to)
	}
}

// Collect sends one metric for every series.
func (m *Metrics) Collect(to chan<- prometheus.Metric) {
	for _, c := range m.all() {
		c.Collect(to)
	}
}

// began notes that a tick is under way, and gives what notes its end.
func (m *Metrics) began(at time.Time, clock func() time.Time) (ended func()) {
	m.tickStarted.Set(seconds(at))
	return func() {
		m.tickStarted.Set(0)
		m.duration.Observe(max(0, clock().Sub(at).Seconds()))
	}
}

// polled counts what a tick has established, whether or not it gets recorded.
func (m *Metrics) polled(findings []events.Finding) {
	for _, f := range findings {
		switch f := f.(type) {
		case *events.FleetFetched:
			m.verify.WithLabelValues(labelFleet, labelOK).Inc()
		case *events.FleetRejected:
			m.verify.WithLabelValues(labelFleet, f.Reason.Label()).Inc()
		case *events.RolloutVerified:
			reason := labelOK
			if f.Carried != "" {
				reason = f.Carried.Label()
			}
			m.verify.WithLabelValues(labelRollout, reason).Inc()
		case *events.RolloutRejected:
			m.verify.WithLabelValues(labelRollout, f.Reason.Label()).Inc()
		case *events.CrossCheckFailed:
			m.verify.WithLabelValues(labelRollout, labelCrossCheck).Inc()
		}
	}
}

// compared notes what came of comparing the clocks; when the broker did not
// answer, what was known stays.
func (m *Metrics) compared(err error) {
	switch {
	case err == nil:
		m.clockSuspect.Set(0)
	case errors.Is(err, ErrClockSkew):
		m.clockSuspect.Set(1)
	}
}

func (m *Metrics) recorded(outcome events.Outcome, began time.Time) {
	m.publish.WithLabelValues(labelStored).Inc()
	m.ticks.WithLabelValues(string(outcome)).Inc()
	if outcome == events.Verified {
		m.lastSuccess.Set(seconds(began))
	}
}

// unrecorded counts a tick that is not in the log; reason is empty for one that
// was not to be recorded.
func (m *Metrics) unrecorded(err error, reason events.Reason) {
	var other *eventlog.OtherWriterError
	switch {
	case errors.As(err, &other):
		m.publish.WithLabelValues(labelOther).Inc()
	case reason == "":
		m.publish.WithLabelValues(labelUnverified).Inc()
	default:
		m.publish.WithLabelValues(reason.Label()).Inc()
		m.missed(1)
	}
}

func (m *Metrics) missed(ticks uint64) { m.ticks.WithLabelValues(labelMissed).Add(float64(ticks)) }

func (m *Metrics) stands(by bool) {
	m.standby.Set(0)
	if by {
		m.standby.Set(1)
	}
}

// seconds is the time since 1970.
func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
