package cmd_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"fleetlog/consumers/check"
	"fleetlog/consumers/state"

	"github.com/google/go-cmp/cmp"
)

const (
	killRounds    = 20
	looksARound   = 1000
	lookPause     = time.Millisecond
	leastChanges  = 5.0 // of the set, a second, in a round that counts
	killPatience  = 8 * time.Minute
	killSeedEntry = "FLEETLOG_KILL_SEED"
)

// TestReducerSurvivesKills kills a reducer at random moments while the set
// changes with every tick. Its `current` is one whole set at every look, before,
// during and after the kill; its checkpoint is one that a reader who was never
// interrupted had, too; and once it has caught up again it holds what that
// reader holds.
//
// A round in which the machine was too busy to change the set often enough is
// checked like any other, but another one is run in its place.
func TestReducerSurvivesKills(t *testing.T) {
	seed := killSeed(t)
	t.Logf("seed %d; %s sets another one", seed, killSeedEntry)
	ctx, cancel := context.WithTimeoutCause(t.Context(), killPatience, errTooBusy)
	defer cancel()
	s := newSurvival(ctx, t, rand.New(rand.NewPCG(seed, seed)))
	for counted, n := 0, 1; counted < killRounds; n++ {
		if s.round(ctx, n) >= leastChanges {
			counted++
		}
	}
	s.finish(ctx)
}

var errTooBusy = fmt.Errorf("no %d rounds with %.0f changes of the set a second in %s", killRounds, leastChanges, killPatience)

func killSeed(t *testing.T) uint64 {
	text := os.Getenv(killSeedEntry)
	if text == "" {
		return uint64(time.Now().UnixNano())
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", killSeedEntry, err)
	}
	return seed
}

// survival is a reducer that is killed again and again, and what its doings are
// compared with.
type survival struct {
	*scene
	random    *rand.Rand
	reference *reference
	looker    *looker
	reducer   daemon
	stateDir  string
	unsaved   int // kills that interrupted a save
}

func newSurvival(ctx context.Context, t *testing.T, random *rand.Rand) *survival {
	s := &survival{scene: newScene(ctx, t), random: random}
	s.stateDir = filepath.Join(s.dir, "state")
	s.reference = s.follow(ctx)
	s.looker = newLooker(s.stateDir, s.rules)
	s.startReducer()
	return s
}

func (s *survival) startReducer() {
	s.reducer = s.start("reducer", "run", "--fleet", fleet, "--nats-url", s.url, "--state-dir", s.stateDir,
		"--trust-file", s.trustFile, "--trust-first-use")
}

// round looks at `current` until it has seen enough, kills the reducer on the
// way, and ends when the reducer has caught up with the log. It returns how often
// a second the set changed.
func (s *survival) round(ctx context.Context, n int) (changes float64) {
	first, due := s.reference.last(), s.newKills()
	looks, end := 0, uint64(0)
	pause := time.NewTicker(lookPause)
	defer pause.Stop()
	for end == 0 || s.sequence() < end {
		select {
		case <-ctx.Done():
			s.t.Fatalf("round %d, %d looks: %v\nreducer: %s", n, looks, context.Cause(ctx), s.reducer.Said())
		case <-s.reducer.Done():
			s.t.Fatalf("round %d, %d looks: the reducer has ended: %v\n%s", n, looks, s.reducer.Err(), s.reducer.Said())
		case <-pause.C:
		}
		whole, err := s.looker.look()
		if err != nil {
			s.t.Fatalf("round %d, look %d: %v", n, looks, err)
		}
		if whole {
			looks++
		}
		if due.now(s.reference.last()) {
			s.kill(ctx)
		}
		if looks >= looksARound && due.over() && end == 0 {
			end = s.reference.end(ctx, s.t)
		}
	}
	s.checkCheckpoint(ctx)
	s.checkSeen()
	changes = s.reference.changesSince(first)
	s.t.Logf("round %d: kills %v, %d looks, %d sets seen so far, %.1f changes a second", n, due.done, looks, len(s.looker.seen), changes)
	return changes
}

// kills are the moments of a round at which the reducer is killed, in pauses
// between looks. Each is so many pauses after the first tick that comes when
// some others are over.
type kills struct {
	wait  int // pauses before a tick is awaited
	ticks int // read when that began
	after []int
	done  []int
	pause int
}

// newKills draws one kill anywhere between two ticks, or one in the moments
// after a tick, when the reducer saves; and in half of the rounds another one
// while the reducer starts again.
func (s *survival) newKills() *kills {
	k := &kills{wait: s.random.IntN(looksARound * 3 / 4), ticks: -1}
	if s.random.IntN(2) == 0 {
		k.after = append(k.after, s.random.IntN(100))
	} else {
		k.after = append(k.after, s.random.IntN(10))
	}
	if s.random.IntN(2) == 0 {
		k.after = append(k.after, 1+s.random.IntN(100))
	}
	return k
}

// now tells whether a kill is due, once a pause; ticks is how many have been
// read.
func (k *kills) now(ticks int) bool {
	k.pause++
	switch {
	case k.over():
		return false
	case k.wait > 0:
		k.wait--
		k.ticks = ticks
		return false
	case ticks == k.ticks:
		return false
	case k.after[0] > 0:
		k.after[0]--
		return false
	}
	k.after, k.done = k.after[1:], append(k.done, k.pause)
	return true
}

func (k *kills) over() bool { return len(k.after) == 0 }

// kill ends the reducer without a warning, judges what it leaves, and starts it
// again.
func (s *survival) kill(ctx context.Context) {
	s.t.Helper()
	s.reducer.kill()
	if s.interrupted() {
		s.unsaved++
	}
	if c := s.checkpoint(); c != nil {
		s.checkCheckpoint(ctx)
	}
	s.startReducer()
}

// interrupted tells whether the kill came in the middle of a save.
func (s *survival) interrupted() bool {
	unfinished, err := filepath.Glob(filepath.Join(s.stateDir, "generations", "*.new"))
	if err != nil {
		s.t.Fatal(err)
	}
	temporary, err := filepath.Glob(filepath.Join(s.stateDir, ".c*"))
	if err != nil {
		s.t.Fatal(err)
	}
	link, err := os.Readlink(filepath.Join(s.stateDir, "current"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.t.Fatal(err)
	}
	c := s.checkpoint()
	behind := link != "" && (c == nil || c.Set == nil || c.Set.Generation != filepath.Base(link))
	return len(unfinished) > 0 || len(temporary) > 0 || behind
}

// checkpoint reads the reducer's; nil when there is none yet.
func (s *survival) checkpoint() *state.Checkpoint {
	data, err := os.ReadFile(filepath.Join(s.stateDir, "checkpoint.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		s.t.Fatal(err)
	}
	c, err := state.ParseCheckpoint(data)
	if err != nil {
		s.t.Fatalf("checkpoint: %v", err)
	}
	return c
}

func (s *survival) sequence() uint64 {
	if c := s.checkpoint(); c != nil {
		return c.Sequence
	}
	return 0
}

// checkCheckpoint compares the checkpoint with what the reference held at the
// same sequence.
func (s *survival) checkCheckpoint(ctx context.Context) {
	s.t.Helper()
	c := s.checkpoint()
	got := held{Sequence: c.Sequence, Event: c.EventDigest.String(), Tick: c.Tick}
	if c.Set != nil {
		got.Set = c.Set.Digest.String()
	}
	if c.Floor != nil {
		got.Floor = fmt.Sprint(c.Floor.SignedAt, " ", c.Floor.FleetHash)
	}
	want := s.reference.at(ctx, s.t, c.Sequence)
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Fatalf("checkpoint (-reference +reducer):\n%s", diff)
	}
}

// checkSeen holds every set that was ever looked at against the log.
func (s *survival) checkSeen() {
	s.t.Helper()
	for digest, link := range s.looker.seen {
		if !s.reference.names(digest) {
			s.t.Errorf("%s held set %s, which no tick names", link, digest)
		}
	}
}

// finish stops the flow and compares the last state.
func (s *survival) finish(ctx context.Context) {
	s.poller.stop()
	end := s.reference.end(ctx, s.t)
	wait(ctx, s.t, "the reducer's last checkpoint", func() bool { return s.sequence() == end })
	s.reducer.stop()
	s.checkCheckpoint(ctx)
	if whole, err := s.looker.look(); !whole || err != nil {
		s.t.Fatalf("current at the end: %v", err)
	}
	if want := s.checkpoint().Set.Digest; s.looker.last != want {
		s.t.Errorf("current holds set %s at the end, the checkpoint says %s", s.looker.last, want)
	}
	s.checkFiles()
	s.checkAll(ctx)
	s.t.Logf("%d kills interrupted a save", s.unsaved)
}

// checkAll finds nothing broken in the log, nor in the state directory.
func (s *survival) checkAll(ctx context.Context) {
	report, err := check.Check(ctx, s.reference.log, check.Options{StateDir: s.stateDir})
	if err != nil {
		s.t.Fatal(err)
	}
	if report.Found > 0 || report.Noise > 0 || report.Tick != uint64(s.reference.last()) {
		s.t.Errorf("check of %d ticks, want %d: %d broken, %d noise: %+v",
			report.Ticks, s.reference.last(), report.Found, report.Noise, report.Findings)
	}
}

// checkFiles finds nothing in the state directory but what belongs there: none of
// the kills made the reducer set anything aside, and what they interrupted has
// been cleared away.
func (s *survival) checkFiles() {
	c := s.checkpoint()
	var got []string
	for _, dir := range []string{".", "generations"} {
		entries, err := os.ReadDir(filepath.Join(s.stateDir, dir))
		if err != nil {
			s.t.Fatal(err)
		}
		for _, e := range entries {
			got = append(got, e.Name())
		}
	}
	want := []string{"checkpoint.json", "current", "generations", "lock", "the one before", c.Set.Generation}
	if len(got) == len(want) && got[4] < c.Set.Generation {
		got[4] = want[4]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Errorf("state directory (-want +got):\n%s\n%s", diff, s.reducer.Said())
	}
}
