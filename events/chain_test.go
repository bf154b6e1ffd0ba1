package events

import (
	"bytes"
	"crypto/ed25519"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

func otherWriter(t testing.TB) *Writer {
	t.Helper()
	w, err := NewWriter(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// threeTicks is a log of a tick with two findings, an unchanged one, and one with
// two findings again.
func threeTicks(t *testing.T) *book {
	t.Helper()
	b, one := newBook(t, nil), fetched(1, 0, 1)
	b.add(b.draft(time.Second, one, verified("a", 11, one)))
	b.add(b.draft(2*time.Second, one, verified("a", 11, one)))
	b.add(b.draft(3*time.Second, one, verified("a", 12, one)))
	return b
}

// Sequences of the messages in threeTicks, from 0.
const (
	opening = iota
	fleet1
	rollout1
	end1
	end2
	fleet3
	rollout3
	end3
)

func cloned(messages []Message) []Message {
	all := slices.Clone(messages)
	for i := range all {
		all[i].Header, all[i].Body = maps.Clone(all[i].Header), bytes.Clone(all[i].Body)
	}
	return all
}

// edited is a message whose event was changed, written and, where it was signed,
// signed again.
func edited[E Event](t *testing.T, m Message, change func(E)) Message {
	t.Helper()
	event, err := Decode(m.Body)
	if err != nil {
		t.Fatal(err)
	}
	change(event.(E))
	made, err := newMessage(event)
	if err != nil {
		t.Fatal(err)
	}
	if m.Header[SignatureHeader] != nil {
		if err := testWriter(t).sign(made, "0a0a0a0a-1111-4222-8333-444444444444"); err != nil {
			t.Fatal(err)
		}
	}
	return made
}

// replaced is a message with text in its body replaced, signed again if it was.
func replaced(t *testing.T, m Message, old, text string) Message {
	t.Helper()
	if !bytes.Contains(m.Body, []byte(old)) {
		t.Fatalf("%s has no %s", m.Body, old)
	}
	made := Message{m.Subject, maps.Clone(m.Header), bytes.Replace(m.Body, []byte(old), []byte(text), 1)}
	if m.Header[SignatureHeader] != nil {
		if err := testWriter(t).sign(made, "0a0a0a0a-1111-4222-8333-444444444444"); err != nil {
			t.Fatal(err)
		}
	}
	return made
}

// push reads a log from behind its opening.
func push(t *testing.T, messages []Message) (ticks []*Tick, noise []Noise, err error) {
	t.Helper()
	head, writers, err := ReadOpening(prod(t), messages[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	chain := NewChain(prod(t), writers, head)
	for i, m := range messages[1:] {
		tick, more, err := chain.Push(uint64(i+2), m)
		if err != nil {
			return ticks, noise, err
		}
		noise = append(noise, more...)
		if tick != nil {
			ticks = append(ticks, tick)
		}
	}
	return ticks, noise, nil
}

// TestValidTick breaks section 5(1) of the format sentence by sentence: what is
// broken, and all that was built on it, is noise.
func TestValidTick(t *testing.T) {
	tick := func(change func(*TickCompleted)) func(*testing.T, Message) Message {
		return func(t *testing.T, m Message) Message { return edited(t, m, change) }
	}
	finding := func(change func(*RolloutVerified)) func(*testing.T, Message) Message {
		return func(t *testing.T, m Message) Message { return edited(t, m, change) }
	}
	text := func(old, text string) func(*testing.T, Message) Message {
		return func(t *testing.T, m Message) Message { return replaced(t, m, old, text) }
	}
	header := func(name string, values ...string) func(*testing.T, Message) Message {
		return func(_ *testing.T, m Message) Message {
			m.Header[name] = values
			return m
		}
	}
	signedBy := func(w *Writer, lineage string) func(*testing.T, Message) Message {
		return func(t *testing.T, m Message) Message {
			if err := w.sign(m, lineage); err != nil {
				t.Fatal(err)
			}
			return m
		}
	}
	const lineage, another = "0a0a0a0a-1111-4222-8333-444444444444", "0c0c0c0c-1111-4222-8333-444444444444"
	for name, c := range map[string]struct {
		at     int
		change func(*testing.T, Message) Message
		valid  int
	}{
		"as written":             {end3, header("x", "y"), 3},
		"unknown ce- header":     {end3, header("ce-new", "y"), 3},
		"header of another case": {fleet3, header("Ce-Id", "y"), 3},
		"of a foreign writer": {end3, func(t *testing.T, m Message) Message {
			foreign := edited(t, m, func(e *TickCompleted) { e.Writer = otherWriter(t).Public() })
			return signedBy(otherWriter(t), lineage)(t, foreign)
		}, 2},
		"of another lineage": {end3, func(t *testing.T, m Message) Message {
			return signedBy(testWriter(t), another)(t, edited(t, m, func(e *TickCompleted) { e.Lineage = another }))
		}, 2},
		"of another fleet": {end2, func(t *testing.T, m Message) Message {
			return edited(t, m, func(e *TickCompleted) { e.Fleet = FleetName{"test"} })
		}, 1},
		"signature and another": {end3, func(_ *testing.T, m Message) Message {
			m.Header[SignatureHeader] = append(m.Header[SignatureHeader], "a")
			return m
		}, 2},
		"finding with its id and another": {rollout1, func(_ *testing.T, m Message) Message {
			m.Header["ce-id"] = append(m.Header["ce-id"], "a")
			return m
		}, 0},
		"unsigned":                       {end3, header(SignatureHeader), 2},
		"signature of something else":    {end3, text(`"tookMs":0`, `"tookMs":1`), 3},
		"signed for another lineage":     {end3, signedBy(testWriter(t), another), 2},
		"signed by a foreign writer":     {end3, signedBy(otherWriter(t), lineage), 2},
		"for another place":              {end3, tick(func(e *TickCompleted) { e.Seq++ }), 2},
		"number left out":                {end2, tick(func(e *TickCompleted) { e.Number = 3 }), 1},
		"number again":                   {end2, tick(func(e *TickCompleted) { e.Number = 1 }), 1},
		"on another tick":                {end2, tick(func(e *TickCompleted) { e.Previous = repeated(1) }), 1},
		"before the last tick's time":    {end2, tick(func(e *TickCompleted) { e.Time = goldenTime(time.Second - time.Millisecond) }), 1},
		"at the last tick's time":        {end2, tick(func(e *TickCompleted) { e.Time = goldenTime(time.Second) }), 2},
		"first tick before the log":      {end1, tick(func(e *TickCompleted) { e.Time = goldenTime(-time.Second) }), 0},
		"one finding fewer":              {end1, tick(func(e *TickCompleted) { e.Index = 1 }), 0},
		"one finding more":               {end1, tick(func(e *TickCompleted) { e.Index = 3 }), 0},
		"index 0 with an own statement":  {end1, tick(func(e *TickCompleted) { e.Index, e.Stated = 0, Unchanged }), 0},
		"another first sequence":         {end1, tick(func(e *TickCompleted) { e.Statement.FirstSeq = 3 }), 0},
		"another last sequence":          {end1, tick(func(e *TickCompleted) { e.Statement.LastSeq = 2 }), 0},
		"another digest":                 {end1, tick(func(e *TickCompleted) { e.Statement.Digest = repeated(1) }), 0},
		"another statement's tick":       {end3, tick(func(e *TickCompleted) { e.Statement.Tick = goldenFacts(t)[0].Tick }), 2},
		"another statement's number":     {end1, tick(func(e *TickCompleted) { e.Statement.Number = 2 }), 0},
		"repeats another statement":      {end2, tick(func(e *TickCompleted) { e.Statement.LastSeq = 2 }), 1},
		"repeats another digest":         {end2, tick(func(e *TickCompleted) { e.Statement.Digest = repeated(1) }), 1},
		"repeats with other counts":      {end2, tick(func(e *TickCompleted) { e.Counts.Idle++ }), 1},
		"repeats with another outcome":   {end2, tick(func(e *TickCompleted) { e.Outcome = Skipped }), 1},
		"repeats, but claims a change":   {end2, text(`"stated":"unchanged"`, `"stated":"changed"`), 1},
		"finding out of place":           {rollout1, finding(func(e *RolloutVerified) { e.Index = 2 }), 0},
		"finding of another tick":        {rollout1, finding(func(e *RolloutVerified) { e.Tick = goldenFacts(t)[0].Tick }), 0},
		"finding of another number":      {rollout1, finding(func(e *RolloutVerified) { e.Number = 2 }), 0},
		"finding of another time":        {rollout1, finding(func(e *RolloutVerified) { e.Time++ }), 0},
		"another time than its findings": {end1, tick(func(e *TickCompleted) { e.Time++ }), 0},
		"unchanged under the id of before": {end2, func(t *testing.T, m Message) Message {
			return edited(t, m, func(e *TickCompleted) { e.Tick = e.Statement.Tick })
		}, 1},
		"finding of another fleet":           {rollout1, text(`"fleet":"prod"`, `"fleet":"test"`), 0},
		"finding that says something else":   {rollout1, text(`"hosts":3`, `"hosts":4`), 0},
		"finding with another subject":       {rollout1, func(_ *testing.T, m Message) Message { m.Subject += "x"; return m }, 0},
		"finding without its id":             {rollout1, header("ce-id"), 0},
		"finding with another type":          {fleet1, header("ce-type", "io.nixfleet.FleetFetched.v2"), 0},
		"finding with another source":        {fleet1, header("ce-source", "/nixfleet/test"), 0},
		"finding with another time header":   {fleet1, header("ce-time", "2026-05-01T00:00:01Z"), 0},
		"finding with another channel":       {rollout1, header("ce-subject", "b"), 0},
		"fleet finding with a channel":       {fleet1, header("ce-subject", "a"), 0},
		"finding without content-type":       {fleet1, header("content-type"), 3},
		"finding with white space":           {rollout1, text(`,"hosts"`, `, "hosts"`), 0},
		"finding with a line end":            {rollout1, text(`{"type"`, "\n"+`{"type"`), 0},
		"finding with a needless escape":     {rollout1, text(`"channel":"a"`, `"channel":"\u0061"`), 0},
		"finding with keys in another order": {rollout1, text(`"hosts":3,"waves":2`, `"waves":2,"hosts":3`), 0},
		"finding with a key twice":           {rollout1, text(`"waves":2`, `"waves":2,"waves":2`), 0},
		"finding with null for nothing":      {rollout1, text(`"waves":2`, `"waves":2,"carried":null`), 0},
		"finding with an empty carried":      {rollout1, text(`"waves":2`, `"waves":2,"carried":""`), 0},
		"finding with a number as text":      {rollout1, text(`"waves":2`, `"waves":"2"`), 0},
		"finding with a fraction":            {rollout1, text(`"waves":2`, `"waves":2.0`), 0},
		"finding without a field":            {rollout1, text(`,"waves":2`, ``), 0},
		"finding with an unknown key inside": {rollout1, text(`"waves":2`, `"x":1,"waves":2`), 0},
	} {
		t.Run(name, func(t *testing.T) {
			messages := cloned(threeTicks(t).written)
			messages[c.at] = c.change(t, messages[c.at])
			ticks, noise, err := push(t, messages)
			if err != nil {
				t.Fatal(err)
			}
			if len(ticks) != c.valid {
				t.Errorf("%d valid ticks, want %d; noise %v", len(ticks), c.valid, noise)
			}
			wantAccountedFor(t, messages, ticks, noise)
		})
	}
}

// wantAccountedFor demands that every message is either part of a tick or noise,
// or may still become part of one.
func wantAccountedFor(t *testing.T, messages []Message, ticks []*Tick, noise []Noise) {
	t.Helper()
	seen := map[uint64]bool{}
	for _, n := range noise {
		if seen[n.Seq] || n.Why == nil || n.Subject != messages[n.Seq-1].Subject {
			t.Errorf("noise %+v is told twice, or not why", n)
		}
		seen[n.Seq] = true
	}
	for _, tick := range ticks {
		for seq := tick.Head.Seq - uint64(len(tick.Findings)); seq <= tick.Head.Seq; seq++ {
			if seen[seq] {
				t.Errorf("sequence %d of tick %d is noise too", seq, tick.Head.Number)
			}
			seen[seq] = true
		}
	}
	for i, m := range messages[1:] {
		if seq := uint64(i + 2); !seen[seq] && i+2 < len(messages) && !strings.HasPrefix(m.Subject, "nixfleet.prod.event.Rollout") {
			t.Errorf("sequence %d (%s) is neither part of a tick nor noise", seq, m.Subject)
		}
	}
}

// TestTickOfOneFinding: the first finding of a tick has index 0.
func TestTickOfOneFinding(t *testing.T) {
	b := newBook(t, nil)
	b.add(b.draft(time.Second, refused(StageFetch, Timeout)))
	if ticks, _, err := push(t, b.written); err != nil || len(ticks) != 1 {
		t.Fatalf("%d ticks, %v", len(ticks), err)
	}
	b.written[1] = edited(t, b.written[1], func(e *FleetRejected) { e.Index = 1 })
	if ticks, noise, err := push(t, b.written); err != nil || len(ticks) != 0 || len(noise) != 2 {
		t.Errorf("%d ticks, noise %v, %v; want two messages of noise", len(ticks), noise, err)
	}
}

// TestGapInsideTick: findings must be directly before their tick.
func TestGapInsideTick(t *testing.T) {
	for _, gap := range []int{rollout1, end1} {
		messages := threeTicks(t).written
		head, writers, err := ReadOpening(prod(t), messages[0], nil)
		if err != nil {
			t.Fatal(err)
		}
		chain := NewChain(prod(t), writers, head)
		for i, m := range messages[1 : end1+1] {
			seq := uint64(i + 2)
			if i+1 >= gap {
				seq++
			}
			if i+1 == end1 { // signed for where it then is
				m = edited(t, m, func(e *TickCompleted) {
					e.Seq, e.Statement.FirstSeq, e.Statement.LastSeq = seq, seq-2, seq-1
				})
			}
			if tick, _, err := chain.Push(seq, m); tick != nil || err != nil {
				t.Errorf("gap before message %d: a tick, %v", gap, err)
			}
		}
	}
}

// TestEnd judges ends of ticks by themselves.
func TestEnd(t *testing.T) {
	b := threeTicks(t)
	head, writers, err := ReadOpening(prod(t), b.written[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	chain := NewChain(prod(t), writers, head)
	for i, tick := range []int{end1, end2, end3} {
		got, err := chain.End(uint64(tick+1), b.written[tick])
		if err != nil || got.Digest != b.ticks[i].Head.Digest || got.Number != uint64(i+1) {
			t.Errorf("tick %d: %+v, %v", i+1, got, err)
		}
		if _, err := chain.End(uint64(tick+2), b.written[tick]); err == nil {
			t.Errorf("tick %d at another place: no error", i+1)
		}
	}
	deep := edited(t, b.written[end1], func(e *TickCompleted) { e.Index = 3 })
	for name, m := range map[string]Message{"a finding": b.written[fleet1], "the opening": b.written[0], "more findings than there is room": deep} {
		if got, err := chain.End(4, m); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestReadTick reads each tick of a log by itself.
func TestReadTick(t *testing.T) {
	b := threeTicks(t)
	read := func(first, last int) (*Tick, error) {
		return ReadTick(prod(t), []PublicKey{testWriter(t).Public()}, b.base.Head.Lineage, uint64(first+1), b.written[first:last+1])
	}
	for i, bounds := range [][2]int{{fleet1, end1}, {end2, end2}, {fleet3, end3}} {
		tick, err := read(bounds[0], bounds[1])
		if err != nil || tick.Head.Digest != b.ticks[i].Head.Digest || len(tick.Findings) != bounds[1]-bounds[0] {
			t.Errorf("tick %d: %+v, %v", i+1, tick, err)
		}
	}
	for _, bounds := range [][2]int{{fleet1, rollout1}, {rollout1, end1}, {end1, end1}, {fleet1, end2}, {end2, end3}, {opening, end1}, {fleet1, fleet1 - 1}} {
		if tick, err := read(bounds[0], bounds[1]); err == nil {
			t.Errorf("messages %v: tick %d", bounds, tick.Head.Number)
		}
	}
}
