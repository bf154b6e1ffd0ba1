package fold_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"fleetlog/consumers/fold"
	"fleetlog/consumers/state"
	"fleetlog/events"
	"fleetlog/manifest"

	"github.com/google/go-cmp/cmp"
)

// generated are logs of some fixed seeds, and of some that are printed.
func generated(t *testing.T) map[string]*written {
	t.Helper()
	seeds := []uint64{1, 2, rand.Uint64()} //nolint:gosec // not secrets
	t.Logf("seeds %v", seeds)
	all := make(map[string]*written)
	for _, seed := range seeds {
		all[fmt.Sprintf("seed %d", seed)] = generate(t, seed, 60)
	}
	return all
}

// TestGeneratedLogs makes sure that the other tests of this file see what they
// are for.
func TestGeneratedLogs(t *testing.T) {
	seen := make(map[string]int)
	for seed := range uint64(2) {
		for what, n := range generate(t, seed+1, 60).seen {
			seen[what] += n
		}
	}
	for _, what := range []string{
		"verified", "skipped", "changed", "unchanged", "restated", "carried", "RolloutRejected", "CrossCheckFailed",
		"ChannelIdle", "BadSignature", "Stale", "Rollback", "TrustInvalid", "Unreachable", "no set", "without",
	} {
		if seen[what] == 0 {
			t.Errorf("%s never happens", what)
		}
	}
	t.Log(seen)
}

// TestWritersAgree folds logs to which everything has happened: the set is
// after every tick the one that the writer, which judges by its own code, says.
func TestWritersAgree(t *testing.T) {
	for name, l := range generated(t) {
		t.Run(name, func(t *testing.T) {
			s := l.begin()
			for i, tick := range l.ticks {
				var verdict fold.Verdict
				s, verdict = l.step(t, s, i)
				if diff := cmp.Diff(said(tick), snap(s)); diff != "" || verdict.Diverged {
					t.Fatalf("tick %d (-writer +own):\n%s\nfleet: %v, channels: %v", tick.Head.Number, diff, verdict.Fleet, verdict.Channels)
				}
				if diff := cmp.Diff(saidIDs(tick), ids(s.Set)); fold.Needs(tick) && diff != "" {
					t.Fatalf("tick %d: rollout ids (-writer +own):\n%s", tick.Head.Number, diff)
				}
			}
		})
	}
}

// saidIDs are the rollout ids that a verified statement states.
func saidIDs(tick *events.Tick) map[string]string {
	all := make(map[string]string)
	for _, f := range tick.Findings {
		if f, ok := f.(*events.RolloutVerified); ok {
			all[f.Channel] = f.RolloutID
		}
	}
	return all
}

func ids(set *manifest.Set) map[string]string {
	all := make(map[string]string)
	if set != nil {
		for _, r := range set.Rollouts() {
			all[r.Value().Channel] = set.ID(r).String()
		}
	}
	return all
}

// TestAnySplitAnyRestart folds every log several times, stopping at random
// ticks and going on from a state directory: what is held after every tick is
// what one pass holds there.
func TestAnySplitAnyRestart(t *testing.T) {
	all := generated(t)
	all["example"], all["rich"] = exampleLog(t), richLog(t)
	for name, l := range all {
		t.Run(name, func(t *testing.T) {
			want := l.onePass(t)
			for range 3 {
				seed := rand.Uint64() //nolint:gosec // not a secret
				split(t, l, rand.New(rand.NewPCG(seed, 0)), want)
				if t.Failed() {
					t.Fatalf("splits of seed %d", seed)
				}
			}
		})
	}
}

func split(t *testing.T, l *written, random *rand.Rand, want []snapshot) {
	t.Helper()
	path := t.TempDir()
	s, c := l.begin(), state.Checkpoint{}
	restarts := 0
	for i, tick := range l.ticks {
		if i > 0 && random.IntN(4) == 0 {
			s, c = restart(t, path, l, s, c, i)
			restarts++
			if random.IntN(4) == 0 { // twice in one place is like once
				s, c = restart(t, path, l, s, c, i)
			}
		}
		s, _ = l.step(t, s, i)
		if diff := cmp.Diff(want[i], snap(s)); diff != "" {
			t.Errorf("tick %d, after %d restarts (-one pass +split):\n%s", tick.Head.Number, restarts, diff)
			return
		}
	}
}

// restart saves behind tick i-1 and loads as the process does that folds tick i
// next: under the trust file that is then in force.
func restart(t *testing.T, path string, l *written, s fold.State, c state.Checkpoint, i int) (fold.State, state.Checkpoint) {
	t.Helper()
	directory, err := state.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := directory.Save(l.checkpoint(c, i-1), s); err != nil {
		t.Fatal(err)
	}
	if err := directory.Close(); err != nil {
		t.Fatal(err)
	}
	loaded, again, err := state.View(path).Load(l.rules(l.ticks[i].Head.Time))
	if err != nil {
		t.Fatal(err)
	}
	return again, *loaded
}

// checkpoint is c moved to the i-th tick.
func (l *written) checkpoint(c state.Checkpoint, i int) state.Checkpoint {
	head := l.ticks[i].Head
	c.Lineage, c.Stream = head.Lineage, "nixfleet-prod-events"
	c.Writers = []events.PublicKey{head.Completed.Writer}
	c.Sequence, c.EventID, c.EventDigest = head.Seq, head.EventID(), head.Digest
	c.Tick, c.Time = head.Number, head.Time
	rules := l.rules(head.Time)
	c.TrustDigest, c.Window = rules.Trust.Digest(), rules.Window
	return c
}
