package events

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// repeatable are the bodies in the sample logs of ticks and of findings.
func repeatable(t testing.TB) (ticks, findings [][]byte) {
	t.Helper()
	for _, name := range []string{"example.jsonl", "rich.jsonl"} {
		for _, m := range readLog(t, name) {
			event, err := Decode(m.Body)
			if err != nil {
				continue
			}
			switch e := event.(type) {
			case *TickCompleted:
				if e.Missed == nil {
					ticks = append(ticks, m.Body)
				}
			case Finding:
				if _, unknown := event.(*Unrecognized); !unknown {
					findings = append(findings, m.Body)
				}
			}
		}
	}
	if len(ticks) < 2 || len(findings) < 10 {
		t.Fatalf("%d ticks, %d findings", len(ticks), len(findings))
	}
	return ticks, findings
}

// repetitionOf cuts a body.
func repetitionOf(t testing.TB, body []byte) *repetition {
	t.Helper()
	event, err := Decode(body)
	if err != nil {
		t.Fatal(err)
	}
	m, err := newMessage(event)
	if err != nil {
		t.Fatal(err)
	}
	return newRepetition(event, m)
}

var (
	tickOf = regexp.MustCompile(`"tick":"([^"]*)"`)
	timeOf = regexp.MustCompile(`"time":"([^"]*)"`)
	newOf  = regexp.MustCompile(`^([^{]*\{.*?,"new":)(?:true|false)`)
)

// around is the message of a body that may be of no form, with headers that say
// what it does.
func around(r *repetition, body []byte) Message {
	m := Message{Subject: r.subject, Header: make(map[string][]string), Body: body}
	for _, h := range r.headers {
		m.Header[h.name] = []string{h.value}
	}
	if tick := tickOf.FindSubmatch(body); tick != nil {
		m.Header[idHeader] = []string{fmt.Sprintf("%s.%d", tick[1], r.event.Head().Index)}
	}
	if at := timeOf.FindSubmatch(body); at != nil {
		m.Header[timeHeader] = []string{string(at[1])}
	}
	return m
}

// checkRepetition: what reads as a repetition is what [Decode] reads, and of a
// finding says the same for the statement's digest.
func checkRepetition(t *testing.T, r *repetition, body []byte) (read bool) {
	t.Helper()
	m := around(r, body)
	got, like := r.read(m)
	if got == nil {
		return false
	}
	want, err := m.decode()
	if err != nil {
		t.Errorf("reads %s, which is refused: %v", body, err)
		return true
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("reads %s as %+v, want %+v", body, got, want)
	}
	if again, same := like.read(m); same != like || !reflect.DeepEqual(again, want) {
		t.Errorf("reads %s as %+v when it comes again, want %+v", body, again, want)
	}
	if _, finding := got.(Finding); finding {
		checkTimeless(t, like, body)
	}
	return true
}

// checkTimeless: what a finding says for the statement's digest, and says when it
// is no longer new or is again, is what [StatementDigest] takes of it.
func checkTimeless(t *testing.T, r *repetition, body []byte) {
	t.Helper()
	for _, isNew := range []bool{true, false, true} {
		written := newOf.ReplaceAll(body, fmt.Appendf(nil, `${1}%t`, isNew))
		digest, err := StatementDigest([][]byte{written})
		if err != nil {
			t.Fatal(err)
		}
		if said, err := r.timeless(isNew, written); err != nil || statementOf([][]byte{said}) != digest {
			t.Errorf("says %s (%v) for the digest of %s", said, err, written)
		}
	}
}

// TestRepetition reads each tick, and each finding, by itself,
// and, changed in any place, only what Decode reads.
func TestRepetition(t *testing.T) {
	const digits = `0123456789abcdefABCDEF-:.,"{}TZ `
	read, refused := 0, 0
	ticks, findings := repeatable(t)
	for _, body := range append(ticks[:6], findings...) {
		r := repetitionOf(t, body)
		if !checkRepetition(t, r, body) {
			t.Errorf("does not read itself: %s", body)
		}
		random := rand.New(rand.NewPCG(1, 1))
		for at := range body {
			changed := slices.Clone(body)
			changed[at] = digits[random.IntN(len(digits))]
			if checkRepetition(t, r, changed) {
				read++
			} else {
				refused++
			}
			checkRepetition(t, r, slices.Delete(slices.Clone(body), at, at+1))
			checkRepetition(t, r, slices.Insert(slices.Clone(body), at, body[at]))
		}
	}
	if read < 100 || refused < 1000 {
		t.Errorf("%d read and %d refused", read, refused)
	}
}

// TestRepetitionOfAnother reads what was signed anew, stated anew or stated
// elsewhere by what was read of its kind before.
func TestRepetitionOfAnother(t *testing.T) {
	b, one, two := newBook(t, nil), fetched(1, 0, 1), fetched(2, time.Second, 1)
	two.Artifact.Parts = []uint64{7}
	for at, fleet := range []*FleetFetched{one, one, two, two} {
		rollout := verified("a", byte(10+at/2), fleet)
		fleet.Artifact.Key, rollout.Artifact.Key = "key", "key"
		b.add(b.draft(time.Duration(at+1)*time.Second, fleet, rollout))
	}
	for _, pair := range [][2]int{{fleet1, fleet3}, {rollout1, rollout3}, {end1, end3}, {end2, end3 + 1}} {
		known, another := b.written[pair[0]], b.written[pair[1]]
		r := repetitionOf(t, known.Body)
		if !checkRepetition(t, r, another.Body) {
			t.Errorf("reads not by %s: %s", known.Body, another.Body)
		}
		if _, like := r.read(another); like == r {
			t.Errorf("says the same as %s: %s", known.Body, another.Body)
		}
		if !checkRepetition(t, r, known.Body) {
			t.Errorf("reads itself no more: %s", known.Body)
		}
	}
}

// TestLargestRepetition: a body that is as large as there can be is not read when
// its number has one more digit.
func TestLargestRepetition(t *testing.T) {
	_, findings := repeatable(t)
	event, err := Decode(findings[0])
	if err != nil {
		t.Fatal(err)
	}
	event.Head().Number, event.Head().Message = 9, "m"
	body, err := Encode(event)
	if err != nil {
		t.Fatal(err)
	}
	event.Head().Message = strings.Repeat("m", 1+MaxBody-len(body))
	if body, err = Encode(event); err != nil || len(body) != MaxBody {
		t.Fatalf("%d bytes, %v", len(body), err)
	}
	r := newRepetition(event, Message{Subject: event.Head().Fleet.EventSubject(Leaf(event)), Body: body})
	if !checkRepetition(t, r, body) {
		t.Error("does not read itself")
	}
	if checkRepetition(t, r, bytes.Replace(body, []byte(`"number":9,`), []byte(`"number":10,`), 1)) {
		t.Error("reads what is larger than any message")
	}
}

// TestRepetitionIsPlain: a tick with missed ticks, or with fields
// that are not known is not one to go by.
func TestRepetitionIsPlain(t *testing.T) {
	for _, tick := range []TickCompleted{
		{Missed: &Missed{}}, {Unknown: []byte(`{}`)}, {Counts: Counts{Unknown: []byte(`{}`)}},
		{Statement: Statement{Unknown: []byte(`{}`)}}, {Set: &SetReference{Unknown: []byte(`{}`)}}, {Floor: &Floor{Unknown: []byte(`{}`)}}, {},
	} {
		if newRepetition(&tick, Message{Body: []byte("{}")}) != nil {
			t.Errorf("goes by %+v", tick)
		}
	}
}

// TestRepetitionHasItsEnvironment: with another subject or header it is left to
// [Message.decode], which says what is wrong.
func TestRepetitionHasItsEnvironment(t *testing.T) {
	ticks, findings := repeatable(t)
	for _, body := range append(ticks[:2], findings...) {
		r := repetitionOf(t, body)
		if event, _ := r.read(around(r, body)); event == nil {
			t.Fatalf("does not read itself: %s", body)
		}
		changes := map[string]func(*Message){
			"subject":           func(m *Message) { m.Subject += "x" },
			"channel of no one": func(m *Message) { m.Header[subjectHeader] = append(m.Header[subjectHeader], "x") },
		}
		for _, h := range r.headers {
			changes["no "+h.name] = func(m *Message) { delete(m.Header, h.name) }
			changes["two of "+h.name] = func(m *Message) { m.Header[h.name] = append(m.Header[h.name], m.Header[h.name]...) }
			changes["another "+h.name] = func(m *Message) { m.Header[h.name] = []string{m.Header[h.name][0] + "0"} }
		}
		for name, change := range changes {
			m := around(r, body)
			change(&m)
			if _, err := m.decode(); err == nil {
				t.Errorf("%s: decode accepts it", name)
			}
			if event, _ := r.read(m); event != nil {
				t.Errorf("%s: is read", name)
			}
		}
	}
}

func FuzzRepetition(f *testing.F) {
	ticks, findings := repeatable(f)
	var known []*repetition
	for _, body := range append(ticks[:4], findings...) {
		f.Add(body)
		known = append(known, repetitionOf(f, body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, r := range known {
			checkRepetition(t, r, body)
		}
	})
}

// TestDeferredSignatures: ticks count unsigned until HeadHolds is asked, but not
// across writers.
func TestDeferredSignatures(t *testing.T) {
	b, one := newBook(t, nil), fetched(1, 0, 1)
	b.add(b.draft(time.Second, one, verified("a", 11, one)))
	b.add(b.draft(2*time.Second, one, verified("a", 11, one)))
	b.add(b.draft(3*time.Second, one, verified("a", 11, one)))
	head, writers, err := ReadOpening(prod(t), b.written[opening], nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name        string
		unsigned    []int
		ticks, seen int // that count; and up to which HeadHolds is true
	}{
		{"all are signed", nil, 3, 3},
		{"one in the middle is not", []int{end2}, 3, 3},
		{"the last is not", []int{end2 + 1}, 3, 2},
		{"none is", []int{end1, end2, end2 + 1}, 3, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			messages := cloned(b.written)
			for _, at := range c.unsigned {
				delete(messages[at].Header, SignatureHeader)
			}
			chain := NewChain(prod(t), writers, head)
			chain.DeferSignatures()
			ticks, holds := 0, 0
			for i, m := range messages[1:] {
				tick, noise, err := chain.Push(uint64(i+2), m)
				if err != nil || len(noise) > 0 {
					t.Fatal(noise, err)
				}
				if tick == nil {
					continue
				}
				if ticks++; chain.HeadHolds() {
					holds = ticks
				}
			}
			if ticks != c.ticks || holds != c.seen {
				t.Errorf("%d ticks, held up to %d, want %d and %d", ticks, holds, c.ticks, c.seen)
			}
		})
	}
}

// TestDeferredAcrossWriters: where the writer changes, both sides are looked at.
func TestDeferredAcrossWriters(t *testing.T) {
	b, one := newBook(t, nil), fetched(1, 0, 1)
	for n := range 3 {
		b.add(b.draft(time.Duration(n+1)*time.Second, one, verified("a", 11, one)))
	}
	other := otherWriter(t)
	last := len(b.written) - 1
	second := edited(t, b.written[last], func(e *TickCompleted) { e.Writer = other.Public() })
	head, _, err := ReadOpening(prod(t), b.written[opening], nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name     string
		sign     bool // the other writer's tick
		unsigned int  // the tick before it, or 0
		ticks    int
	}{
		{"both are signed", true, 0, 3}, {"the new writer's is not", false, 0, 2}, {"the old writer's is not", true, end2, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			messages := cloned(b.written)
			messages[last] = cloned([]Message{second})[0]
			if c.sign {
				if err := other.sign(messages[last], head.Lineage); err != nil {
					t.Fatal(err)
				}
			}
			if c.unsigned > 0 {
				delete(messages[c.unsigned].Header, SignatureHeader)
			}
			chain := NewChain(prod(t), []PublicKey{testWriter(t).Public(), other.Public()}, head)
			chain.DeferSignatures()
			ticks := 0
			for i, m := range messages[1:] {
				tick, _, err := chain.Push(uint64(i+2), m)
				if err != nil {
					t.Fatal(err)
				}
				if tick != nil {
					ticks++
				}
			}
			if ticks != c.ticks {
				t.Errorf("%d ticks, want %d", ticks, c.ticks)
			}
		})
	}
}
