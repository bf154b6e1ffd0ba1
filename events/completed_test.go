package events

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"fleetlog/manifest"

	"github.com/google/go-cmp/cmp"
)

// TestCompleted demands what TickCompleted says beside its findings.
func TestCompleted(t *testing.T) {
	one := fetched(1, 0, 2)
	a, c := verified("a", 11, one), verified("c", 12, one)
	b := newBook(t, nil)
	counts := func(verified, rejected, crossCheckFailed, idle int) Counts {
		return Counts{Verified: verified, Rejected: rejected, CrossCheckFailed: crossCheckFailed, Idle: idle}
	}
	for _, step := range []struct {
		findings []Finding
		counts   Counts
		severity Severity
		set      uint64 // the tick whose statement the set comes from
		stated   uint64 // the tick whose statement is named
	}{
		{[]Finding{one, a, c, idle("d")}, counts(2, 0, 0, 1), Info, 1, 1},
		{[]Finding{one, a, c, idle("d")}, counts(2, 0, 0, 1), Info, 1, 1},
		{[]Finding{one, a, rejected("c", StageFetch, Timeout), mismatch("d", CheckHostSet, 1)}, counts(1, 1, 1, 0), Warning, 3, 3},
		{[]Finding{one, a, rejected("c", StageFetch, Timeout), mismatch("d", CheckHostSet, 1)}, counts(1, 1, 1, 0), Warning, 3, 3},
		{[]Finding{one, carried(a, Timeout)}, counts(1, 0, 0, 0), Warning, 5, 5},
		{[]Finding{refused(StageFetch, Timeout)}, counts(0, 0, 0, 0), Error, 5, 6},
		{[]Finding{refused(StageFetch, Timeout)}, counts(0, 0, 0, 0), Error, 5, 6},
		{[]Finding{one, a}, counts(1, 0, 0, 0), Info, 8, 8},
		{[]Finding{one, idle("e")}, counts(0, 0, 0, 1), Warning, 9, 9}, // a is removed
		{[]Finding{one, idle("e")}, counts(0, 0, 0, 1), Warning, 9, 9}, // the statement still says so
	} {
		tick := b.add(b.draft(time.Duration(len(b.ticks)+1)*time.Second, step.findings...))
		got, n := tick.Completed, tick.Head.Number
		if diff := cmp.Diff(step.counts, got.Counts); diff != "" || got.Severity != step.severity || got.New != (got.Stated == Changed) {
			t.Errorf("tick %d: severity %s, new %v, counts (-want +got):\n%s", n, got.Severity, got.New, diff)
		}
		if want := b.ticks[step.stated-1].Completed.Statement; got.Statement.FirstSeq != want.FirstSeq || got.Statement.Number != step.stated {
			t.Errorf("tick %d names the statement of tick %d, want %d", n, got.Statement.Number, step.stated)
		}
		if want := b.ticks[step.set-1].Completed.Statement; got.Set.FirstSeq != want.FirstSeq || got.Set.LastSeq != want.LastSeq || got.Set.Tick != want.Tick {
			t.Errorf("tick %d has the set of the statement at %d, want tick %d's", n, got.Set.FirstSeq, step.set)
		}
	}
}

func TestComposeRefuses(t *testing.T) {
	one := fetched(1, 0, 1)
	earlier := &Floor{SignedAt: goldenInstant(-time.Second)}
	for name, change := range map[string]func(*Draft){
		"a time before the last tick's": func(d *Draft) { d.Time = goldenTime(time.Second - time.Millisecond) },
		"a floor that goes back":        func(d *Draft) { d.Floor = earlier },
		"no floor any more":             func(d *Draft) { d.Floor = nil },
		"no fleet":                      func(d *Draft) { d.Findings = d.Findings[1:] },
		"two fleets":                    func(d *Draft) { d.Findings = append(d.Findings, one) },
		"channels of a skipped tick":    func(d *Draft) { d.Findings[0] = refused(StageFetch, Timeout) },
		"no set of a verified tick":     func(d *Draft) { d.Set = nil },
		"an unknown event":              func(d *Draft) { d.Findings = append(d.Findings, new(Unrecognized)) },
		"no tick id":                    func(d *Draft) { d.Tick = "" },
		"a detail of two lines": func(d *Draft) {
			r := rejected("b", StageFetch, Timeout)
			r.Detail = "a\nb"
			d.Findings = append(d.Findings, r)
		},
	} {
		b := newBook(t, nil)
		b.add(b.draft(time.Second, one, idle("a")))
		d := b.draft(2*time.Second, one, verified("a", 11, one))
		if _, err := b.compose(d); err != nil {
			t.Fatal(err)
		}
		d.Findings = slices.Clone(d.Findings)
		change(&d)
		if _, err := b.compose(d); err == nil {
			t.Errorf("%s: composed", name)
		}
	}
	b := newBook(t, nil)
	d := b.draft(time.Second, refused(StageFetch, Timeout))
	d.Set = referring(1, one)
	if _, err := b.compose(d); err == nil {
		t.Error("a set out of nothing: composed")
	}
}

func TestContinuedLogBeginsVerified(t *testing.T) {
	floor := &Floor{SignedAt: goldenInstant(-time.Hour), FleetHash: repeated(1)}
	b := newBook(t, &Continues{Lineage: "0b0b0b0b-1111-4222-8333-444444444444", Number: 3, Digest: repeated(2), Floor: floor})
	if _, err := b.compose(b.draft(time.Second, refused(StageFetch, Timeout))); !errors.Is(err, ErrContinuedUnverified) {
		t.Errorf("skipped first tick: %v, want ErrContinuedUnverified", err)
	}
	older := b.draft(time.Second, fetched(1, -2*time.Hour, 0))
	if _, err := b.compose(older); err == nil {
		t.Error("a first fleet below the continued floor: composed")
	}
	if got := b.base.Head.Floor(); got == nil || got.SignedAt != floor.SignedAt {
		t.Errorf("floor before the first tick %+v, want the continued log's", got)
	}
	b.add(b.draft(time.Second, fetched(1, 0, 0)))
	b.add(b.draft(2*time.Second, refused(StageFetch, Timeout)))
}

// TestComposeTwice demands the same bytes, and that facts are left as they were.
func TestComposeTwice(t *testing.T) {
	b, one := newBook(t, nil), fetched(1, 0, 1)
	d := b.draft(time.Second, verified("a", 11, one), one)
	first, err := b.compose(d)
	if err != nil {
		t.Fatal(err)
	}
	second, err := b.compose(d)
	if diff := cmp.Diff(first, second); err != nil || diff != "" {
		t.Errorf("composed again: %v (-first +second):\n%s", err, diff)
	}
	if one.Type != "" || one.Message != "" || one.Index != 0 {
		t.Errorf("the fact was written to: %+v", one.Envelope)
	}
}

func TestPreview(t *testing.T) {
	b, one := newBook(t, nil), fetched(1, 0, 1)
	one.Artifact.Parts = nil
	lines, err := Preview(prod(t), b.draft(time.Second, verified("a", 11, one), one))
	if err != nil || len(lines) != 3 {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	for i, want := range []string{`"parts":[]`, `"type":"RolloutVerified.v1"`, `"lineage":"00000000-0000-0000-0000-000000000000","seq":4`} {
		if !strings.Contains(string(lines[i]), want) {
			t.Errorf("line %d has no %s: %s", i+1, want, lines[i])
		}
	}
}

func TestStatementDigestLeavesOutWhatTicksDifferIn(t *testing.T) {
	a := []byte(`{"type":"X.v1","tick":"1","number":1,"index":0,"time":"t","x":{"tick":1},"new":true}`)
	b := []byte(`{"type":"X.v1","tick":"2","number":2,"index":5,"time":"u","x":{"tick":1},"new":true}`)
	c := []byte(`{"type":"X.v1","tick":"2","number":2,"index":5,"time":"u","x":{"tick":2},"new":true}`)
	sum := func(bodies ...[]byte) manifest.Digest {
		t.Helper()
		d, err := StatementDigest(bodies)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	if sum(a) != sum(b) || sum(a) == sum(c) || sum(a, c) == sum(c, a) {
		t.Error("digest does not depend on just the facts and their order")
	}
	if want := manifest.Sum([]byte(`[{"new":true,"type":"X.v1","x":{"tick":1}}]`)); sum(a) != want {
		t.Errorf("digest %s, want %s", sum(a), want)
	}
	for _, bad := range []string{``, `[]`, `{"a":1}x`, `{"a":1,"a":2}`, `{"a":`} {
		if d, err := StatementDigest([][]byte{[]byte(bad)}); err == nil {
			t.Errorf("%q: %s", bad, d)
		}
	}
}
