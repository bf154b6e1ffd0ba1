package web_test

import (
	"errors"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"fleetlog/consumers/fold"
	"fleetlog/consumers/follower"
	"fleetlog/consumers/web"
	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/fleetsim"
	"fleetlog/manifest"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

var update = flag.Bool("update", false, "write the golden files")

// exposed is what Prometheus is given.
func exposed(t *testing.T, s *web.Server) string {
	t.Helper()
	metrics := prometheus.NewPedanticRegistry()
	metrics.MustRegister(&web.Metrics{Server: s, Reducer: facts{}})
	w := httptest.NewRecorder()
	promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Body.String()
}

// facts are those of a reducer that has met a gap.
type facts struct{}

func (facts) Saved() time.Time { return epoch.Add(2 * time.Second) }

func (facts) Broken() map[follower.Integrity]uint64 {
	return map[follower.Integrity]uint64{follower.Gap: 1}
}

// lacking is a set of two channels that has a manifest of one of them.
func lacking(t *testing.T) *manifest.Set {
	t.Helper()
	full := setOf(t, release(t, fleetsim.Fleet{Hosts: 4, Channels: 2, Idle: 1, Commit: "aaaa", SignedAt: epoch}))
	set, err := manifest.NewSet(full.Fleet(), full.Rollouts()[:1], "")
	must(t, err)
	return set
}

// TestMetrics holds names, texts and values: dashboards and alerts rest on them.
func TestMetrics(t *testing.T) {
	at := follower.Position{Sequence: 9, Tick: 3, Time: events.TimeOf(epoch.Add(1500 * time.Millisecond)), Diverged: true, Interval: 30 * time.Second}
	endless := server(&held{state: fold.State{Set: lacking(t)}, position: at}, epoch)
	endless.Policy.Window = manifest.Unlimited
	for name, s := range map[string]*web.Server{
		"starting": server(&held{notReady: errors.New("starting")}, epoch),
		"ready":    server(&held{state: fold.State{Set: lacking(t)}, position: at}, epoch),
		"endless":  endless,
		"drifted":  server(&held{notReady: fmt.Errorf("cannot follow: %w", &eventlog.DriftError{Stream: "nixfleet-prod-artifacts"})}, epoch),
	} {
		got := exposed(t, s)
		file := "testdata/metrics-" + name + ".txt"
		if *update {
			must(t, os.WriteFile(file, []byte(got), 0o644))
		}
		want, err := os.ReadFile(file)
		must(t, err)
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-golden +got); -update writes it anew:\n%s", name, diff)
		}
	}
}
