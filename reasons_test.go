package fleetlog

import (
	"bytes"
	"os"
	"slices"
	"testing"

	"fleetlog/consumers/explain"
	"fleetlog/events"
)

// TestTableOfReasons walks the reasons that a log can state: each has a page, a
// label of its own in metrics, and an event as an example. That each is provoked
// by a test of the producers, their TestMain demands.
func TestTableOfReasons(t *testing.T) {
	examples, err := os.ReadFile("events/testdata/reasons.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	table := slices.Concat(events.Refusals(), events.Misses(),
		[]events.Reason{events.NoClosure, events.Removed, events.CheckFleetHash, events.CheckHostSet})
	labels := map[string]events.Reason{}
	for _, reason := range table {
		if page, ok := explain.Find(string(reason)); !ok || page.Means == "" || page.ClearsWhen == "" {
			t.Errorf("%s has no page", reason)
		}
		if other, taken := labels[reason.Label()]; taken || reason.Label() == "" {
			t.Errorf("%s has the label %q, as has %q", reason, reason.Label(), other)
		}
		labels[reason.Label()] = reason
		if !bytes.Contains(examples, []byte(`"`+string(reason)+`"`)) {
			t.Errorf("%s has no example", reason)
		}
	}
}
