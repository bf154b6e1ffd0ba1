package eventlog_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/broker"
	"fleetlog/internal/broker/brokertest"
	"fleetlog/manifest"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// scene is a log with one tick, a writer that reaches it through a proxy, and
// the straight way to it.
type scene struct {
	proxy    *brokertest.Proxy
	writer   *eventlog.Writer
	key      *events.Writer
	straight *eventlog.Log
	js       jetstream.JetStream
}

func newScene(t *testing.T, keys ...*events.Writer) *scene {
	t.Helper()
	b := brokertest.Start(t, func(c *broker.Config) { c.NoSync = true })
	nc := dial(t, b)
	s := &scene{proxy: brokertest.NewProxy(t, b), key: keys[0], straight: provision(t, nc, keys...)}
	var err error
	if s.js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	log, err := eventlog.Open(t.Context(), s.proxy.Dial(t), eventlog.Place{Fleet: fleetName(t)})
	if err != nil {
		t.Fatal(err)
	}
	log.Hasten(500 * time.Millisecond)
	s.writer = newWriter(t, log)
	if _, err := appendTick(t.Context(), s.writer, s.key, draft(1, 1, 2)); err != nil {
		t.Fatal(err)
	}
	return s
}

// junk stores a message that is no part of a tick.
func (s *scene) junk(t testing.TB, leaf string) {
	t.Helper()
	if _, err := s.js.Publish(t.Context(), fleetName(t).EventSubject(leaf), []byte("junk")); err != nil {
		t.Error(err)
	}
}

// wantLog demands the number of valid ticks and foreign messages in the log.
func (s *scene) wantLog(t *testing.T, ticks, noise int) {
	t.Helper()
	read, foreign := collect(t, s.straight)
	if len(read) != ticks || foreign != noise {
		t.Errorf("%d ticks and %d foreign messages, want %d and %d", len(read), foreign, ticks, noise)
	}
}

// TestAppendAfterAnError demands, for a tick of one message and for a batch, that
// it is stored once whatever became of the first attempt.
func TestAppendAfterAnError(t *testing.T) {
	const commit, read = "TickCompleted", "STREAM.MSG.GET"
	for name, c := range map[string]struct {
		pattern string
		forward bool
		junk    bool // comes before the first attempt
		builds  int
		foreign int
	}{
		"committed, the answer is lost":             {commit, true, false, 1, 0},
		"lost on its way":                           {commit, false, false, 2, 0},
		"fate cannot be read after an answer":       {read, false, true, 2, 1},
		"noise came first, and nothing else failed": {"no such words", false, true, 2, 1},
	} {
		for kind, d := range map[string]events.Draft{"one message": draft(2, 1, 2), "batch": draft(2, 2, 2)} {
			t.Run(name+", "+kind, func(t *testing.T) {
				t.Parallel()
				s := newScene(t, writerKey(t, 1))
				if c.junk {
					s.junk(t, "FleetFetched")
				}
				met := s.proxy.Cut(c.pattern, c.forward, nil)
				var places []uint64
				tick, err := s.writer.Append(t.Context(), func(base events.Base, first uint64) ([]events.Message, error) {
					places = append(places, first)
					return events.Compose(base, d, events.Terms{Writer: s.key, RestateEvery: time.Hour}, first)
				})
				if err != nil {
					t.Fatal(err)
				}
				if c.pattern != "no such words" {
					<-met
				}
				if len(places) != c.builds || tick.Head.Number != 2 || tick.Head.Tick != d.Tick {
					t.Errorf("composed for %v: tick %d, want %d times and tick 2", places, tick.Head.Number, c.builds)
				}
				s.wantLog(t, 2, c.foreign)
				if diff := cmp.Diff(tick.Head.Digest, s.writer.Base().Head.Digest); diff != "" {
					t.Errorf("writer's base (-tick +base):\n%s", diff)
				}
				if _, err := appendTick(t.Context(), s.writer, s.key, draft(3, 3, 2)); err != nil {
					t.Errorf("next tick: %v", err)
				}
			})
		}
	}
}

// TestAnotherTakesThePlace lets another writer's tick come while this writer's is
// lost on its way.
func TestAnotherTakesThePlace(t *testing.T) {
	a, b := writerKey(t, 1), writerKey(t, 2)
	s := newScene(t, a, b)
	other := newWriter(t, s.straight)
	met := s.proxy.Cut("TickCompleted", false, func() {
		if _, err := appendTick(context.WithoutCancel(t.Context()), other, b, draft(2, 7, 1)); err != nil {
			t.Error(err)
		}
	})
	_, err := appendTick(t.Context(), s.writer, a, draft(2, 2, 2))
	<-met
	var lost *eventlog.OtherWriterError
	if !errors.As(err, &lost) || lost.Head.Digest != other.Base().Head.Digest {
		t.Errorf("append: %v, want the other's tick", err)
	}
	s.wantLog(t, 2, 0)
}

// TestNoiseBeforeEveryAttempt demands that a writer gives up after five more
// attempts, and that each is the same tick.
func TestNoiseBeforeEveryAttempt(t *testing.T) {
	s := newScene(t, writerKey(t, 1))
	d, ids := draft(2, 2, 2), map[string]int{}
	build := func(leaf string) eventlog.Build {
		return func(base events.Base, first uint64) ([]events.Message, error) {
			ids[d.Tick]++
			s.junk(t, leaf)
			return events.Compose(base, d, events.Terms{Writer: s.key, RestateEvery: time.Hour}, first)
		}
	}
	if _, err := s.writer.Append(t.Context(), build("TickCompleted")); !errors.Is(err, eventlog.ErrContention) {
		t.Errorf("append: %v, want ErrContention", err)
	}
	if ids[d.Tick] != 6 {
		t.Errorf("composed %d times, want once and five times more", ids[d.Tick])
	}
	s.wantLog(t, 1, 6)
	if _, err := appendTick(t.Context(), s.writer, s.key, d); err != nil {
		t.Errorf("once it is quiet: %v", err)
	}
	s.wantLog(t, 2, 6)
}

// TestLateCommitIsOwn lets an attempt whose fate could not be read be found by
// the next look.
func TestLateCommitIsOwn(t *testing.T) {
	s := newScene(t, writerKey(t, 1))
	ctx, cancel := context.WithCancel(t.Context())
	met := s.proxy.Cut("TickCompleted", true, cancel)
	if _, err := appendTick(ctx, s.writer, s.key, draft(2, 2, 2)); err == nil {
		t.Fatal("append with a context that ended: no error")
	}
	<-met
	other, err := s.writer.Refresh(t.Context())
	for errors.Is(err, eventlog.ErrUnavailable) || err == nil && s.writer.Base().Head.Number == 1 {
		other, err = s.writer.Refresh(t.Context()) // until it is connected again, and the tick is stored
	}
	if err != nil || other {
		t.Errorf("look: %v, other %v; want the own tick", err, other)
	}
}

// TestBuildEndsTheAttempts: a tick that has become too old is not tried again.
func TestBuildEndsTheAttempts(t *testing.T) {
	s := newScene(t, writerKey(t, 1))
	d, tries, tooOld := draft(2, 2, 2), 0, errors.New("too old")
	met := s.proxy.Cut("TickCompleted", false, nil)
	_, err := s.writer.Append(t.Context(), func(base events.Base, first uint64) ([]events.Message, error) {
		if tries++; tries > 1 {
			return nil, tooOld
		}
		return events.Compose(base, d, events.Terms{Writer: s.key, RestateEvery: time.Hour}, first)
	})
	<-met
	if !errors.Is(err, tooOld) {
		t.Errorf("append: %v, want the builder's error", err)
	}
	s.wantLog(t, 1, 0)
}

// TestWriterNoticesAnotherStream demands that a writer does not go on in a stream
// that was made anew, however long that has become.
func TestWriterNoticesAnotherStream(t *testing.T) {
	for _, c := range []struct{ before, after int }{{0, 0}, {3, 0}, {3, 5}} {
		t.Run(fmt.Sprintf("%d ticks, then %d", c.before, c.after), func(t *testing.T) {
			key, nc := writerKey(t, 1), dial(t, brokertest.Start(t))
			js, err := jetstream.New(nc)
			if err != nil {
				t.Fatal(err)
			}
			fill := func(n int) *eventlog.Writer {
				w := newWriter(t, provision(t, nc, key))
				for i := range n {
					if _, err := appendTick(t.Context(), w, key, draft(uint64(i+1), uint32(i), 1)); err != nil {
						t.Fatal(err)
					}
				}
				return w
			}
			w := fill(c.before)
			if err := js.DeleteStream(t.Context(), fleetName(t).EventsStream()); err != nil {
				t.Fatal(err)
			}
			fill(c.after)
			if _, err := w.Refresh(t.Context()); !errors.Is(err, eventlog.ErrAhead) {
				t.Errorf("look: %v, want ErrAhead", err)
			}
			if _, err := appendTick(t.Context(), w, key, draft(9, 9, 1)); err == nil && c.before+c.after > 0 {
				t.Error("a tick of the old log was appended to the new one")
			}
		})
	}
}

// TestWriterStopsAtUnknownEnd: a newer version of the poller has written.
func TestWriterStopsAtUnknownEnd(t *testing.T) {
	key, nc := writerKey(t, 1), dial(t, brokertest.Start(t))
	log := provision(t, nc, key)
	w := newWriter(t, log)
	publishSigned(t, nc, log, `{"type":"TickCompleted.v2"}`)
	var unknown *events.UnknownTypeError
	if _, err := w.Refresh(t.Context()); !errors.As(err, &unknown) || unknown.Type != "TickCompleted.v2" {
		t.Errorf("look: %v, want UnknownTypeError", err)
	}
	if _, err := log.NewWriter(t.Context(), func(uint64, uint64) {}); !errors.As(err, &unknown) {
		t.Errorf("new writer: %v, want UnknownTypeError", err)
	}
}

// TestLargestEvent stores the largest body that is written, and refuses a larger
// one before it is sent.
func TestLargestEvent(t *testing.T) {
	key := writerKey(t, 1)
	log := provision(t, dial(t, brokertest.Start(t)), key)
	w := newWriter(t, log)
	build := func(length int) eventlog.Build {
		d := draft(1, 1, 0)
		commit := strings.Repeat("0", length)
		d.Findings[0].(*events.FleetFetched).CICommit = &commit
		return func(base events.Base, first uint64) ([]events.Message, error) {
			return events.Compose(base, d, events.Terms{Writer: key}, first)
		}
	}
	fits, tooLong := 0, 1<<17
	for fits+1 < tooLong {
		middle := (fits + tooLong) / 2
		_, err := build(middle)(w.Base(), 2)
		switch {
		case err == nil:
			fits = middle
		case errors.Is(err, events.ErrTooLarge):
			tooLong = middle
		default:
			t.Fatal(err)
		}
	}
	if _, err := w.Append(t.Context(), build(fits)); err != nil {
		t.Errorf("a commit of %d characters: %v", fits, err)
	}
	t.Logf("largest commit: %d characters", fits)
}

// publishSigned stores a body on the TickCompleted subject under the signature of
// the key of seed 1.
func publishSigned(t testing.TB, nc *nats.Conn, log *eventlog.Log, body string) {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	signed := fmt.Sprintf("fleetlog/v1\n%s\n%s", log.Lineage(), manifest.Sum([]byte(body)))
	signature := ed25519.Sign(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32)), []byte(signed))
	m := &nats.Msg{
		Subject: fleetName(t).EventSubject("TickCompleted"), Data: []byte(body),
		Header: nats.Header{events.SignatureHeader: {base64.StdEncoding.EncodeToString(signature)}},
	}
	if _, err := js.PublishMsg(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}
