package process

import (
	"testing"
	"time"
)

func TestProgress(t *testing.T) {
	now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	p := NewProgress(time.Minute, func() time.Time { return now })
	check := func(want string) {
		t.Helper()
		got := ""
		if err := p.Stuck(); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("stuck because of %q, want %q", got, want)
		}
	}
	check("")
	now = now.Add(time.Minute)
	check("")
	now = now.Add(time.Second)
	check("no progress for 1m1s, which should not be more than 1m0s")
	p.Step()
	check("")
}
