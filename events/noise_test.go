package events

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// TestUnknownFieldsCount: a newer writer may say more, and signs it.
func TestUnknownFieldsCount(t *testing.T) {
	b, one := newBook(t, nil), fetched(1, 0, 1)
	one.Unknown = jsontext.Value(`{"further":{"a":[1,2.50]}}`)
	a := verified("a", 11, one)
	a.Artifact.Unknown = jsontext.Value(`{"more":null}`)
	b.add(b.draft(time.Second, one, a))
	ticks, noise, err := push(t, b.written)
	if err != nil || len(ticks) != 1 || len(noise) != 0 {
		t.Fatalf("%d ticks, noise %v, %v", len(ticks), noise, err)
	}
	if !strings.Contains(string(b.written[1].Body), `"source":"control-plane","further":{"a":[1,2.50]}}`) {
		t.Errorf("body %s", b.written[1].Body)
	}
	messages := cloned(b.written)
	messages[1] = replaced(t, messages[1], "2.50", "2.51")
	if ticks, _, _ := push(t, messages); len(ticks) != 0 {
		t.Error("a tick whose unknown field was changed is valid")
	}
}

// TestNoiseHidesNothing puts what looks like the log's own, or was refused where
// it was meant for, in front of every tick.
func TestNoiseHidesNothing(t *testing.T) {
	one := fetched(1, 0, 1)
	draft := func(b *book, n int) Draft {
		d := b.draft(time.Duration(n)*time.Second, one, verified("a", byte(10+n/2), one), verified("b", 9, one))
		d.Tick = goldenFacts(t)[n].Tick
		return d
	}
	for name, noise := range map[string]func(b *book, next []Message) []Message{
		"junk": func(*book, []Message) []Message {
			return []Message{{Subject: "nixfleet.prod.event.X", Body: []byte("x")}}
		},
		"the last tick again":       func(b *book, _ []Message) []Message { return b.written[len(b.written)-1:] },
		"the log again":             func(b *book, _ []Message) []Message { return b.written },
		"the opening":               func(b *book, _ []Message) []Message { return b.written[:1] },
		"the beginning of the next": func(_ *book, next []Message) []Message { return next[:1] },
		"the findings of the next":  func(_ *book, next []Message) []Message { return next[:len(next)-1] },
		"the end of the next":       func(_ *book, next []Message) []Message { return next[len(next)-1:] },
		"the whole next":            func(_ *book, next []Message) []Message { return next },
		"a finding of later":        func(_ *book, next []Message) []Message { return next[len(next)/2:] },
		"a signed finding": func(_ *book, next []Message) []Message {
			return []Message{{next[0].Subject, next[len(next)-1].Header, next[0].Body}}
		},
		"a finding where ticks end": func(b *book, _ []Message) []Message {
			return []Message{signedOn(t, "TickCompleted", b.written[1].Body)}
		},
		"a finding where logs open": func(b *book, _ []Message) []Message { return []Message{signedOn(t, "LogOpened", b.written[1].Body)} },
		"another type, not signed": func(*book, []Message) []Message {
			return []Message{{Subject: "nixfleet.prod.event.TickCompleted", Body: []byte(`{"type":"TickCompleted.v2"}`)}}
		},
		"a type that nobody knows":    func(b *book, _ []Message) []Message { return []Message{unrecognized(t, b, "Novelty.v1", 0)} },
		"another version of the type": func(b *book, _ []Message) []Message { return []Message{unrecognized(t, b, "FleetFetched.v2", 0)} },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBook(t, nil)
			b.add(draft(b, 0))
			for n := 1; n < 8; n++ {
				refused, err := b.compose(draft(b, n))
				if err != nil {
					t.Fatal(err)
				}
				// What was refused was composed for a place that is taken since.
				foreign := append([]Message{{Subject: "nixfleet.prod.event.X", Body: []byte("x")}}, noise(b, refused)...)
				b.written = append(b.written, foreign...)
				b.seq += uint64(len(foreign))
				b.add(draft(b, n))
			}
			ticks, noise, err := push(t, b.written)
			if err != nil || len(ticks) != 8 {
				t.Errorf("%d valid ticks, want 8; noise %v, %v", len(ticks), noise, err)
			}
			wantAccountedFor(t, b.written, ticks, noise)
		})
	}
}

// signedOn is a body on a subject, under the log's own writer's signature.
func signedOn(t *testing.T, leaf string, body []byte) Message {
	t.Helper()
	m := Message{Subject: prod(t).EventSubject(leaf), Header: map[string][]string{}, Body: body}
	if err := testWriter(t).sign(m, "0a0a0a0a-1111-4222-8333-444444444444"); err != nil {
		t.Fatal(err)
	}
	return m
}

// unrecognized is a finding of a type that this version does not know, for the
// tick behind the book's last.
func unrecognized(t *testing.T, b *book, eventType string, index int) Message {
	t.Helper()
	e := &Unrecognized{Rest: jsontext.Value(`{"channel":"z","what":1}`)}
	e.Envelope = Envelope{
		Type: eventType, Fleet: prod(t), Tick: goldenFacts(t)[9].Tick, Number: b.base.Head.Number + 1, Index: index,
		Time: goldenTime(time.Minute), Severity: Info, Message: "m", New: true,
	}
	if err := e.readChannel(); err != nil {
		t.Fatal(err)
	}
	m, err := newMessage(e)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestUnknownTypeStops: inside a valid tick, or signed where only signed events
// are.
func TestUnknownTypeStops(t *testing.T) {
	for _, eventType := range []string{"Novelty.v1", "ChannelIdle.v2", "Novelty", "Novelty.vote"} {
		b := threeTicks(t)
		unknown := unrecognized(t, b, eventType, 1)
		d := b.draft(time.Minute, fetched(1, 0, 1), idle("z"))
		d.Tick = goldenFacts(t)[9].Tick
		made, err := b.compose(d)
		if err != nil {
			t.Fatal(err)
		}
		digest, err := StatementDigest([][]byte{made[0].Body, unknown.Body})
		if err != nil {
			t.Fatal(err)
		}
		made = []Message{made[0], unknown, edited(t, made[len(made)-1], func(e *TickCompleted) {
			e.Index, e.Seq, e.Statement.LastSeq, e.Statement.Digest = 2, b.seq+3, b.seq+2, digest
		})}
		ticks, _, err := push(t, append(b.written, made...))
		var stop *UnknownTypeError
		if !errors.As(err, &stop) || stop.Seq != b.seq+2 || stop.Type != eventType || len(ticks) != 3 {
			t.Errorf("%s in a tick: %v behind %d ticks, want it named behind 3", eventType, err, len(ticks))
		}
		if !strings.Contains(fmt.Sprint(err), "upgrade") {
			t.Errorf("%v does not say what to do", err)
		}
	}
	body := []byte(`{"type":"TickCompleted.v2","anything":1}`)
	for _, leaf := range []string{"TickCompleted", "LogOpened"} {
		b := threeTicks(t)
		ticks, _, err := push(t, append(b.written, signedOn(t, leaf, body)))
		var stop *UnknownTypeError
		if !errors.As(err, &stop) || stop.Seq != b.seq+1 || stop.Type != "TickCompleted.v2" || len(ticks) != 3 {
			t.Errorf("signed on %s: %v, want it named", leaf, err)
		}
	}
	foreign := signedOn(t, "TickCompleted", body)
	if err := otherWriter(t).sign(foreign, "0a0a0a0a-1111-4222-8333-444444444444"); err != nil {
		t.Fatal(err)
	}
	elsewhere := signedOn(t, "Novelty", body)
	for name, m := range map[string]Message{"signed by a foreign writer": foreign, "signed on another subject": elsewhere} {
		b := threeTicks(t)
		if _, noise, err := push(t, append(b.written, m)); err != nil || len(noise) != 1 {
			t.Errorf("%s: noise %v, %v; want it to be noise", name, noise, err)
		}
	}
}
