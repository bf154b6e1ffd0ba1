package check_test

import (
	"testing"

	"fleetlog/consumers/check"
	"fleetlog/events"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// noAudit leaves out what only an audit tells.
var noAudit = cmpopts.IgnoreFields(check.Report{},
	"First", "Head", "Skipped", "Signatures", "Judged", "Unjudged", "Compared", "Outside", "Missed", "OutageCount", "Outages")

// TestHealthyLog finds nothing in a log of every kind of tick, with noise in it,
// and counts what it has read.
func TestHealthyLog(t *testing.T) {
	s := newScene(t)
	s.live(manyHosts)
	s.junk()
	last := s.tick()
	s.junk()
	end := last.Head.Seq + 3
	var stated []events.Stated
	var noSet, without, parts int
	for _, tick := range s.ticks {
		stated = append(stated, tick.Completed.Stated)
		if set := tick.Completed.Set; set == nil {
			noSet++
		} else {
			without += len(set.Without)
		}
		for _, f := range tick.Findings {
			if a := events.ArtifactOf(f); a != nil {
				parts = max(parts, len(a.Parts))
			}
		}
	}
	if len(s.ticks) != liveTicks+1 || stated[tickRestated] != events.Restated || stated[tickUnchanged] != events.Unchanged ||
		noSet != 1 || without != 2 || parts < 2 {
		t.Fatalf("the log is not as varied as it should be: %v, %d without a set, %d left out, %d parts", stated, noSet, without, parts)
	}
	got := s.check("")
	if got.Artifacts == 0 || got.Bytes < 1<<20 {
		t.Errorf("%d artifacts and %d bytes were read", got.Artifacts, got.Bytes)
	}
	got.Artifacts, got.Bytes = 0, 0
	want := &check.Report{
		Lineage: s.log.Lineage(), Seq: end, Tick: last.Head.Number, Events: end, Ticks: liveTicks + 1, Noise: 6,
		Findings: []check.Finding{},
	}
	if diff := cmp.Diff(want, got, noAudit); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
}

// TestOpenedLog has no tick yet.
func TestOpenedLog(t *testing.T) {
	s := newScene(t)
	want := &check.Report{Lineage: s.log.Lineage(), Seq: 1, Events: 1, Findings: []check.Finding{}}
	if diff := cmp.Diff(want, s.check(""), noAudit); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
}
