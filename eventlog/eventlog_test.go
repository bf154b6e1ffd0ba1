package eventlog_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/broker"
	"fleetlog/internal/broker/brokertest"
	"fleetlog/manifest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

var epoch = time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)

func fleetName(t testing.TB) events.FleetName {
	t.Helper()
	name, err := events.ParseFleetName("prod")
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func writerKey(t testing.TB, seed byte) *events.Writer {
	t.Helper()
	w, err := events.NewWriter(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func dial(t testing.TB, b *broker.Broker) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(b.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// smallLimits fit the storage that a test server offers.
func smallLimits() eventlog.Limits {
	return eventlog.Limits{Events: 256 << 20, Artifacts: 64 << 20, Replicas: 1}
}

func provision(t testing.TB, nc *nats.Conn, keys ...*events.Writer) *eventlog.Log {
	t.Helper()
	opening := events.Opening{Writer: keys[0]}
	for _, k := range keys {
		opening.Writers = append(opening.Writers, k.Public())
	}
	log, err := eventlog.Provision(t.Context(), nc, eventlog.Place{Fleet: fleetName(t)}, eventlog.Provisioning{
		Limits: smallLimits(), Opening: opening, Now: epoch, Random: uuid.NewRandom,
	})
	if err != nil {
		t.Fatal(err)
	}
	return log
}

// draft states a fleet whose hash is made of n, and channels channels.
func draft(number uint64, n uint32, channels int) events.Draft {
	var hash manifest.Digest
	binary.BigEndian.PutUint32(hash[:], n)
	signedAt := manifest.InstantOf(epoch.Add(time.Duration(n) * time.Second))
	artifact := events.Artifact{
		SHA256: hash, Size: 1, Parts: []uint64{1}, Signature: make([]byte, 64), Algorithm: "ed25519", Key: "k",
	}
	d := events.Draft{
		Tick: uuid.Must(uuid.NewV7()).String(), Time: events.TimeOf(epoch.Add(time.Duration(number) * 30 * time.Second)),
		Interval: 30 * time.Second,
		Set:      &events.SetReference{Digest: hash, FleetHash: hash, SignedAt: signedAt},
		Floor:    &events.Floor{SignedAt: signedAt, FleetHash: hash},
		Findings: []events.Finding{&events.FleetFetched{
			FleetHash: hash, Artifact: artifact, SignedAt: signedAt, Source: events.SourceReleaseDir, Channels: channels,
		}},
	}
	for i := range channels {
		d.Findings = append(d.Findings, &events.ChannelIdle{Channel: fmt.Sprintf("c%05d", i), Reason: events.NoClosure})
	}
	return d
}

func newWriter(t testing.TB, log *eventlog.Log) *eventlog.Writer {
	t.Helper()
	w, err := log.NewWriter(t.Context(), func(uint64, uint64) {})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func appendTick(ctx context.Context, w *eventlog.Writer, key *events.Writer, d events.Draft) (*events.Tick, error) {
	terms := events.Terms{Writer: key, RestateEvery: time.Hour}
	return w.Append(ctx, func(base events.Base, first uint64) ([]events.Message, error) {
		return events.Compose(base, d, terms, first)
	})
}

// collect follows the log from its opening until it has caught up.
func collect(t testing.TB, log *eventlog.Log) (ticks []*events.Tick, noise int) {
	t.Helper()
	for d, err := range log.Follow(t.Context(), log.Opening()) {
		if err != nil {
			t.Fatal(err)
		}
		noise += len(d.Noise)
		if d.Tick != nil {
			ticks = append(ticks, d.Tick)
		}
		if d.CaughtUp {
			return ticks, noise
		}
	}
	t.Fatal("following ended")
	return nil, 0
}

func TestAppendFollowAndLookBack(t *testing.T) {
	key := writerKey(t, 1)
	log := provision(t, dial(t, brokertest.Start(t)), key)
	w := newWriter(t, log)
	const ticks = 120
	for n := uint64(1); n <= ticks; n++ {
		d := draft(n, uint32(n/10), 3)    // most ticks are unchanged
		d.Time += events.Time(n * n * 50) // and not evenly spaced
		if _, err := appendTick(t.Context(), w, key, d); err != nil {
			t.Fatal(err)
		}
	}
	read, noise := collect(t, log)
	if len(read) != ticks || noise != 0 {
		t.Fatalf("%d ticks and %d noise, want %d and 0", len(read), noise, ticks)
	}
	for i, tick := range read {
		lookBack(t, log, fmt.Sprintf("tick:%d", tick.Head.Number), tick)
		lookBack(t, log, fmt.Sprintf("seq:%d", tick.Head.Seq), tick)
		lookBack(t, log, tick.Head.Time.String(), tick)
		if i+1 < len(read) {
			between := read[i+1].Head.Time.Time().Add(-time.Millisecond)
			lookBack(t, log, between.Format(time.RFC3339Nano), tick)
		}
	}
	lookBack(t, log, "", read[ticks-1])
	early, err := eventlog.ParsePoint(epoch.Format(time.RFC3339), epoch)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.At(t.Context(), early); !errors.Is(err, eventlog.ErrNoTick) {
		t.Errorf("before the first tick: %v, want ErrNoTick", err)
	}
}

func lookBack(t *testing.T, log *eventlog.Log, text string, want *events.Tick) {
	t.Helper()
	point, err := eventlog.ParsePoint(text, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	got, err := log.At(t.Context(), point)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if got.Head.Digest != want.Head.Digest {
		t.Errorf("%s: tick %d at %d, want %d at %d", text, got.Head.Number, got.Head.Seq, want.Head.Number, want.Head.Seq)
	}
}

func TestNoiseIsSteppedOver(t *testing.T) {
	key := writerKey(t, 1)
	nc := dial(t, brokertest.Start(t))
	log := provision(t, nc, key)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	w := newWriter(t, log)
	subjects := []string{"TickCompleted", "FleetFetched", "RolloutVerified.c", "LogOpened"}
	for n := uint64(1); n <= 20; n++ {
		tick, err := appendTick(t.Context(), w, key, draft(n, uint32(n), 2))
		if err != nil {
			t.Fatal(err)
		}
		body := []byte(`{"type":"junk"}`)
		if n%2 == 0 { // a copy of a valid tick
			m, err := log.Message(t.Context(), tick.Head.Seq)
			if err != nil {
				t.Fatal(err)
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
		}
		if _, err := js.Publish(t.Context(), fleetName(t).EventSubject(subjects[n%4]), body); err != nil {
			t.Fatal(err)
		}
	}
	ticks, noise := collect(t, log)
	if len(ticks) != 20 || noise != 30 {
		t.Errorf("%d ticks and %d noise, want 20 and 30", len(ticks), noise)
	}
	// A new writer finds the last valid tick behind the junk.
	if got := newWriter(t, log).Base().Head.Number; got != 20 {
		t.Errorf("new writer continues tick %d, want 20", got)
	}
}

func TestSecondWriterMeetsTheFence(t *testing.T) {
	a, b := writerKey(t, 1), writerKey(t, 2)
	log := provision(t, dial(t, brokertest.Start(t)), a, b)
	first, second := newWriter(t, log), newWriter(t, log)
	if _, err := appendTick(t.Context(), first, a, draft(1, 1, 1)); err != nil {
		t.Fatal(err)
	}
	_, err := appendTick(t.Context(), second, b, draft(1, 1, 1))
	var other *eventlog.OtherWriterError
	if !errors.As(err, &other) || other.Head.Number != 1 {
		t.Fatalf("append behind another's tick: %v, want OtherWriterError", err)
	}
	if _, err := appendTick(t.Context(), second, b, draft(2, 1, 1)); err != nil {
		t.Errorf("append on the other's tick: %v", err)
	}
	if other, err := first.Refresh(t.Context()); err != nil || !other {
		t.Errorf("refresh: %v, %v, want another writer's tick", other, err)
	}
}

func TestBatchLimit(t *testing.T) {
	key := writerKey(t, 1)
	b := brokertest.Start(t, func(c *broker.Config) { c.MaxBatch = 100 })
	log := provision(t, dial(t, b), key)
	w := newWriter(t, log)
	if _, err := appendTick(t.Context(), w, key, draft(1, 1, 100)); !errors.Is(err, eventlog.ErrBatchTooLarge) {
		t.Errorf("append of 102 messages: %v, want ErrBatchTooLarge", err)
	}
	if last, err := log.LastSequence(t.Context()); err != nil || last != 1 {
		t.Errorf("stream ends at %d, %v, want 1", last, err)
	}
	if _, err := appendTick(t.Context(), w, key, draft(1, 1, 98)); err != nil {
		t.Errorf("append of 100 messages: %v", err)
	}
}

func TestArtifactParts(t *testing.T) {
	nc := dial(t, brokertest.Start(t))
	log := provision(t, nc, writerKey(t, 1))
	for _, size := range []int{1, events.PartSize, events.PartSize + 1, 3*events.PartSize - 1} {
		body := bytes.Repeat([]byte{'x'}, size)
		parts, err := log.PutArtifact(t.Context(), fleetName(t).FleetArtifactSubject(), body, eventlog.Kept{})
		if err != nil {
			t.Fatal(err)
		}
		a := events.Artifact{SHA256: manifest.Sum(body), Size: size, Parts: parts}
		got, err := log.Artifact(t.Context(), a)
		if err != nil || !bytes.Equal(got.Body, body) {
			t.Errorf("%d bytes in parts %v: %v", size, parts, err)
		}
		a.SHA256[0] ^= 1
		var wrong *eventlog.ArtifactError
		if _, err := log.Artifact(t.Context(), a); !errors.As(err, &wrong) {
			t.Errorf("other bytes than named: %v, want ArtifactError", err)
		}
	}
}

// TestPartsAreNamedAgain stores only the parts in which an artifact differs from
// one that is there.
func TestPartsAreNamedAgain(t *testing.T) {
	log := provision(t, dial(t, brokertest.Start(t)), writerKey(t, 1))
	random := make([]byte, 3*events.PartSize+100)
	rand.NewChaCha8([32]byte{}).Read(random)
	put := func(body []byte, like eventlog.Kept) []uint64 {
		t.Helper()
		parts, err := log.PutArtifact(t.Context(), fleetName(t).FleetArtifactSubject(), body, like)
		if err != nil {
			t.Fatal(err)
		}
		got, err := log.Artifact(t.Context(), events.Artifact{SHA256: manifest.Sum(body), Size: len(body), Parts: parts})
		if err != nil || !bytes.Equal(got.Body, body) {
			t.Fatalf("parts %v: %v", parts, err)
		}
		return parts
	}
	like := eventlog.Kept{Body: random, Parts: put(random, eventlog.Kept{})}
	changed := bytes.Clone(random)
	changed[events.PartSize+7]++
	for name, c := range map[string]struct {
		body []byte
		like eventlog.Kept
		want []uint64 // 0: stored anew
	}{
		"the same":          {random, like, []uint64{1, 2, 3, 4}},
		"one byte of it":    {changed, like, []uint64{1, 0, 3, 4}},
		"its end":           {random[:len(random)-1], like, []uint64{1, 2, 3, 0}},
		"more of it":        {append(bytes.Clone(random), 1), like, []uint64{1, 2, 3, 0}},
		"a part that lacks": {random, eventlog.Kept{Body: random, Parts: like.Parts[:3]}, []uint64{1, 2, 3, 0}},
	} {
		got := put(c.body, c.like)
		for i, seq := range got {
			if seq > uint64(len(like.Parts)) {
				got[i] = 0
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestProvisionRefusesDrift(t *testing.T) {
	nc := dial(t, brokertest.Start(t))
	provision(t, nc, writerKey(t, 1))
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), fleetName(t).EventsStream())
	if err != nil {
		t.Fatal(err)
	}
	weak := stream.CachedInfo().Config
	weak.MaxAge = time.Hour
	if _, err := js.UpdateStream(t.Context(), weak); err != nil {
		t.Fatal(err)
	}
	var drift *eventlog.DriftError
	if _, err := eventlog.Open(t.Context(), nc, eventlog.Place{Fleet: fleetName(t)}); !errors.As(err, &drift) || len(drift.Differences) != 1 {
		t.Errorf("open with a maximum age: %v, want a DriftError of one difference", err)
	}
	other := events.FleetName{}
	if _, err := eventlog.Open(t.Context(), nc, eventlog.Place{Fleet: other}); err == nil {
		t.Error("open without streams: no error")
	}
}

// TestCompression: what one server stores alone may be compressed, and is when it
// is made; replicated streams must not be.
func TestCompression(t *testing.T) {
	for replicas, want := range map[int]jetstream.StoreCompression{1: jetstream.S2Compression, 3: jetstream.NoCompression} {
		config := eventlog.EventsConfig(fleetName(t), eventlog.Limits{Events: 1 << 20, Replicas: replicas})
		if config.Compression != want {
			t.Errorf("with %d replicas compression is %s, want %s", replicas, config.Compression, want)
		}
		for _, c := range []jetstream.StoreCompression{jetstream.NoCompression, jetstream.S2Compression} {
			have := config
			have.Compression = c
			var drift *eventlog.DriftError
			refused := errors.As(eventlog.Drift(config, have), &drift)
			if refused != (replicas > 1 && c == jetstream.S2Compression) {
				t.Errorf("%d replicas with %s compression: refused %v", replicas, c, refused)
			}
		}
	}
}

func TestFollowNoticesAnotherStream(t *testing.T) {
	key := writerKey(t, 1)
	nc := dial(t, brokertest.Start(t))
	log := provision(t, nc, key)
	w := newWriter(t, log)
	var heads []events.Head
	for n := uint64(1); n <= 3; n++ {
		tick, err := appendTick(t.Context(), w, key, draft(n, uint32(n), 1))
		if err != nil {
			t.Fatal(err)
		}
		heads = append(heads, tick.Head)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteStream(t.Context(), fleetName(t).EventsStream()); err != nil {
		t.Fatal(err)
	}
	provision(t, nc, key)
	for _, err := range log.Follow(t.Context(), heads[2]) {
		if !errors.Is(err, eventlog.ErrAhead) {
			t.Errorf("follow a recreated stream: %v, want ErrAhead", err)
		}
	}
}
