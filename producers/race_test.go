package producers_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fleetlog/consumers/check"
	"fleetlog/events"
	"fleetlog/internal/broker/brokertest"
	"fleetlog/internal/fleetsim"
	"fleetlog/manifest"
	"fleetlog/producers"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"
)

// generations are releases that follow each other, one served at a time.
type generations struct {
	all []fleetsim.Release
	now atomic.Int64
}

func newGenerations(t testing.TB, n int) *generations {
	t.Helper()
	g := &generations{}
	for i := range n {
		f := fleet()
		f.Closures, f.SignedAt = i, signedAt.Add(time.Duration(i)*time.Millisecond)
		g.all = append(g.all, sign(t, f))
	}
	return g
}

// Open reads from the release of the moment.
func (g *generations) Open(name string) (fs.File, error) {
	return g.all[min(int(g.now.Load()), len(g.all)-1)].Open(name)
}

// TestTwoPollersRace lets two pollers that never stand by extend one log, while
// the release changes at every fifth tick and, in one case, somebody publishes
// junk all the time.
func TestTwoPollersRace(t *testing.T) {
	t.Run("alone", func(t *testing.T) { race(t, nil) })
	t.Run("with junk", func(t *testing.T) { race(t, new(junk)) })
}

const (
	raceTicks = 1000
	raceShare = 100 // that each poller must have written
)

func race(t *testing.T, j *junk) {
	a, b := writerKey(t, 1), writerKey(t, 2)
	log := newLog(t, brokertest.Start(t), a, b)
	releases := newGenerations(t, raceTicks/5)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	taken := &turns{changed: make(chan struct{})}
	for i, w := range []*events.Writer{a, b} {
		config := log.config(producers.NewDirectory(releases), w)
		config.Ready = func(err error) {
			if err == nil {
				taken.won(ctx, i+1)
			}
		}
		group.Go(func() error { return producers.NewPoller(config).Run(ctx) })
	}
	for d, err := range log.Follow(ctx, log.Opening()) {
		if err != nil {
			cancel()
			t.Fatal(errors.Join(err, group.Wait()))
		}
		if d.Tick == nil {
			continue
		}
		releases.now.Store(int64(d.Tick.Head.Number / 5))
		if j != nil {
			j.publish(t, log, d.Tick)
		}
		if d.Tick.Head.Number >= raceTicks {
			break
		}
	}
	cancel()
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	r := readRaw(t, log)
	t.Logf("%d messages, %d valid ticks (%v by writer), %d foreign messages of which %d were published as junk",
		r.messages, r.ticks, r.byWriter, r.noise, j.count())
	if r.ticks < raceTicks || r.noise != j.count() {
		t.Errorf("%d ticks and %d foreign messages, want at least %d and just %d", r.ticks, r.noise, raceTicks, j.count())
	}
	if j != nil && r.noise < raceTicks {
		t.Errorf("%d junk messages for the first %d ticks, want at least one each", r.noise, raceTicks)
	}
	report, err := check.Check(t.Context(), log.Log, check.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if report.Found > 0 || report.Ticks != uint64(r.ticks) || report.Noise != uint64(r.noise) {
		t.Errorf("check: %d ticks and %d foreign messages, broken is %+v", report.Ticks, report.Noise, report.Findings)
	}
	for _, w := range []*events.Writer{a, b} {
		if n := r.byWriter[w.Public().String()]; n < raceShare {
			t.Errorf("writer %s wrote %d ticks, want at least %d", w.Public(), n, raceShare)
		}
	}
}

// turns makes a poller that has won five ticks in a row wait until the other has
// won one: who writes the last tick knows its log already and is the faster one
// at the next, for ever on a slow machine.
type turns struct {
	mu      sync.Mutex
	winner  int
	row     int
	changed chan struct{} // closed when another one wins
}

func (t *turns) won(ctx context.Context, who int) {
	t.mu.Lock()
	if t.winner != who {
		close(t.changed)
		t.winner, t.row, t.changed = who, 0, make(chan struct{})
	}
	t.row++
	other, pause := t.changed, t.row >= 5
	t.mu.Unlock()
	if pause {
		select {
		case <-other:
		case <-ctx.Done():
		}
	}
}

// junk publishes what does not belong into the log.
type junk struct {
	mu        sync.Mutex
	published int
}

func (j *junk) count() int {
	if j == nil {
		return 0
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.published
}

// publish answers a tick with one or two messages that look like the log's own.
func (j *junk) publish(t *testing.T, log theLog, tick *events.Tick) {
	t.Helper()
	js, err := jetstream.New(log.nc)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := log.Message(t.Context(), tick.Head.Seq)
	if err != nil {
		t.Fatal(err)
	}
	var m events.Message
	switch n := tick.Head.Number; n % 5 {
	case 0: // a copy of the valid tick
		m = stored
	case 1: // a copy that claims the place at which it may land
		m = events.Message{Subject: stored.Subject, Header: maps.Clone(stored.Header), Body: rewritten(t, stored.Body, map[string]any{
			"seq": tick.Head.Seq + 1, "number": n + 1, "previous": tick.Head.Digest,
		})}
	case 2: // the same, well signed, by a key that nobody accepts
		m = forged(t, log, tick)
	case 3: // a copy of the finding before it, which may begin a run
		if m, err = log.Message(t.Context(), tick.Completed.Statement.FirstSeq); err != nil {
			t.Fatal(err)
		}
	default:
		m = events.Message{Subject: log.Fleet().EventSubject("TickCompleted"), Body: []byte("junk")}
	}
	copied := &nats.Msg{Subject: m.Subject, Header: nats.Header{}, Data: m.Body}
	for name, values := range m.Header {
		if !strings.HasPrefix(name, "Nats-") {
			copied.Header[name] = values
		}
	}
	if _, err := js.PublishMsg(t.Context(), copied); err != nil {
		t.Fatal(err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.published++
}

func rewritten(t *testing.T, body []byte, members map[string]any) []byte {
	t.Helper()
	var all map[string]any
	if err := json.Unmarshal(body, &all); err != nil {
		t.Fatal(err)
	}
	maps.Copy(all, members)
	data, err := json.Marshal(all, json.Deterministic(true))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// forged composes a whole next tick under a foreign key and returns its end,
// which has no findings before it.
func forged(t *testing.T, log theLog, tick *events.Tick) events.Message {
	t.Helper()
	c := tick.Completed
	messages, err := events.Compose(
		events.Base{Fleet: log.Fleet(), Head: tick.Head, Last: tick.Findings},
		events.Draft{
			Tick: uuid.Must(uuid.NewV7()).String(), Time: c.Time, Set: c.Set, Floor: c.Floor, Interval: time.Second,
			Findings: []events.Finding{&events.FleetRejected{Stage: events.StageFetch, Reason: events.Unreachable, Detail: "forged"}},
		},
		events.Terms{Writer: writerKey(t, 9), RestateEvery: time.Hour}, tick.Head.Seq+1)
	if err != nil {
		t.Fatal(err)
	}
	return messages[len(messages)-1]
}

// rawLog is what a reading of every stored message says, done with nothing but
// the bodies' own fields.
type rawLog struct {
	messages, ticks, noise int
	byWriter               map[string]int
}

// readRaw checks the chain message by message: it does not use the code that
// pollers and reducers share.
func readRaw(t *testing.T, log theLog) rawLog {
	t.Helper()
	r := rawLog{byWriter: map[string]int{}}
	opening, err := log.Message(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	writers := map[string]ed25519.PublicKey{}
	for _, w := range log.Writers() {
		writers[w.String()] = ed25519.PublicKey(w[:])
	}
	last, err := log.LastSequence(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	previous, number, end := manifest.Sum(opening.Body), uint64(0), uint64(1)
	ids := map[string]bool{}
	for seq := uint64(2); seq <= last; seq++ {
		m, err := log.Message(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		r.messages++
		var b struct {
			Type     string          `json:"type"`
			Tick     string          `json:"tick"`
			Number   uint64          `json:"number"`
			Index    uint64          `json:"index"`
			Seq      uint64          `json:"seq"`
			Previous manifest.Digest `json:"previous"`
			Writer   string          `json:"writer"`
		}
		if json.Unmarshal(m.Body, &b) != nil || b.Type != "TickCompleted.v1" || b.Previous != previous ||
			b.Number != number+1 || !signedIn(log, m, writers[b.Writer]) || b.Seq != seq {
			if b.Type == "TickCompleted.v1" && b.Previous == previous && signedIn(log, m, writers[b.Writer]) {
				t.Errorf("sequence %d: an accepted writer signed tick %d for sequence %d", seq, b.Number, b.Seq)
			}
			continue
		}
		if ids[b.Tick] {
			t.Errorf("sequence %d: tick %s is in the log twice", seq, b.Tick)
		}
		ids[b.Tick] = true
		r.ticks++
		r.byWriter[b.Writer]++
		r.noise += int(seq - b.Index - end - 1)
		previous, number, end = manifest.Sum(m.Body), b.Number, seq
	}
	r.noise += int(last - end)
	return r
}

// signedIn checks the signature in the message's header as docs/log-format.md
// section 4(7) describes it.
func signedIn(log theLog, m events.Message, key ed25519.PublicKey) bool {
	values := m.Header["nixfleet-signature"]
	if len(values) != 1 || len(key) != ed25519.PublicKeySize {
		return false
	}
	signature, err := base64.StdEncoding.DecodeString(values[0])
	signed := fmt.Sprintf("fleetlog/v1\n%s\n%s", log.Lineage(), manifest.Sum(m.Body))
	return err == nil && ed25519.Verify(key, []byte(signed), signature)
}
