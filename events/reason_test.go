package events_test

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"fleetlog/events"

	"github.com/google/go-cmp/cmp"
)

// TestLabels holds the labels: dashboards and alerts rest on them.
func TestLabels(t *testing.T) {
	labels := func(reasons []events.Reason) (all []string) {
		for _, r := range reasons {
			all = append(all, r.Label())
		}
		return all
	}
	if diff := cmp.Diff([]string{
		"trust-invalid", "identity-unservable", "projection",
		"unreachable", "timeout", "http-status", "unavailable", "too-large",
		"no-trust-roots", "parse", "canonicalize", "bad-signature", "unsupported-algorithm", "schema-version", "unsigned",
		"reject-before", "stale", "future-dated", "mismatch", "rollback", "equivocation",
	}, labels(events.Refusals())); diff != "" {
		t.Errorf("refusals (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{
		"broker-unavailable", "log-full", "batch-too-large", "clock-skew", "overrun", "contention",
	}, labels(events.Misses())); diff != "" {
		t.Errorf("misses (-want +got):\n%s", diff)
	}
}

// TestEveryReasonHasAPlace demands that each reason that the sources declare is
// one of a refusal, of a miss, or of an idle channel.
func TestEveryReasonHasAPlace(t *testing.T) {
	listed := slices.Concat(events.Refusals(), events.Misses(), []events.Reason{events.NoClosure, events.Removed})
	found := 0
	for file, made := range map[string]string{"reason.go": "Reason", "../manifest/rejection.go": "Kind"} {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`= `+made+`\("([A-Za-z-]+)"\)`).FindAllStringSubmatch(string(source), -1) {
			found++
			if !slices.Contains(listed, events.Reason(m[1])) {
				t.Errorf("%s declares %s, which no list has", file, m[1])
			}
		}
	}
	if found != len(listed) {
		t.Errorf("%d reasons are declared, %d are listed", found, len(listed))
	}
}
