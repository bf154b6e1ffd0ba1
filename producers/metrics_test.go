package producers_test

import (
	"io/fs"
	"sync/atomic"
	"testing"
	"time"

	"fleetlog/events"
	"fleetlog/producers"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

// values are those of all series that are not 0, by name and labels, without the
// prefix that all have. Of a histogram it is the count.
func values(t *testing.T, m *producers.Metrics) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(m)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]float64)
	for _, f := range families {
		for _, one := range f.Metric {
			name := f.GetName()[len("nixfleet_poller_"):]
			for _, label := range one.Label {
				name += " " + label.GetValue()
			}
			value := one.Gauge.GetValue() + one.Counter.GetValue() + float64(one.Histogram.GetSampleCount())
			if value != 0 {
				all[name] = value
			}
		}
	}
	return all
}

// gate is a release directory that can be closed.
type gate struct {
	fs.FS
	closed atomic.Bool
}

func (g *gate) Open(name string) (fs.File, error) {
	if g.closed.Load() {
		return nil, fs.ErrNotExist
	}
	return g.FS.Open(name)
}

// TestMetricsOfAPoller lets one poller verify, skip, stand by and take over.
func TestMetricsOfAPoller(t *testing.T) {
	keys := writerKeys(t, 2)
	inBubble(t, keys, func(b *bubble) {
		release := &gate{FS: b.source}
		b.source = release
		began := time.Now()
		var beats atomic.Int64
		at := func(intervals int) float64 {
			return float64(began.Add(time.Duration(intervals)*interval).UnixMilli()) / 1000
		}
		m := producers.NewMetrics(interval)
		if diff := cmp.Diff(map[string]float64{"interval_seconds": 30}, values(t, m)); diff != "" {
			t.Errorf("at first (-want +got):\n%s", diff)
		}
		k := b.start(keys[0], func(c *producers.Config) {
			c.Metrics = m
			c.Verified = func() { beats.Add(1) }
		})
		pass(interval + time.Second)
		want := map[string]float64{
			"interval_seconds": 30, "last_attempt_timestamp_seconds": at(1), "last_success_timestamp_seconds": at(1),
			"ticks_total verified": 2, "publish_total stored": 2, "verify_total fleet ok": 2, "verify_total rollout ok": 4,
			"tick_duration_seconds": 2,
		}
		look := func(what string, more map[string]float64) {
			t.Helper()
			for name, value := range more {
				want[name] = value
			}
			if diff := cmp.Diff(want, values(t, m)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", what, diff)
			}
		}
		look("verified", nil)
		release.closed.Store(true)
		pass(interval)
		look("skipped", map[string]float64{
			"last_attempt_timestamp_seconds": at(2), "ticks_total skipped": 1, "publish_total stored": 3,
			"verify_total fleet unreachable": 1, "tick_duration_seconds": 3,
		})
		if n := beats.Load(); n != 2 {
			t.Errorf("%d verified ticks were told of, want 2", n)
		}
		other := b.start(keys[1], nil) // polls at once: the first one then stands by for it
		pass(interval - time.Second/2)
		look("standing by", map[string]float64{"last_attempt_timestamp_seconds": at(3), "standby": 1})
		other.kill()
		pass(interval)
		if got := values(t, m); got["standby"] != 0 || got["publish_total stored"] != 4 {
			t.Errorf("after it has taken over: %v", got)
		}
		k.kill()
	})
}

// TestMetricsOfMisses: a tick that cannot be recorded is polled, timed and counted
// with its reason, and a clock that is wrong shows.
func TestMetricsOfMisses(t *testing.T) {
	keys := writerKeys(t, 1)
	inBubble(t, keys, func(b *bubble) {
		m := producers.NewMetrics(interval)
		var ahead atomic.Int64
		k := b.start(keys[0], func(c *producers.Config) {
			c.Metrics = m
			c.Clock = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		})
		pass(time.Second)
		ahead.Store(int64(2 * time.Minute))
		pass(interval)
		got := values(t, m)
		if got["clock_suspect"] != 1 || got["publish_total clock-skew"] == 0 || got["ticks_total missed"] < got["publish_total clock-skew"] {
			t.Errorf("with a wrong clock: %v", got)
		}
		ahead.Store(0)
		pass(10 * interval)
		if got := values(t, m); got["clock_suspect"] != 0 || got["last_success_timestamp_seconds"] == 0 {
			t.Errorf("with the right clock again: %v", got)
		}
		k.line.cut()
		pass(2 * interval)
		if got := values(t, m); got["publish_total "+events.BrokerUnavailable.Label()] == 0 || got["standby"] != 0 {
			t.Errorf("without a broker: %v", got)
		}
		k.kill()
	})
}
