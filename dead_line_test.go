package fleetlog_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fleetlog/consumers/follower"
	"fleetlog/consumers/web"
	"fleetlog/internal/broker"
	"fleetlog/internal/broker/brokertest"
	"fleetlog/internal/process"
	"fleetlog/manifest"

	"github.com/prometheus/client_golang/prometheus"
)

// TestReducerOnADeadLine: the line is up and brings nothing. Within two checks the
// reducer says by itself that it is not ready, and it is not stuck: it goes on
// trying, and serving.
func TestReducerOnADeadLine(t *testing.T) {
	t.Parallel()
	o := newOutage(t, func(c *broker.Config) { c.NoSync = true })
	proxy := brokertest.NewProxy(t, o.broker)
	var steps atomic.Int64
	progress := process.NewProgress(time.Minute, time.Now)
	metrics := prometheus.NewRegistry()
	health := process.NewHealth(metrics, progress.Stuck)
	reducer := o.runReducer(proxy.URL(), func(c *follower.Config) {
		c.Alive = func(follower.Progress) {
			steps.Add(1)
			progress.Step()
		}
		told := c.Ready
		c.Ready = func(err error) {
			told(err)
			health.SetReady(err)
		}
	})
	server := &web.Server{Source: o.reducer, Policy: manifest.Policy{Window: window}, Clock: o.clock, Ready: health.Ready, Log: o.reducer.Followed}
	metrics.MustRegister(&web.Metrics{Server: server, Reducer: o.reducer})
	asked := func(path string) (int, string) {
		w := httptest.NewRecorder()
		health.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w.Code, w.Body.String()
	}
	is := func(series string, value int) bool {
		_, text := asked("/metrics")
		return strings.Contains(text, fmt.Sprintf("\n%s %d\n", series, value))
	}
	tick := o.tick()
	o.reaches()
	o.until("checks that are answered", func() bool {
		return steps.Load() > 10 && is("nixfleet_reducer_stream_last_sequence", int(tick.Head.Seq)) && is("nixfleet_reducer_caught_up", 1)
	})
	before := o.served()

	resume := proxy.Stall()
	defer resume()
	stalled := steps.Load()
	o.until("not ready", func() bool {
		status, _ := asked("/readyz")
		return status == http.StatusServiceUnavailable
	})
	// One check may have been answered just before; then come two that are not, the
	// second of which ends the attempt.
	if n := steps.Load() - stalled; n > 3 {
		t.Errorf("%d steps until the reducer says that it is not ready", n)
	}
	o.holds(before)
	if status, body := asked("/healthz"); status != http.StatusOK || !is("nixfleet_reducer_caught_up", 0) {
		t.Errorf("alive: %d %s", status, body)
	}
	resume()
	o.reaches()
	if status, body := asked("/readyz"); status != http.StatusOK {
		t.Errorf("ready again: %d %s", status, body)
	}
	o.must(reducer.stop())
}
