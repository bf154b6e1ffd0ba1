package events

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"io/fs"
	"slices"
	"testing"
	"time"

	"fleetlog/internal/corpus"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
)

type stored struct {
	Seq     uint64            `json:"seq"`
	Subject string            `json:"subject"`
	Header  map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

func (s stored) message() Message {
	m := Message{Subject: s.Subject, Header: make(map[string][]string), Body: []byte(s.Body)}
	for name, value := range s.Header {
		m.Header[name] = []string{value}
	}
	return m
}

// readLog reads one of the corpus's example logs, sequence 1 first.
func readLog(t testing.TB, name string) []Message {
	t.Helper()
	files, err := corpus.FS()
	if err != nil {
		t.Fatal(err)
	}
	data, err := fs.ReadFile(files, "log/"+name)
	if err != nil {
		t.Fatal(err)
	}
	return parseLog(t, data)
}

func parseLog(t testing.TB, data []byte) []Message {
	t.Helper()
	var messages []Message
	scanner := bufio.NewScanner(bytes.NewReader(data))
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		var s stored
		if err := json.Unmarshal(scanner.Bytes(), &s); err != nil {
			t.Fatal(err)
		}
		messages = append(messages, s.message())
		if s.Seq != uint64(len(messages)) {
			t.Fatalf("sequence %d at line %d", s.Seq, len(messages))
		}
	}
	return messages
}

func prod(t testing.TB) FleetName {
	t.Helper()
	fleet, err := ParseFleetName("prod")
	if err != nil {
		t.Fatal(err)
	}
	return fleet
}

// testWriter has the corpus's test key: the seed of 32 bytes 0x01.
func testWriter(t testing.TB) *Writer {
	t.Helper()
	w, err := NewWriter(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// readTicks pushes messages behind the opening and demands that no noise is
// among them.
func readTicks(t testing.TB, messages []Message) (Head, []*Tick) {
	t.Helper()
	opening, writers, err := ReadOpening(prod(t), messages[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	chain := NewChain(prod(t), writers, opening)
	var ticks []*Tick
	for i, m := range messages[1:] {
		tick, noise, err := chain.Push(uint64(i+2), m)
		if err != nil || len(noise) > 0 {
			t.Fatalf("sequence %d: noise %v, error %v", i+2, noise, err)
		}
		if tick != nil {
			ticks = append(ticks, tick)
		}
	}
	if chain.Open() {
		t.Fatal("log ends inside a tick")
	}
	return opening, ticks
}

func TestExampleLogsAreValid(t *testing.T) {
	for name, want := range map[string]int{"example.jsonl": 9, "rich.jsonl": 22} {
		_, ticks := readTicks(t, readLog(t, name))
		if len(ticks) != want {
			t.Errorf("%s: %d valid ticks, want %d", name, len(ticks), want)
		}
		t.Logf("%s: %d ticks valid", name, len(ticks))
	}
}

// TestExampleLogsAreWrittenAgain composes every tick from its facts and demands
// the same bytes.
func TestExampleLogsAreWrittenAgain(t *testing.T) {
	restate := map[string]time.Duration{"example.jsonl": time.Minute, "rich.jsonl": 30 * time.Minute}
	for name, every := range restate {
		t.Run(name, func(t *testing.T) {
			messages := readLog(t, name)
			opening, ticks := readTicks(t, messages)
			made, err := Open(prod(t), opening.Lineage, opening.Time, Opening{
				Writer: testWriter(t), Writers: opening.Opened.Writers, Continues: opening.Opened.Continues,
			})
			if err != nil {
				t.Fatal(err)
			}
			written := []Message{made}
			base := Base{Fleet: prod(t), Head: opening}
			for _, tick := range ticks {
				made, err := Compose(base, draftOf(tick, base), termsOf(t, tick, name, every), uint64(len(written)+1))
				if err != nil {
					t.Fatalf("tick %d: %v", tick.Head.Number, err)
				}
				written = append(written, made...)
				base = after(base, tick)
			}
			for i, m := range messages {
				if i >= len(written) {
					t.Fatalf("sequence %d is not written", i+1)
				}
				if diff := cmp.Diff(string(m.Body), string(written[i].Body)); diff != "" {
					t.Fatalf("sequence %d: body (-want +got):\n%s", i+1, diff)
				}
				if diff := cmp.Diff(m, written[i]); diff != "" {
					t.Fatalf("sequence %d (-want +got):\n%s", i+1, diff)
				}
			}
			t.Logf("%d messages written again byte for byte", len(written))
		})
	}
}

// termsOf describes by the project's own wording in the example, and by the
// dummies that the rich log has.
func termsOf(t *testing.T, _ *Tick, name string, every time.Duration) Terms {
	terms := Terms{Writer: testWriter(t), RestateEvery: every}
	if name == "rich.jsonl" {
		terms.Describe = func(Event) string { return "m" }
	}
	return terms
}

// draftOf are the facts of a tick: what its statement says, without what
// [Compose] adds.
func draftOf(tick *Tick, base Base) Draft {
	c := tick.Completed
	d := Draft{
		Tick: c.Tick, Time: c.Time, Floor: c.Floor, TookMs: c.TookMs,
		Interval: time.Duration(c.IntervalMs) * time.Millisecond, Missed: c.Missed, Set: c.Set,
	}
	findings := tick.Findings
	if len(findings) == 0 {
		findings = base.Last
	}
	for _, f := range findings {
		if isRemoved(f) {
			continue
		}
		f := f.clone()
		*f.Head() = Envelope{}
		d.Findings = append(d.Findings, f)
	}
	slices.Reverse(d.Findings) // the order must not matter
	return d
}

// after is the base behind the tick.
func after(base Base, tick *Tick) Base {
	base.Head = tick.Head
	if len(tick.Findings) > 0 {
		base.Last = tick.Findings
		if tick.Completed.Outcome == Verified {
			base.LastVerified = tick.Findings
		}
	}
	return base
}
