// Package logtest writes long logs quickly, for tests and benchmarks: every byte
// is as a poller would have stored it, but nobody waits for the clock, and the
// signatures are made side by side.
package logtest

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"maps"
	"time"

	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/fleetsim"
	"fleetlog/manifest"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
)

// Quiet is a log in which little happens: a tick every half minute, statements
// written out every hour, a new release now and then.
type Quiet struct {
	Fleet    events.FleetName
	Key      ed25519.PrivateKey // of the writer
	Signer   *fleetsim.Signer   // of the releases
	Start    time.Time
	Ticks    int
	Release  int // ticks from one release to the next
	Hosts    int
	Channels int
}

// Year is the log of a small fleet over a year, with two releases a day.
func Year(fleet events.FleetName, key ed25519.PrivateKey, signer *fleetsim.Signer) Quiet {
	return Quiet{
		Fleet: fleet, Key: key, Signer: signer, Start: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		Ticks: 365 * 24 * 120, Release: 12 * 120, Hosts: 6, Channels: 3,
	}
}

const (
	interval = 30 * time.Second
	restate  = 120 // ticks
)

// Write makes the log on the broker, and its streams.
func (q Quiet) Write(ctx context.Context, nc *nats.Conn) (*eventlog.Log, error) {
	writer, err := events.NewWriter(q.Key)
	if err != nil {
		return nil, err
	}
	log, err := eventlog.Provision(ctx, nc, eventlog.Place{Fleet: q.Fleet}, eventlog.Provisioning{
		Limits:  eventlog.Limits{Events: 4 << 30, Artifacts: 1 << 30, Replicas: 1},
		Opening: events.Opening{Writer: writer, Writers: []events.PublicKey{writer.Public()}},
		Now:     q.Start, Random: uuid.NewRandom,
	})
	if err != nil {
		return nil, err
	}
	out, err := newPress(ctx, nc, q.Key, log.Lineage())
	if err != nil {
		return nil, err
	}
	w := &quietWriter{Quiet: q, log: log, writer: writer, press: out, head: log.Opening(), next: 2}
	return log, out.close(w.all(ctx))
}

type quietWriter struct {
	Quiet
	log      *eventlog.Log
	writer   *events.Writer
	press    *press
	head     events.Head
	next     uint64 // sequence
	findings []events.Finding
	pattern  events.Message // a tick without findings has its headers, but for what is its own
	set      *events.SetReference
}

func (w *quietWriter) all(ctx context.Context) error {
	for n := range w.Ticks {
		now := w.Start.Add(time.Duration(n+1) * interval)
		var err error
		switch {
		case n%w.Release == 0:
			if err = w.release(ctx, n/w.Release, now); err == nil {
				err = w.state(n, now)
			}
		case n%restate == 0:
			err = w.state(n, now)
		default:
			err = w.repeat(n, now)
		}
		if err != nil {
			return fmt.Errorf("write tick %d: %w", n+1, err)
		}
	}
	return nil
}

// release signs and stores a new release, and makes the findings of it.
func (w *quietWriter) release(ctx context.Context, n int, now time.Time) error {
	files, err := fleetsim.Fleet{
		Hosts: w.Hosts, Channels: w.Channels, Closures: n, Commit: fmt.Sprintf("%040x", n), SignedAt: now,
	}.Sign(w.Signer)
	if err != nil {
		return err
	}
	trust, err := manifest.ParseTrust(w.Signer.Trust())
	if err != nil {
		return err
	}
	received := func(name string) manifest.Received {
		return manifest.Received{Body: files[name].Data, Signature: files[name+".sig"].Data}
	}
	policy := manifest.Policy{Trust: trust, Now: now, Window: manifest.Unlimited}
	fleet, err := manifest.VerifyFleet(received("fleet.resolved.json"), policy)
	if err != nil {
		return err
	}
	rollouts := make(map[string]manifest.Received)
	for _, p := range manifest.Project(fleet, manifest.SchemeOf(fleet.Value())) {
		rollouts[p.Channel] = received("rollouts/" + p.ID.String() + ".json")
	}
	set, _, err := manifest.Assemble(fleet.Received(), rollouts, "", policy)
	if err != nil {
		return err
	}
	w.set = &events.SetReference{Digest: set.Digest(), FleetHash: fleet.Hash(), SignedAt: fleet.SignedAt()}
	return w.find(ctx, set)
}

// find stores the set's artifacts and states them.
func (w *quietWriter) find(ctx context.Context, set *manifest.Set) error {
	fleet := set.Fleet()
	a, err := store(ctx, w.log, w.Fleet.FleetArtifactSubject(), fleet)
	w.findings = []events.Finding{&events.FleetFetched{
		FleetHash: fleet.Hash(), Artifact: a, SignedAt: fleet.SignedAt(), CICommit: fleet.CICommit(),
		Hosts: w.Hosts, Channels: w.Channels, Source: events.SourceControlPlane,
	}}
	for _, r := range set.Rollouts() {
		if err != nil {
			return err
		}
		m := r.Value()
		if a, err = store(ctx, w.log, w.Fleet.RolloutArtifactSubject(m.Channel), r); err != nil {
			return err
		}
		waves := make(map[int64]bool)
		for _, h := range m.HostSet {
			waves[int64(h.WaveIndex)] = true
		}
		w.findings = append(w.findings, &events.RolloutVerified{
			Channel: m.Channel, RolloutID: set.ID(r).String(), Scheme: set.Scheme(), Artifact: a, ManifestHash: r.Hash(),
			FleetHash: fleet.Hash(), SignedAt: r.SignedAt(), ChannelRef: m.ChannelRef, CICommit: r.CICommit(),
			Hosts: len(m.HostSet), Waves: len(waves),
		})
	}
	return err
}

func store[T any](ctx context.Context, log *eventlog.Log, subject string, v manifest.Verified[T]) (events.Artifact, error) {
	body := v.Received().Body
	parts, err := log.PutArtifact(ctx, subject, body)
	return events.Artifact{
		SHA256: v.Artifact(), Size: len(body), Parts: parts, Signature: v.Received().Signature,
		Algorithm: v.Key().Algorithm, Key: v.Key().Public,
	}, err
}

// state writes a tick with findings.
func (w *quietWriter) state(n int, now time.Time) error {
	draft := events.Draft{
		Tick: tickID(n, now), Time: events.TimeOf(now), Findings: w.findings, Set: w.set,
		Floor:  &events.Floor{SignedAt: w.set.SignedAt, FleetHash: w.set.FleetHash},
		TookMs: uint64(20 + n%7), Interval: interval,
	}
	base := events.Base{Fleet: w.Fleet, Head: w.head, Last: w.findings, LastVerified: w.findings}
	if w.head.Completed == nil {
		base.Last, base.LastVerified = nil, nil
	}
	messages, err := events.Compose(base, draft, events.Terms{Writer: w.writer}, w.next)
	if err != nil {
		return err
	}
	for _, m := range messages[:len(messages)-1] {
		w.press.put(m)
	}
	end := messages[len(messages)-1]
	event, err := events.Decode(end.Body)
	if err != nil {
		return err
	}
	w.pattern = events.Message{Subject: end.Subject, Header: maps.Clone(end.Header)}
	delete(w.pattern.Header, events.SignatureHeader)
	w.add(end, event.(*events.TickCompleted), len(messages))
	return nil
}

// repeat writes one without.
func (w *quietWriter) repeat(n int, now time.Time) error {
	t := *w.head.Completed
	t.Tick, t.Number, t.Index, t.Time = tickID(n, now), t.Number+1, 0, events.TimeOf(now)
	t.New, t.Stated, t.Seq, t.Previous = false, events.Unchanged, w.next, w.head.Digest
	t.TookMs = uint64(20 + n%7)
	body, err := events.Encode(&t)
	if err != nil {
		return err
	}
	header := maps.Clone(w.pattern.Header)
	header["ce-id"], header["ce-time"] = []string{t.Tick + ".0"}, []string{t.Time.String()}
	w.add(events.Message{Subject: w.pattern.Subject, Header: header, Body: body}, &t, 1)
	return nil
}

// add takes the end of a tick of so many messages.
func (w *quietWriter) add(m events.Message, t *events.TickCompleted, messages int) {
	w.press.put(m)
	w.next += uint64(messages)
	w.head = events.Head{
		Lineage: t.Lineage, Seq: t.Seq, Digest: manifest.Sum(m.Body),
		Tick: t.Tick, Number: t.Number, Time: t.Time, Completed: t,
	}
}

// tickID is a UUID of version 7 for the n-th tick.
func tickID(n int, now time.Time) string {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:], uint64(now.UnixMilli())<<16|0x7000)
	binary.BigEndian.PutUint64(id[8:], 1<<63|uint64(n))
	return id.String()
}
