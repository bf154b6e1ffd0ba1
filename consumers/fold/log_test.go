package fold_test

import (
	"fmt"
	"testing"
	"time"

	"fleetlog/consumers/fold"
	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/manifest"
)

const window = manifest.Window(3600)

// written is a log in memory: its valid ticks, the bytes that they name, and
// the trust files that were in force.
type written struct {
	opening events.Head
	ticks   []*events.Tick
	parts   map[uint64][]byte // the artifacts stream
	trusts  []inForce         // by time
	seen    map[string]int    // how often what has happened, in a generated one
}

type inForce struct {
	from  events.Time
	trust *manifest.Trust
}

func parseTrust(t testing.TB, data []byte) *manifest.Trust {
	t.Helper()
	trust, err := manifest.ParseTrust(data)
	if err != nil {
		t.Fatal(err)
	}
	return trust
}

func prod(t testing.TB) events.FleetName {
	t.Helper()
	name, err := events.ParseFleetName("prod")
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// read pushes messages through the chain: what a reader of the log gets.
func read(t testing.TB, messages []events.Message) (events.Head, []*events.Tick) {
	t.Helper()
	opening, writers, err := events.ReadOpening(prod(t), messages[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	chain := events.NewChain(prod(t), writers, opening)
	var ticks []*events.Tick
	for i, m := range messages[1:] {
		tick, noise, err := chain.Push(uint64(i+2), m)
		if err != nil || len(noise) > 0 {
			t.Fatalf("sequence %d: noise %v, error %v", i+2, noise, err)
		}
		if tick != nil {
			ticks = append(ticks, tick)
		}
	}
	return opening, ticks
}

// rules are those in force at the time.
func (l *written) rules(at events.Time) fold.Rules {
	trust := l.trusts[0].trust
	for _, f := range l.trusts {
		if f.from <= at {
			trust = f.trust
		}
	}
	return fold.Rules{Trust: trust, Window: window}
}

// artifacts are the bytes that the tick names; nil when it needs none.
func (l *written) artifacts(t testing.TB, tick *events.Tick) *eventlog.StatementArtifacts {
	t.Helper()
	if !fold.Needs(tick) {
		return nil
	}
	all := &eventlog.StatementArtifacts{Rollouts: make(map[string]manifest.Received)}
	for _, f := range tick.Findings {
		a := events.ArtifactOf(f)
		if a == nil {
			continue
		}
		var body []byte
		for _, seq := range a.Parts {
			body = append(body, l.parts[seq]...)
		}
		if len(body) != a.Size || manifest.Sum(body) != a.SHA256 {
			t.Fatalf("tick %d: artifact %s is not stored", tick.Head.Number, a.SHA256)
		}
		received := manifest.Received{Body: body, Signature: a.Signature}
		if channel, ok := f.ChannelName(); ok {
			all.Rollouts[channel] = received
		} else {
			all.Fleet = received
		}
	}
	return all
}

// begin is the state before the first tick.
func (l *written) begin() fold.State {
	return fold.State{Floor: fold.FloorOf(l.opening.Floor())}
}

// step folds the i-th tick, taking a trust file that has changed since the tick
// before it into force first.
func (l *written) step(t testing.TB, s fold.State, i int) (fold.State, fold.Verdict) {
	t.Helper()
	tick := l.ticks[i]
	rules := l.rules(tick.Head.Time)
	if i > 0 && l.rules(l.ticks[i-1].Head.Time).Trust != rules.Trust {
		s = fold.Cover(s, rules.Trust, tick.Head.Time.Time())
	}
	return fold.Apply(s, tick, l.artifacts(t, tick), rules)
}

// snapshot is what must be the same however a log was folded.
type snapshot struct {
	Set     string
	Without []string
	Floor   string
}

func snap(s fold.State) snapshot {
	shot := snapshot{Set: "none", Without: s.Without, Floor: fmt.Sprint(s.Floor.SignedAt, " ", s.Floor.FleetHash)}
	if s.Set != nil {
		shot.Set = s.Set.Digest().String()
	}
	if s.Floor.SignedAt.IsZero() {
		shot.Floor = "none"
	}
	return shot
}

// said is what the writer says that a correct reader holds after the tick.
func said(tick *events.Tick) snapshot {
	var s fold.State
	s.Floor = fold.FloorOf(tick.Completed.Floor)
	shot := snap(s)
	if ref := tick.Completed.Set; ref != nil {
		shot.Set, shot.Without = ref.Digest.String(), ref.Without
	}
	return shot
}

// onePass folds the whole log, and returns what is held after every tick.
func (l *written) onePass(t testing.TB) []snapshot {
	t.Helper()
	s := l.begin()
	var all []snapshot
	for i := range l.ticks {
		s, _ = l.step(t, s, i)
		all = append(all, snap(s))
	}
	return all
}

func instant(s string) time.Time {
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return at
}
