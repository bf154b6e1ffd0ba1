package fleetlog_test

import (
	"testing"
	"time"

	"fleetlog/internal/broker"
	"fleetlog/internal/broker/brokertest"

	"github.com/sirupsen/logrus"
)

// TestLineCut cuts the poller's connection at one moment of a tick: the tick is
// in the log once, whole, and is the poller's own.
func TestLineCut(t *testing.T) {
	for name, c := range map[string]struct {
		pattern string
		forward bool
		same    bool // it is this tick that is recorded, and not the next one
	}{
		"in the middle of the batch":         {`"type":"TickCompleted.v1"`, false, true},
		"behind the commit, before its ack":  {`"type":"TickCompleted.v1"`, true, true},
		"while an artifact is stored":        {"nixfleet-artifact.prod.rollout", false, false},
		"behind an artifact, before its ack": {"nixfleet-artifact.prod.rollout", true, false},
		"while the end is read":              {"STREAM.MSG.GET", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOutage(t, func(c *broker.Config) { c.NoSync = true })
			proxy := brokertest.NewProxy(t, o.broker)
			o.config.TickTimeout = time.Minute
			o.pollVia(proxy.URL())
			reducer := o.runReducer(o.at)
			o.tick()
			o.reaches()
			o.renew("bbbb")
			met := proxy.Cut(c.pattern, c.forward, nil)
			recorded, err := o.once()
			<-met
			if c.same && (err != nil || recorded.Head.Number != 2) {
				t.Errorf("the tick is not recorded: %v", err)
			}
			if err != nil { // it is recorded with the next tick, if it is not yet
				o.until("line lost", func() bool { return o.poll.said(logrus.WarnLevel, "connection to the broker lost") })
				o.until("a tick", func() bool { recorded, err = o.once(); return err == nil })
			}
			o.reaches()
			if recorded.Head.Number != 2 && recorded.Head.Number != 3 {
				t.Errorf("tick %d", recorded.Head.Number)
			}
			if last := o.tick(); last.Completed.Statement.Tick != recorded.Completed.Statement.Tick || last.Head.Number != recorded.Head.Number+1 {
				t.Errorf("tick %d states %s again: the poller does not know its own tick %d", last.Head.Number, last.Completed.Stated, recorded.Head.Number)
			}
			o.must(reducer.stop())
			o.checked(0)
		})
	}
}
