package events

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// book is a log under composition.
type book struct {
	t       testing.TB
	base    Base
	restate time.Duration
	seq     uint64
	ticks   []*Tick
	written []Message
}

func newBook(t testing.TB, continues *Continues) *book {
	t.Helper()
	w := testWriter(t)
	opening, err := Open(prod(t), "0a0a0a0a-1111-4222-8333-444444444444", goldenTime(0), Opening{
		Writer: w, Writers: []PublicKey{w.Public()}, Continues: continues,
	})
	if err != nil {
		t.Fatal(err)
	}
	head, _, err := ReadOpening(prod(t), opening, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &book{t: t, base: Base{Fleet: prod(t), Head: head}, restate: time.Hour, seq: 1, written: []Message{opening}}
}

// draft completes the findings with what any tick has.
func (b *book) draft(at time.Duration, findings ...Finding) Draft {
	d := Draft{
		Tick: uuid.Must(uuid.NewV7()).String(), Time: goldenTime(at), Findings: findings, Interval: 30 * time.Second,
		Floor: b.base.Head.Floor(),
	}
	if head := b.base.Head.Completed; head != nil && head.Set != nil {
		d.Set = head.Set
	}
	for _, f := range findings {
		if f, ok := f.(*FleetFetched); ok {
			d.Set = referring(0x51, f)
			d.Floor = &Floor{SignedAt: f.SignedAt, FleetHash: f.FleetHash}
		}
	}
	return d
}

func (b *book) compose(d Draft) ([]Message, error) {
	return Compose(b.base, d, Terms{Writer: testWriter(b.t), RestateEvery: b.restate}, b.seq+1)
}

func (b *book) add(d Draft) *Tick {
	b.t.Helper()
	messages, err := b.compose(d)
	if err != nil {
		b.t.Fatal(err)
	}
	tick := readMade(b.t, b.base, messages, b.seq+1, []PublicKey{testWriter(b.t).Public()})
	b.base, b.seq = after(b.base, tick), b.seq+uint64(len(messages))
	b.ticks, b.written = append(b.ticks, tick), append(b.written, messages...)
	return tick
}

// stated is what a tick says of itself, and the leaves of its findings; those
// that are new have a +.
func stated(tick *Tick) string {
	parts := []string{string(tick.Completed.Stated)}
	for _, f := range tick.Findings {
		leaf := Leaf(f)
		if f.Head().New {
			leaf = "+" + leaf
		}
		if idle, ok := f.(*ChannelIdle); ok && idle.Reason == Removed {
			leaf += "/removed"
		}
		parts = append(parts, leaf)
	}
	return strings.Join(parts, " ")
}

type step struct {
	at       time.Duration
	findings []Finding
	want     string
}

func at(after time.Duration, want string, findings ...Finding) step {
	return step{after, findings, want}
}

// TestSameAsBefore holds section 4(3) of the format: what makes a tick say
// something new, and which of its findings are.
func TestSameAsBefore(t *testing.T) {
	one, two := fetched(1, 0, 2), fetched(2, time.Second, 2)
	a, b := verified("a", 11, one), verified("b", 12, one)
	bad := func(reason Reason) Finding { return rejected("a", StageVerify, reason) }
	withDetail := rejected("a", StageVerify, "Parse")
	withDetail.Detail, withDetail.Received = "another", &Received{SHA256: repeated(9), Size: 9}
	moved := *a
	moved.Artifact = artifact(11, 99, 1)
	movedFleet := *one
	movedFleet.Artifact = artifact(1, 98, 1)
	resigned := *a
	resigned.Artifact = artifact(11, 11, 1)
	resigned.Artifact.Signature = make([]byte, 64)
	otherExpected := mismatch("a", CheckFleetHash, 2)
	otherExpected.Expected = repeated(3)
	down := func(reason Reason) Finding { return refused(StageFetch, reason) }
	const s = time.Second
	for name, steps := range map[string][]step{
		"the first tick is all new": {at(s, "changed +FleetFetched +RolloutVerified.a", one, a)},
		"the first tick, skipped":   {at(s, "changed +FleetRejected", down(Timeout))},
		"nothing differs": {
			at(s, "changed +FleetFetched +RolloutVerified.a +RolloutVerified.b", one, b, a),
			at(2*s, "unchanged", one, a, b),
		},
		"one channel differs": {
			at(s, "changed +FleetFetched +RolloutVerified.a +RolloutVerified.b", one, a, b),
			at(2*s, "changed FleetFetched RolloutVerified.a +RolloutVerified.b", one, a, verified("b", 13, one)),
		},
		"the fleet alone differs": {
			at(s, "changed +FleetFetched +RolloutVerified.a", one, a),
			at(2*s, "changed +FleetFetched RolloutVerified.a", two, a),
		},
		"parts do not count": {
			at(s, "changed +FleetFetched +RolloutVerified.a", one, a),
			at(2*s, "unchanged", &movedFleet, &moved),
		},
		"the signature does": {
			at(s, "changed +FleetFetched +RolloutVerified.a", one, a),
			at(2*s, "changed FleetFetched +RolloutVerified.a", one, &resigned),
		},
		"received and detail do not count": {
			at(s, "changed +FleetFetched +RolloutRejected.a", one, bad("Parse")),
			at(70*s, "unchanged", one, withDetail),
		},
		"another reason within 60 s": {
			at(s, "changed +FleetFetched +RolloutRejected.a", one, bad("Parse")),
			at(61*s-time.Millisecond, "unchanged", one, bad("BadSignature")),
			at(61*s, "changed FleetFetched +RolloutRejected.a", one, bad("BadSignature")),
		},
		"another stage within 60 s": {
			at(s, "changed +FleetFetched +RolloutRejected.a", one, bad("Parse")),
			at(31*s, "unchanged", one, rejected("a", StageFetch, Timeout)),
			at(61*s, "changed FleetFetched +RolloutRejected.a", one, rejected("a", StageFetch, Timeout)),
		},
		"the age is the statement's, not the last tick's": {
			at(s, "changed +FleetFetched +RolloutRejected.a", one, bad("Parse")),
			at(31*s, "unchanged", one, bad("Parse")),
			at(62*s, "changed FleetFetched +RolloutRejected.a", one, bad("BadSignature")),
		},
		"a young statement hides no other channel": {
			at(s, "changed +FleetFetched +RolloutRejected.a +RolloutVerified.b", one, bad("Parse"), b),
			at(31*s, "changed FleetFetched RolloutRejected.a +RolloutRejected.b", one, bad("BadSignature"), rejected("b", StageFetch, Timeout)),
		},
		"another kind of refusal is another subject": {
			at(s, "changed +FleetFetched +RolloutRejected.a", one, bad("Parse")),
			at(2*s, "changed FleetFetched +CrossCheckFailed.a", one, mismatch("a", CheckFleetHash, 1)),
		},
		"expected and actual within 60 s": {
			at(s, "changed +FleetFetched +CrossCheckFailed.a", one, mismatch("a", CheckFleetHash, 1)),
			at(31*s, "unchanged", one, otherExpected),
			at(61*s, "changed FleetFetched +CrossCheckFailed.a", one, otherExpected),
		},
		"another check": {
			at(s, "changed +FleetFetched +CrossCheckFailed.a", one, mismatch("a", CheckFleetHash, 1)),
			at(2*s, "changed FleetFetched +CrossCheckFailed.a", one, mismatch("a", CheckHostSet, 1)),
		},
		"a rollout id comes": {
			at(s, "changed +FleetFetched +RolloutRejected.a", one, rejected("a", StageIdentity, Projection)),
			at(2*s, "changed FleetFetched +RolloutRejected.a", one, rejected("a", StageFetch, Timeout)),
		},
		"carried compares as present": {
			at(s, "changed +FleetFetched +RolloutVerified.a", one, carried(a, Timeout)),
			at(70*s, "unchanged", one, carried(a, Unavailable)),
			at(71*s, "changed FleetFetched +RolloutVerified.a", one, a),
			at(72*s, "changed FleetFetched +RolloutVerified.a", one, carried(a, Timeout)),
		},
		"skipped behind skipped": {
			at(s, "changed +FleetRejected", down(Timeout)),
			at(31*s, "unchanged", down(Unreachable)),
			at(61*s, "changed +FleetRejected", down(Unreachable)),
			at(131*s, "unchanged", down(Unreachable)),
		},
		"verified and skipped state anew": {
			at(s, "changed +FleetFetched +RolloutVerified.a", one, a),
			at(2*s, "changed +FleetRejected", down(Timeout)),
			at(3*s, "changed +FleetFetched +RolloutVerified.a", one, a),
		},
		"removed is said once": {
			at(s, "changed +FleetFetched +RolloutVerified.a +RolloutVerified.b", one, a, b),
			at(2*s, "changed FleetFetched RolloutVerified.a +ChannelIdle.b/removed", one, a),
			at(3*s, "unchanged", one, a),
			at(4*s, "changed FleetFetched +RolloutVerified.a", one, verified("a", 13, one)),
		},
		"removed while ticks are skipped": {
			at(s, "changed +FleetFetched +RolloutVerified.a +ChannelIdle.b", one, a, idle("b")),
			at(2*s, "changed +FleetRejected", down(Timeout)),
			at(90*s, "changed +FleetRejected", down(Unreachable)),
			at(91*s, "changed +FleetFetched +RolloutVerified.a +ChannelIdle.b/removed", one, a),
			at(92*s, "unchanged", one, a),
		},
		"removed and skipped at once": {
			at(s, "changed +FleetFetched +RolloutVerified.a +RolloutVerified.b", one, a, b),
			at(2*s, "changed FleetFetched RolloutVerified.a +ChannelIdle.b/removed", one, a),
			at(3*s, "changed +FleetRejected", down(Timeout)),
			at(4*s, "changed +FleetFetched +RolloutVerified.a", one, a),
		},
		"what was removed comes back": {
			at(s, "changed +FleetFetched +ChannelIdle.b", one, idle("b")),
			at(2*s, "changed FleetFetched +ChannelIdle.b/removed", one),
			at(3*s, "changed FleetFetched +ChannelIdle.b", one, idle("b")),
		},
		"restated at its age": {
			at(s, "changed +FleetFetched +RolloutVerified.a", one, a),
			at(time.Hour+s-time.Millisecond, "unchanged", one, a),
			at(time.Hour+s, "restated FleetFetched RolloutVerified.a", one, a),
			at(2*time.Hour+s-time.Millisecond, "unchanged", one, a),
		},
		"a statement with removed is restated without": {
			at(s, "changed +FleetFetched +RolloutVerified.a +RolloutVerified.b", one, a, b),
			at(2*s, "changed FleetFetched RolloutVerified.a +ChannelIdle.b/removed", one, a),
			at(time.Hour+2*s, "restated FleetFetched RolloutVerified.a", one, a),
		},
		"a change at the age of restating is a change": {
			at(s, "changed +FleetFetched +RolloutVerified.a", one, a),
			at(time.Hour+s, "changed FleetFetched +RolloutVerified.a", one, verified("a", 13, one)),
		},
		"sorted by bytes": {
			at(s, "changed +FleetFetched +ChannelIdle.B +ChannelIdle.a +ChannelIdle.a-b +ChannelIdle.=C3=A4", one, idle("ä"), idle("a-b"), idle("B"), idle("a")),
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBook(t, nil)
			for _, step := range steps {
				if got := stated(b.add(b.draft(step.at, step.findings...))); got != step.want {
					t.Fatalf("at %s: %s\nwant %s", step.at, got, step.want)
				}
			}
		})
	}
}

func TestRestatedAlways(t *testing.T) {
	b, one := newBook(t, nil), fetched(1, 0, 0)
	b.restate = 0
	b.add(b.draft(time.Second, one))
	if got := stated(b.add(b.draft(time.Second, one))); got != "restated FleetFetched" {
		t.Errorf("second tick: %s, want it restated", got)
	}
}
