package eventlog_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"fleetlog/eventlog"
	"fleetlog/events"

	"github.com/google/go-cmp/cmp"
)

// TestStatementsAreThoseOfFollow: going from statement to statement finds the
// ticks with findings that reading everything finds, whatever noise looks like
// one.
func TestStatementsAreThoseOfFollow(t *testing.T) {
	for seed := range uint64(3) {
		random := rand.New(rand.NewPCG(seed, 11))
		h := newHistory(t)
		for n := range 120 {
			for range random.IntN(3) {
				h.junk(t, []string{"TickCompleted", "FleetFetched", "FleetRejected", "RolloutVerified.a"}[random.IntN(4)], random.IntN(3))
			}
			d := draftAt(epoch.Add(time.Duration(n+1)*time.Minute), uint32(n/10), random.IntN(4))
			if random.IntN(5) == 0 {
				d.Findings, d.Set = []events.Finding{&events.FleetRejected{Stage: events.StageFetch, Reason: events.Timeout}}, nil
			}
			h.tick(t, d)
		}
		h.junk(t, "FleetRejected", 2)
		h.settle(t)
		var all []uint64
		for d, err := range h.log.Follow(t.Context(), h.log.Opening()) {
			if err != nil {
				t.Fatal(err)
			}
			if d.Tick != nil && len(d.Tick.Findings) > 0 {
				all = append(all, d.Tick.Head.Seq)
			}
			if d.CaughtUp {
				break
			}
		}
		for range 20 {
			first, last := uint64(random.IntN(int(h.seq)+3)), uint64(random.IntN(int(h.seq)+3))
			if random.IntN(3) == 0 {
				first, last = 0, math.MaxUint64
			}
			want := []uint64{}
			for _, seq := range all {
				if begins := statementOf(h.last, seq); begins >= first && seq <= last {
					want = append(want, seq)
				}
			}
			if diff := cmp.Diff(want, statements(t, h.log, first, last)); diff != "" {
				t.Errorf("seed %d: statements of %d to %d (-want +got):\n%s", seed, first, last, diff)
			}
		}
	}
}

// statementOf is where the findings of the tick at seq begin.
func statementOf(heads []events.Head, seq uint64) uint64 {
	for _, h := range heads {
		if h.Seq == seq {
			return h.Completed.Statement.FirstSeq
		}
	}
	return 0
}

func statements(t *testing.T, log *eventlog.Log, first, last uint64) []uint64 {
	t.Helper()
	got := []uint64{}
	for head, err := range log.Statements(t.Context(), first, last) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, head.Seq)
	}
	return got
}

// TestStatementsAreFew: what is read for the statements of a long past does not
// grow with the ticks between them.
func TestStatementsAreFew(t *testing.T) {
	h := newHistory(t)
	for n := range 600 {
		h.tick(t, draftAt(epoch.Add(time.Duration(n+1)*time.Second), uint32(n/200), 2))
	}
	h.settle(t)
	found, reads, err := h.log.StatementsCounting(t.Context(), 0, math.MaxUint64)
	if err != nil || found != 3 {
		t.Fatalf("%d statements, %v; want 3", found, err)
	}
	if reads > 10 {
		t.Errorf("%d reads for %d statements", reads, found)
	}
}

// TestBefore reads the tick before any sequence, noise or none.
func TestBefore(t *testing.T) {
	h := newHistory(t)
	for n := range 40 {
		h.junk(t, "TickCompleted", n%4)
		h.tick(t, draftAt(epoch.Add(time.Duration(n+1)*time.Second), uint32(n/3), n%3))
	}
	h.settle(t)
	for seq := uint64(0); seq <= h.seq+1; seq++ {
		var want *events.Head
		for i, head := range h.last {
			if head.Seq < seq {
				want = &h.last[i]
			}
		}
		tick, err := h.log.Before(t.Context(), seq)
		if want == nil {
			if !errors.Is(err, eventlog.ErrNoTick) {
				t.Errorf("before %d: %v, %v; want ErrNoTick", seq, tick, err)
			}
			continue
		}
		if err != nil || tick.Head.Digest != want.Digest || len(tick.Findings) != want.Completed.Index {
			t.Errorf("before %d: %+v, %v; want tick %d", seq, tick, err, want.Number)
			continue
		}
		if head, err := h.log.Ending(t.Context(), want.Seq); err != nil || head.Digest != want.Digest {
			t.Errorf("ending at %d: %v, %v", want.Seq, head, err)
		}
	}
}

// FuzzParsePoint: a point is read again as it is written.
func FuzzParsePoint(f *testing.F) {
	for _, text := range []string{
		"", "seq:1", "seq:9007199254740991", "tick:7", "tick:01966d7e-0000-7000-8000-000000000001", "-2h", "now-1h30m", "-0s",
		"2026-05-01T00:00:00Z", "2026-05-01T00:00:00.123456789+02:00", "0000-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59",
		"seq:0", "seq:-1", "tick:", "now", "now-", "--2h", "tick:00000000-0000-4000-8000-000000000000",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		point, err := eventlog.ParsePoint(text, epoch)
		if err != nil {
			return
		}
		again, err := eventlog.ParsePoint(point.String(), time.Time{})
		if err != nil || again.String() != point.String() {
			t.Errorf("%q is %q, which is read as %q: %v", text, point, again, err)
		}
	})
}

// TestPointsAreSpelt in one way, beside the shorthands for the present.
func TestPointsAreSpelt(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "seq:12": "seq:12", "tick:3": "tick:3", "-2h": "2026-04-30T22:00:00Z", "now-2h": "2026-04-30T22:00:00Z",
		"2026-05-01T02:00:00+02:00": "2026-05-01T00:00:00Z",
	} {
		point, err := eventlog.ParsePoint(text, time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC))
		if err != nil || point.String() != want {
			t.Errorf("%q is %q (%v), want %q", text, point, err, want)
		}
	}
	for _, text := range []string{"seq:0", "seq:x", "tick:0", "tick:x", "now", "now+2h", "2h", "yesterday", "seq:9007199254740992", "tick:00000000-0000-4000-8000-000000000000"} {
		if point, err := eventlog.ParsePoint(text, epoch); err == nil {
			t.Errorf("%q is read as %q", text, point)
		}
	}
	for want, point := range map[string]eventlog.Point{"seq:5": eventlog.PointOfSeq(5), "tick:6": eventlog.PointOfNumber(6)} {
		if fmt.Sprint(point) != want {
			t.Errorf("%s is written %s", want, point)
		}
	}
}
