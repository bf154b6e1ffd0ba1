package main

import (
	"slices"
	"testing"
	"time"
)

// rounds are the figures of two sides that were measured in turns.
type rounds struct{ ours, theirs []float64 }

// add keeps one round.
func (r *rounds) add(ours, theirs float64) {
	r.ours, r.theirs = append(r.ours, ours), append(r.theirs, theirs)
}

// report gives the benchmark the medians and the ratio ours/theirs with its
// spread; for faster it is theirs/ours.
func (r *rounds) report(b *testing.B, unit string, faster bool) {
	b.Helper()
	ratios := make([]float64, len(r.ours))
	for i := range ratios {
		if ratios[i] = r.ours[i] / r.theirs[i]; faster {
			ratios[i] = r.theirs[i] / r.ours[i]
		}
	}
	b.ReportMetric(0, "ns/op") // that of both sides together says nothing
	b.ReportMetric(median(r.ours), "ours-"+unit)
	b.ReportMetric(median(r.theirs), "theirs-"+unit)
	b.ReportMetric(median(ratios), "ratio")
	b.ReportMetric(slices.Min(ratios), "ratio-least")
	b.ReportMetric(slices.Max(ratios), "ratio-most")
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// inTurns measures how long both sides take, each first in every other round.
// Each round does each side times times.
func inTurns(b *testing.B, times int, ours, theirs func()) *rounds {
	b.Helper()
	var r rounds
	timed := func(f func()) float64 {
		began := time.Now()
		for range times {
			f()
		}
		return float64(time.Since(began).Nanoseconds()) / float64(times)
	}
	for i := 0; b.Loop(); i++ {
		if i%2 == 0 {
			mine := timed(ours)
			r.add(mine, timed(theirs))
		} else {
			other := timed(theirs)
			r.add(timed(ours), other)
		}
	}
	return &r
}
