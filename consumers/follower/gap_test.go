package follower_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"fleetlog/consumers/follower"
	"fleetlog/eventlog"
	"fleetlog/events"

	"github.com/google/uuid"
)

// away is a broker that does not answer.
func away(c *follower.Config) {
	c.Open = func(context.Context, []events.PublicKey) (*eventlog.Log, error) { return nil, eventlog.ErrUnavailable }
}

func acceptingGap(seq uint64) func(*follower.Config) {
	return func(c *follower.Config) { c.AcceptGap = seq }
}

// TestGap: messages are lost behind the checkpoint. Nothing is applied, what
// there is stays served, and a person can go on.
func TestGap(t *testing.T) {
	s, path := newScene(t), t.TempDir()
	first := s.release()
	r := s.start(path)
	r.reaches(first)
	r.stop()
	s.release()
	unchanged := s.tick()
	s.lose(first.Head.Seq+2, first.Head.Seq+3)
	gap := first.Head.Seq + 3

	r = s.start(path)
	r.halted(saidBy(first), fmt.Sprintf("--accept-gap %d", gap))
	r.met(follower.Gap, 1)
	s.setTrust(append(signer.Trust(), ' ')) // it is looked after all the same
	r.until("trust file taken", func() bool { return len(r.entries("trust file has changed")) == 1 })
	r.stop()
	if c := checkpointIn(t, path); c.Sequence != first.Head.Seq || look(t, path) != saidBy(first) {
		t.Errorf("halted, and yet at sequence %d", c.Sequence)
	}

	// Accepting less than is lost is not enough.
	r = s.start(path, acceptingGap(gap-1))
	r.halted(saidBy(first), fmt.Sprintf("--accept-gap %d", gap))
	r.stop()

	// Behind the gap there is the end of a tick, and one that repeats it: no
	// whole statement yet.
	r = s.start(path, acceptingGap(gap))
	r.until("waiting for a statement", func() bool {
		return r.notReady() != nil && strings.Contains(r.notReady().Error(), "no statement")
	})
	if held, p := r.Current(); digestOf(held) != saidBy(first) || p.Sequence >= unchanged.Head.Seq {
		t.Errorf("serves %s at %+v while it waits", digestOf(held), p)
	}
	last := s.release()
	r.reaches(last)
	r.reaches(s.tick())
	r.reaches(s.release())
	r.stop()
}

// TestGapFromTheBeginning: whoever folds the log anew meets it again, and serves
// what is before it.
func TestGapFromTheBeginning(t *testing.T) {
	s, path := newScene(t), t.TempDir()
	first := s.release()
	s.release()
	gap := first.Head.Seq + 2
	s.lose(gap)
	r := s.start(path)
	r.halted(saidBy(first), fmt.Sprintf("--accept-gap %d", gap))
	r.stop()
	if c := checkpointIn(t, path); c.Sequence != first.Head.Seq || look(t, path) != saidBy(first) {
		t.Errorf("what is before the gap is not kept: %+v", c)
	}
	last := s.release()
	for _, path := range []string{path, t.TempDir()} {
		r = s.start(path, acceptingGap(gap))
		r.reaches(last)
		r.stop()
	}
}

// TestGapTakesOnlyWholeStatements: what looks like one does not count, nor does
// one that an accepted writer has signed for another place in the chain.
func TestGapTakesOnlyWholeStatements(t *testing.T) {
	s, path := newScene(t), t.TempDir()
	first := s.release()
	second := s.release()
	s.lose(first.Head.Seq + 1)
	gap := first.Head.Seq + 1
	end, err := s.log.Message(t.Context(), second.Head.Seq)
	must(t, err)
	endless := bytes.Replace(end.Body, []byte(`"index":4,`), []byte(`"index":9007199254740991,`), 1)
	if bytes.Equal(endless, end.Body) {
		t.Fatal("the tick has not four findings")
	}
	s.publish(events.Message{Subject: end.Subject, Header: end.Header, Body: endless})
	for seq := second.Head.Seq - 3; seq <= second.Head.Seq; seq++ { // a copy of its end
		m, err := s.log.Message(t.Context(), seq)
		must(t, err)
		s.publish(m)
	}
	s.publishSkipped(s.log.Opening(), nil)
	last := s.publishSkipped(second.Head, second.Findings)
	r := s.start(path, acceptingGap(gap))
	r.until("behind the gap", func() bool {
		_, p := r.Current()
		return r.isReady() && p.Sequence == last
	})
	if _, p := r.Current(); p.Tick != 3 || r.noise() != 0 || len(r.entries(crossed)) != 1 {
		t.Errorf("at %+v: %v", p, r.lines())
	}
	r.stop()
}

const crossed = "going on behind lost messages, as accepted"

// publishSkipped stores a tick without a fleet that follows the given one:
// whole, and signed for its place in the stream, which it returns.
func (s *scene) publishSkipped(head events.Head, findings []events.Finding) (seq uint64) {
	s.t.Helper()
	writer, err := events.NewWriter(s.key)
	must(s.t, err)
	last, err := s.log.LastSequence(s.t.Context())
	must(s.t, err)
	id, err := uuid.NewV7()
	must(s.t, err)
	messages, err := events.Compose(
		events.Base{Fleet: s.log.Fleet(), Head: head, Last: findings, LastVerified: findings},
		events.Draft{
			Tick: id.String(), Time: events.TimeOf(s.now()), Floor: head.Floor(),
			Findings: []events.Finding{&events.FleetRejected{Stage: events.StageFetch, Reason: events.Unreachable}},
		},
		events.Terms{Writer: writer}, last+1,
	)
	must(s.t, err)
	for _, m := range messages {
		s.publish(m)
	}
	return last + uint64(len(messages))
}
