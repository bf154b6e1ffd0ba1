package main

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkConcurrency polls a release that is another one at each tick, with so
// many artifacts fetched at once, each of which is two requests. It reports the
// medians of the time that a tick takes and of this process's processor time.
func BenchmarkConcurrency(b *testing.B) {
	for _, delay := range []time.Duration{0, 5 * time.Millisecond} {
		for _, limit := range []int{4, 8, 16, 32, 64, 128} {
			b.Run(fmt.Sprintf("delay=%s/limit=%d", delay, limit), func(b *testing.B) {
				p := newScene(b).startPlane(1000, 100, delay)
				ours := p.poller()
				ours.poll.Concurrency = limit
				ours.tick()
				var elapsed, processed []float64
				for b.Loop() {
					p.switchRelease(ours.client)
					elapsed = append(elapsed, timed(func() { processed = append(processed, processor(ours.tick)) }))
				}
				b.ReportMetric(0, "ns/op") // it includes the switch
				b.ReportMetric(median(elapsed), "tick-ns")
				b.ReportMetric(median(processed), "processor-ns")
			})
		}
	}
}
