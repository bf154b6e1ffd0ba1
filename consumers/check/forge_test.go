package check_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"fleetlog/events"
	"fleetlog/manifest"

	"github.com/nats-io/nats.go/jetstream"
)

// recorded are the messages of both streams, the first at sequence 1, to be
// damaged and stored anew.
type recorded struct {
	s         *scene
	config    map[string]jetstream.StreamConfig
	events    []events.Message
	artifacts []events.Message
	lost      map[string][]uint64 // by stream
}

// record reads both streams.
func (s *scene) record() *recorded {
	r := &recorded{s: s, config: make(map[string]jetstream.StreamConfig)}
	r.events = r.contents(eventsStream)
	r.artifacts = r.contents(artifactsStream)
	return r
}

func (r *recorded) contents(name string) (messages []events.Message) {
	t := r.s.t
	t.Helper()
	stream, err := r.s.js.Stream(t.Context(), name)
	must(t, err)
	info := stream.CachedInfo()
	r.config[name] = info.Config
	for seq := uint64(1); seq <= info.State.LastSeq; seq++ {
		m, err := stream.GetMsg(t.Context(), seq)
		must(t, err)
		messages = append(messages, events.Message{Subject: m.Subject, Header: m.Header, Body: m.Data})
	}
	return messages
}

// copied is a copy to damage.
func (r *recorded) copied() *recorded {
	c := *r
	c.events, c.artifacts, c.lost = slices.Clone(r.events), slices.Clone(r.artifacts), make(map[string][]uint64)
	for i := range c.events {
		c.events[i].Header = maps.Clone(c.events[i].Header)
	}
	return &c
}

// stored are the messages in the streams of another broker.
func (r *recorded) stored(t testing.TB) *scene {
	t.Helper()
	s := connect(t)
	for name, messages := range map[string][]events.Message{eventsStream: r.events, artifactsStream: r.artifacts} {
		weak := r.config[name]
		weak.DenyDelete, weak.DenyPurge = false, false
		stream, err := s.js.CreateStream(t.Context(), weak)
		must(t, err)
		for _, m := range messages {
			s.publish(m)
		}
		for _, seq := range r.lost[name] {
			must(t, stream.DeleteMsg(t.Context(), seq))
		}
		_, err = s.js.UpdateStream(t.Context(), r.config[name])
		must(t, err)
	}
	return s
}

func (r *recorded) body(seq uint64) string { return string(r.events[seq-1].Body) }

func (r *recorded) replace(seq uint64, from, to string) {
	r.s.t.Helper()
	before := r.body(seq)
	after := strings.Replace(before, from, to, 1)
	if before == after {
		r.s.t.Fatalf("sequence %d does not hold %s: %s", seq, from, before)
	}
	r.events[seq-1].Body = []byte(after)
}

// forge changes a message as a writer that lies would have written it: what
// comes behind it goes on from there.
func (r *recorded) forge(seq uint64, from, to string) {
	r.s.t.Helper()
	original := slices.Clone(r.events)
	finding := !strings.HasSuffix(r.events[seq-1].Subject, ".TickCompleted")
	if finding {
		r.replace(seq, from, to)
	}
	var renamed []string // digests, old and new
	for i := range r.events {
		m := &r.events[i]
		place := uint64(i) + 1
		m.Body = []byte(strings.NewReplacer(renamed...).Replace(string(m.Body)))
		event, err := events.Decode(m.Body)
		must(r.s.t, err)
		if t, ok := event.(*events.TickCompleted); ok && t.Index > 0 {
			renamed = append(renamed, r.restate(place, t)...)
		}
		if place == seq && !finding {
			r.replace(seq, from, to)
		}
		if string(m.Body) != string(original[i].Body) {
			r.sign(m)
			renamed = append(renamed, manifest.Sum(original[i].Body).String(), manifest.Sum(m.Body).String())
		}
	}
}

// restate gives the tick the digest of its findings.
func (r *recorded) restate(seq uint64, t *events.TickCompleted) (renamed []string) {
	var bodies [][]byte
	for at := t.Statement.FirstSeq; at <= t.Statement.LastSeq; at++ {
		bodies = append(bodies, r.events[at-1].Body)
	}
	digest, err := events.StatementDigest(bodies)
	must(r.s.t, err)
	if digest == t.Statement.Digest {
		return nil
	}
	r.replace(seq, t.Statement.Digest.String(), digest.String())
	return []string{t.Statement.Digest.String(), digest.String()}
}

// sign makes subject, headers and signature those of the body.
func (r *recorded) sign(m *events.Message) {
	event, err := events.Decode(m.Body)
	must(r.s.t, err)
	head := event.Head()
	m.Subject = head.Fleet.EventSubject(events.Leaf(event))
	m.Header["ce-id"] = []string{head.Tick + "." + strconv.Itoa(head.Index)}
	m.Header["ce-time"] = []string{head.Time.String()}
	if channel, ok := event.ChannelName(); ok {
		m.Header["ce-subject"] = []string{events.ChannelToken(channel)}
	}
	if m.Header[events.SignatureHeader] != nil {
		text := "fleetlog/v1\n" + r.s.log.Lineage() + "\n" + manifest.Sum(m.Body).String()
		m.Header[events.SignatureHeader] = []string{base64.StdEncoding.EncodeToString(ed25519.Sign(r.s.key, []byte(text)))}
	}
}
