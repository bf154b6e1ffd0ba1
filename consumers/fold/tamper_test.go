package fold_test

import (
	"bytes"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"fleetlog/consumers/fold"
	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/fleetsim"
	"fleetlog/manifest"

	"github.com/google/go-cmp/cmp"
)

// genuine is a fleet with three channels as a statement names it.
func genuine(t testing.TB, f fleetsim.Fleet, s *fleetsim.Signer) *eventlog.StatementArtifacts {
	t.Helper()
	release, err := f.Sign(s)
	if err != nil {
		t.Fatal(err)
	}
	pair := func(name string) manifest.Received {
		return manifest.Received{Body: release[name].Data, Signature: release[name+".sig"].Data}
	}
	all := &eventlog.StatementArtifacts{Fleet: pair("fleet.resolved.json"), Rollouts: make(map[string]manifest.Received)}
	for n := range f.Channels {
		name := fleetsim.ChannelName(n)
		all.Rollouts[name] = pair("rollouts/" + name + "@" + f.Commit + ".json")
	}
	return all
}

func threeChannels() fleetsim.Fleet {
	return fleetsim.Fleet{Hosts: 6, Channels: 3, Commit: "aaaa", SignedAt: epoch}
}

// statement is a verified tick that says nothing but that there are findings.
func statement(number uint64, at time.Time) *events.Tick {
	return &events.Tick{
		Completed: &events.TickCompleted{Outcome: events.Verified},
		Findings:  []events.Finding{&events.FleetFetched{}},
		Head:      events.Head{Number: number, Time: events.TimeOf(at)},
	}
}

func trusting(t testing.TB, signers ...*fleetsim.Signer) fold.Rules {
	t.Helper()
	return fold.Rules{Trust: parseTrust(t, trustOf(t, signers...)), Window: window}
}

// everyArtifact calls f with the place of every artifact in turn, each time in
// a fresh copy.
func everyArtifact(t *testing.T, f func(name string, in *eventlog.StatementArtifacts, at *manifest.Received)) {
	t.Helper()
	for _, name := range []string{"", fleetsim.ChannelName(0), fleetsim.ChannelName(1), fleetsim.ChannelName(2)} {
		in := genuine(t, threeChannels(), signer)
		at := in.Fleet
		if name != "" {
			at = in.Rollouts[name]
		}
		f(name, in, &at)
		if name != "" {
			in.Rollouts[name] = at
		} else {
			in.Fleet = at
		}
		checkRefused(t, name, in)
	}
}

// checkRefused folds artifacts of which one, that of the channel or the fleet,
// must not get into the set.
func checkRefused(t *testing.T, name string, in *eventlog.StatementArtifacts) {
	t.Helper()
	s, verdict := fold.Apply(fold.State{}, statement(1, epoch), in, trusting(t, signer))
	if name == "" {
		if s.Set != nil || verdict.Fleet == nil || !s.Floor.SignedAt.IsZero() {
			t.Errorf("a fleet that does not verify was taken: %v", verdict.Fleet)
		}
		return
	}
	if s.Set == nil {
		t.Fatalf("%s: the whole set was lost: %v", name, verdict.Fleet)
	}
	if _, ok := s.Set.Rollout(name); ok || verdict.Channels[name] == nil {
		t.Errorf("%s: a manifest that does not verify was taken", name)
	}
	if others := len(s.Set.Rollouts()); others != 2 {
		t.Errorf("%s: %d channels are left, want the other two", name, others)
	}
}

// No artifact enters a set that this reader's trust does not verify (I5).
func TestTamperedArtifacts(t *testing.T) {
	in := genuine(t, threeChannels(), signer)
	if s, v := fold.Apply(fold.State{}, statement(1, epoch), in, trusting(t, signer)); s.Set == nil || len(s.Set.Rollouts()) != 3 {
		t.Fatalf("genuine artifacts make no whole set: %v %v", v.Fleet, v.Channels)
	}
	seed := rand.Uint64() //nolint:gosec // not a secret
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	flip := func(data []byte) []byte {
		data = bytes.Clone(data)
		data[random.IntN(len(data))] ^= byte(1 << random.IntN(8))
		return data
	}
	for range 40 {
		everyArtifact(t, func(_ string, _ *eventlog.StatementArtifacts, at *manifest.Received) { at.Body = flip(at.Body) })
		everyArtifact(t, func(_ string, _ *eventlog.StatementArtifacts, at *manifest.Received) {
			at.Signature = flip(at.Signature)
		})
	}
	everyArtifact(t, func(_ string, _ *eventlog.StatementArtifacts, at *manifest.Received) { at.Signature = nil })
	everyArtifact(t, func(_ string, _ *eventlog.StatementArtifacts, at *manifest.Received) { at.Body = nil })
	everyArtifact(t, func(_ string, _ *eventlog.StatementArtifacts, at *manifest.Received) {
		signed, err := another.Sign(at.Body)
		if err != nil {
			t.Fatal(err)
		}
		*at = signed
	})
}

// A well-signed artifact in another's place is as bad as a broken one.
func TestMisplacedArtifacts(t *testing.T) {
	other := threeChannels()
	other.Closures = 1 // the same rollout ids, of another fleet
	older := genuine(t, other, signer)
	everyArtifact(t, func(name string, in *eventlog.StatementArtifacts, at *manifest.Received) {
		if name == "" {
			*at = in.Rollouts[fleetsim.ChannelName(0)]
		} else {
			*at = in.Fleet
		}
	})
	for n := range 3 {
		name, next := fleetsim.ChannelName(n), fleetsim.ChannelName((n+1)%3)
		in := genuine(t, threeChannels(), signer)
		in.Rollouts[name] = in.Rollouts[next]
		checkRefused(t, name, in)
		in.Rollouts[name] = older.Rollouts[name]
		checkRefused(t, name, in)
	}
	in := genuine(t, threeChannels(), signer)
	in.Rollouts["no-such-channel"] = in.Rollouts[fleetsim.ChannelName(0)]
	s, v := fold.Apply(fold.State{}, statement(1, epoch), in, trusting(t, signer))
	if s.Set == nil || len(s.Set.Rollouts()) != 3 || v.Channels["no-such-channel"] == nil {
		t.Errorf("a manifest for a channel that the fleet has not: %v", v.Channels)
	}
}

// TestEventsAreNotUsed folds the corpus's logs with every field of every event
// a lie, but for the time and what decides whether there is anything to fold.
func TestEventsAreNotUsed(t *testing.T) {
	for name, l := range map[string]*written{"example": exampleLog(t), "rich": richLog(t)} {
		t.Run(name, func(t *testing.T) {
			want := l.onePass(t)
			artifacts := make([]*eventlog.StatementArtifacts, len(l.ticks))
			for i, tick := range l.ticks {
				artifacts[i] = l.artifacts(t, tick)
			}
			s := l.begin()
			for i, tick := range l.ticks {
				rules := l.rules(tick.Head.Time)
				if i > 0 && l.rules(l.ticks[i-1].Head.Time).Trust != rules.Trust {
					s = fold.Cover(s, rules.Trust, tick.Head.Time.Time())
				}
				var verdict fold.Verdict
				s, verdict = fold.Apply(s, lie(tick), artifacts[i], rules)
				if diff := cmp.Diff(want[i], snap(s)); diff != "" {
					t.Fatalf("tick %d (-true +lies):\n%s", tick.Head.Number, diff)
				}
				if !verdict.Diverged {
					t.Errorf("tick %d: the writer's lie about the set was not noticed", tick.Head.Number)
				}
			}
		})
	}
}

// lie keeps of a tick whether it has findings, its outcome and its time.
func lie(tick *events.Tick) *events.Tick {
	lies := &events.Tick{Head: events.Head{Time: tick.Head.Time}}
	future := manifest.InstantOf(epoch.AddDate(100, 0, 0))
	lies.Completed = &events.TickCompleted{
		Outcome: tick.Completed.Outcome, Counts: events.Counts{Rejected: 9},
		Set:   &events.SetReference{Digest: manifest.Sum([]byte("x")), SignedAt: future, Without: []string{"edge", "stable"}},
		Floor: &events.Floor{SignedAt: future},
	}
	if len(tick.Findings) > 0 {
		lies.Findings = []events.Finding{
			&events.FleetFetched{FleetHash: manifest.Sum([]byte("y")), SignedAt: future},
			&events.RolloutRejected{Channel: "edge", Reason: events.Mismatch},
			&events.ChannelIdle{Channel: "stable", Reason: events.Removed},
		}
	}
	return lies
}

// TestFloor: nothing older is accepted again, whatever has happened to the set
// since, and the floor never goes down (I6).
func TestFloor(t *testing.T) {
	later := threeChannels()
	later.SignedAt = epoch.Add(10 * time.Minute)
	twin := later
	twin.Closures = 7
	rules := trusting(t, signer)
	high, _ := fold.Apply(fold.State{}, statement(1, later.SignedAt), genuine(t, later, signer), rules)
	bare := fold.Cover(high, parseTrust(t, trustOf(t, another)), later.SignedAt)
	if high.Set == nil || bare.Set != nil || bare.Floor != high.Floor {
		t.Fatal("covering by another key must take the set and leave the floor")
	}
	for name, held := range map[string]fold.State{"with a set": high, "without a set": bare} {
		for fleet, reason := range map[fleetsim.Fleet]events.Reason{threeChannels(): events.Rollback, twin: events.Equivocation} {
			s, v := fold.Apply(held, statement(2, later.SignedAt), genuine(t, fleet, signer), rules)
			var refused *fold.FloorError
			if !errors.As(v.Fleet, &refused) || refused.Reason != reason {
				t.Errorf("%s: %v, want %s", name, v.Fleet, reason)
			}
			if diff := cmp.Diff(snap(held), snap(s)); diff != "" {
				t.Errorf("%s: a %s changed what is held:\n%s", name, reason, diff)
			}
		}
	}
	if s, v := fold.Apply(bare, statement(2, later.SignedAt), genuine(t, later, signer), rules); s.Set == nil {
		t.Errorf("the very fleet of the floor is refused: %v", v.Fleet)
	}
}

// TestFloorNeverFalls folds fleets in a random order of their signing times.
func TestFloorNeverFalls(t *testing.T) {
	seed := rand.Uint64() //nolint:gosec // not a secret
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	rules := trusting(t, signer)
	var s fold.State
	for n := range uint64(60) {
		f := threeChannels()
		f.SignedAt, f.Closures = epoch.Add(time.Duration(random.IntN(20))*time.Second), random.IntN(2)
		before := s.Floor
		s, _ = fold.Apply(s, statement(n+1, epoch.Add(time.Minute)), genuine(t, f, signer), rules)
		if s.Floor.Newer(before) != s.Floor {
			t.Fatalf("floor went from %v to %v", before, s.Floor)
		}
		if s.Set.Fleet().SignedAt() != s.Floor.SignedAt {
			t.Fatalf("the set's fleet is not the floor's")
		}
		if random.IntN(5) == 0 {
			s = fold.Cover(s, parseTrust(t, trustOf(t, another)), epoch)
			if s.Set != nil || s.Floor.Newer(before) != s.Floor {
				t.Fatal("floor fell with the set")
			}
			s, _ = fold.Apply(s, statement(n+1, epoch.Add(time.Minute)), genuine(t, heldBy(s), signer), rules)
		}
	}
}

// heldBy is a fleet that the floor accepts.
func heldBy(s fold.State) fleetsim.Fleet {
	f := threeChannels()
	f.SignedAt = s.Floor.SignedAt.Time().Add(time.Second)
	return f
}

// Cover takes channels one by one and remembers which.
func TestCover(t *testing.T) {
	in := genuine(t, threeChannels(), signer)
	both := trusting(t, signer, another)
	for n, name := range slices.Sorted(maps.Keys(in.Rollouts)) {
		if n == 0 {
			continue
		}
		signed, err := another.Sign(in.Rollouts[name].Body)
		if err != nil {
			t.Fatal(err)
		}
		in.Rollouts[name] = signed
	}
	s, _ := fold.Apply(fold.State{}, statement(1, epoch), in, both)
	less := fold.Cover(s, parseTrust(t, trustOf(t, signer)), epoch)
	if diff := cmp.Diff([]string{fleetsim.ChannelName(1), fleetsim.ChannelName(2)}, less.Without); diff != "" {
		t.Errorf("without (-want +got):\n%s", diff)
	}
	again := fold.Cover(less, both.Trust, epoch)
	if diff := cmp.Diff(snap(less), snap(again)); diff != "" {
		t.Errorf("what trust took came back before the next statement:\n%s", diff)
	}
}
