package fleetlog_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"fleetlog/consumers/fold"
	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/manifest"
	"fleetlog/producers"

	"github.com/google/uuid"
)

// path is everything from the poll to the fold, without a broker between: the
// log is a slice.
type path struct {
	world     *world
	poll      producers.Poll
	terms     events.Terms
	memory    producers.Memory
	base      events.Base
	chain     *events.Chain
	seq       uint64
	artifacts map[manifest.Digest]manifest.Received
	rules     fold.Rules
	state     fold.State
	verdict   fold.Verdict

	publish func(events.Message)                       // nil: nobody else keeps the log
	store   func(body []byte, key string) (seq uint64) // likewise the artifacts
}

func newPath(t testing.TB, w *world) *path {
	t.Helper()
	fleet, err := events.ParseFleetName("prod")
	if err != nil {
		t.Fatal(err)
	}
	writer, err := events.NewWriter(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	opening, err := events.Open(fleet, uuid.NewString(), events.TimeOf(w.now), events.Opening{Writer: writer, Writers: []events.PublicKey{writer.Public()}})
	if err != nil {
		t.Fatal(err)
	}
	head, writers, err := events.ReadOpening(fleet, opening, nil)
	if err != nil {
		t.Fatal(err)
	}
	trust, err := manifest.ParseTrust(w.trustFile())
	if err != nil {
		t.Fatal(err)
	}
	return &path{
		world: w, seq: 1, artifacts: map[manifest.Digest]manifest.Received{},
		terms: events.Terms{Writer: writer, RestateEvery: time.Hour},
		base:  events.Base{Fleet: fleet, Head: head}, chain: events.NewChain(fleet, writers, head),
		poll: producers.Poll{
			Source: producers.NewDirectory(w), Window: window, Concurrency: 1,
			Trust: func() ([]byte, error) { return w.trustFile(), nil },
		},
		rules: fold.Rules{Trust: trust, Window: window},
	}
}

// tick polls, writes the tick, and folds it as a reducer would.
func (p *path) tick(t testing.TB) *events.Tick {
	t.Helper()
	now := events.TimeOf(p.world.now)
	result := p.poll.Tick(t.Context(), now.Time(), p.memory)
	p.name(result)
	draft := events.Draft{
		Tick: tickID(now.Time()), Time: now, Findings: result.Findings,
		Set: result.Reference(), Floor: result.Memory.Floor, Interval: 30 * time.Second,
	}
	if before := p.base.Head.Completed; result.Unjudged && before != nil {
		draft.Set = before.Set
	}
	messages, err := events.Compose(p.base, draft, p.terms, p.seq+1)
	if err != nil {
		t.Fatal(err)
	}
	var tick *events.Tick
	for _, m := range messages {
		p.seq++
		if p.publish != nil {
			p.publish(m)
		}
		var noise []events.Noise
		if tick, noise, err = p.chain.Push(p.seq, m); err != nil || len(noise) > 0 {
			t.Fatalf("sequence %d is not read as it was written: %v %v", p.seq, noise, err)
		}
	}
	p.memory = result.Memory
	p.advance(tick)
	p.fold(tick)
	return tick
}

// tickID is made at that moment, as a poller makes it.
func tickID(at time.Time) string {
	id := uuid.Must(uuid.NewV7())
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(at.UnixMilli()))
	copy(id[:6], ms[2:])
	return id.String()
}

// name gives artifacts their parts and keeps their bytes, as the artifacts
// stream does.
func (p *path) name(result *producers.Result) {
	for _, f := range result.Findings {
		if a := events.ArtifactOf(f); a != nil {
			p.artifacts[a.SHA256] = manifest.Received{Body: result.Artifacts[a.SHA256], Signature: a.Signature}
			a.Parts = []uint64{uint64(len(p.artifacts))}
			if p.store != nil {
				a.Parts[0] = p.store(result.Artifacts[a.SHA256], a.SHA256.String())
			}
		}
	}
}

func (p *path) advance(tick *events.Tick) {
	p.base.Head = tick.Head
	if len(tick.Findings) > 0 {
		p.base.Last = tick.Findings
		if tick.Completed.Outcome == events.Verified {
			p.base.LastVerified = tick.Findings
		}
	}
}

func (p *path) fold(tick *events.Tick) {
	// An invalid trust file leaves the last valid one in force.
	if trust, err := manifest.ParseTrust(p.world.trustFile()); err == nil {
		p.rules.Trust = trust
		p.state = fold.Cover(p.state, trust, tick.Head.Time.Time())
	}
	p.state, p.verdict = fold.Apply(p.state, tick, p.named(tick), p.rules)
}

func (p *path) named(tick *events.Tick) *eventlog.StatementArtifacts {
	if !fold.Needs(tick) {
		return nil
	}
	all := &eventlog.StatementArtifacts{Rollouts: map[string]manifest.Received{}}
	for _, f := range tick.Findings {
		if a := events.ArtifactOf(f); a != nil {
			received := p.artifacts[a.SHA256]
			received.Signature = a.Signature
			if channel, ok := f.ChannelName(); ok {
				all.Rollouts[channel] = received
			} else {
				all.Fleet = received
			}
		}
	}
	return all
}

// check compares the log's word and the reducer's state with the model.
func (p *path) check(m *model, tick *events.Tick) error {
	var errs []error
	differ := func(what string, got, want any) {
		if fmt.Sprint(got) != fmt.Sprint(want) {
			errs = append(errs, fmt.Errorf("%s is %v, the model has %v", what, got, want))
		}
	}
	c := tick.Completed
	said, floor, without := "none", time.Time{}, []string(nil)
	if c.Set != nil {
		said, without = c.Set.Digest.String(), c.Set.Without
	}
	if c.Floor != nil {
		floor = c.Floor.SignedAt.Time()
	}
	own := "none"
	if p.state.Set != nil {
		own = p.state.Set.Digest().String()
	}
	wantWithout := []string(nil)
	if m.set != nil {
		wantWithout = m.set.without
	}
	differ("outcome", c.Outcome, m.outcome)
	differ("the log's set", said, m.set.digest())
	differ("the reducer's set", own, m.set.digest())
	differ("the log's without", without, wantWithout)
	differ("the reducer's without", p.state.Without, wantWithout)
	differ("the log's floor", floor, m.floor)
	if !m.floor.IsZero() || !p.state.Floor.SignedAt.IsZero() {
		differ("the reducer's floor", p.state.Floor.SignedAt, manifest.InstantOf(m.floor))
	}
	if p.verdict.Diverged {
		errs = append(errs, errors.New("the reducer says that it has diverged"))
	}
	return errors.Join(errs...)
}

var randomSequences = flag.Int("random-sequences", 200, "sequences of sixty ticks that are held against the model")

// TestRandomSequences publishes, signs anew, rolls back, breaks, revokes and
// repairs at random, and holds every tick against the model.
// FLEETLOG_TEST_SEED repeats the sequence of that seed.
func TestRandomSequences(t *testing.T) {
	const groups, steps = 4, 60
	sequences := max(1, *randomSequences/groups/share)
	if text := os.Getenv("FLEETLOG_TEST_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		randomSequence(t, seed, steps)
		return
	}
	base := uint64(time.Now().UnixNano())
	for group := range uint64(groups) {
		t.Run(strconv.FormatUint(group, 10), func(t *testing.T) {
			t.Parallel()
			seen := map[string]int{}
			for n := range uint64(sequences) {
				for what, count := range randomSequence(t, base+group*uint64(sequences)+n, steps) {
					seen[what] += count
				}
			}
			t.Logf("%d ticks: %v", sequences*steps, seen)
		})
	}
}

// randomSequence counts the outcomes and findings of a sequence.
func randomSequence(t *testing.T, seed uint64, steps int) map[string]int {
	t.Helper()
	seen := map[string]int{}
	w := newWorld(t, seed)
	p, m := newPath(t, w), &model{}
	for step := range steps {
		w.step()
		m.tick(w)
		tick := p.tick(t)
		if err := p.check(m, tick); err != nil {
			t.Fatalf("FLEETLOG_TEST_SEED=%d step %d: %v\n%s", seed, step, err, describe(w, tick))
		}
		seen[string(tick.Completed.Outcome)]++
		for _, f := range tick.Findings {
			kind, _, _ := strings.Cut(events.Leaf(f), ".")
			seen[kind]++
		}
		if w.random.IntN(10) == 0 { // another poller takes over, with what the log tells
			p.memory = producers.Memory{Set: p.state.Set, Without: slices.Clone(p.state.Without), Floor: p.base.Head.Floor()}
		}
	}
	return seen
}

func describe(w *world, tick *events.Tick) string {
	text := fmt.Sprintf("fleet %q, channels %v, trust %+v", w.fleetFault, w.faults, w.trust)
	for _, f := range tick.Findings {
		body, err := events.Encode(f)
		text += fmt.Sprintf("\n%s %v", body, err)
	}
	return text
}
