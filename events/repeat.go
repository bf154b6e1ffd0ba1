package events

import (
	"bytes"
	"strconv"
	"strings"

	"fleetlog/manifest"

	"github.com/google/uuid"
)

// repetition reads quickly what is written again and again: the body of an event,
// cut at the values in which the next one that says the same differs. A body that
// has the same pieces is of the form, as far as those are, and says the same.
type repetition struct {
	event  Event
	body   []byte
	pieces [][]byte // around the values
	timely []byte   // of a finding, once asked for: see timeless
}

// varying is a value in which an event differs from one that says the same, and
// the key before it.
type varying struct{ key, value string }

// newRepetition cuts the body of a tick without findings or of a finding; nil
// when it is not one to go by.
func newRepetition(event Event, body []byte) *repetition {
	head := event.Head()
	values := []varying{
		{`,"tick":"`, head.Tick},
		{`,"number":`, strconv.FormatUint(head.Number, 10)},
		{`,"time":"`, head.Time.String()},
	}
	switch e := event.(type) {
	case *TickCompleted:
		if !e.isPlain() {
			return nil
		}
		values = append(values, varying{`,"seq":`, strconv.FormatUint(e.Seq, 10)},
			varying{`,"tookMs":`, strconv.FormatUint(e.TookMs, 10)}, varying{`,"previous":"`, e.Previous.String()})
	case *Unrecognized, *LogOpened:
		return nil
	}
	r, rest := &repetition{event: event, body: body}, string(body)
	for _, v := range values {
		before, after, ok := strings.Cut(rest, v.key)
		if !ok || !strings.HasPrefix(after, v.value) {
			return nil
		}
		r.pieces = append(r.pieces, []byte(before+v.key))
		rest = after[len(v.value):]
	}
	r.pieces = append(r.pieces, []byte(rest))
	return r
}

// isPlain tells whether a tick has no findings, and no fields that this program
// does not know: those might look like the ones it does.
func (e *TickCompleted) isPlain() bool {
	return e.Index == 0 && len(e.Unknown)+len(e.Counts.Unknown)+len(e.Statement.Unknown) == 0 && e.Missed == nil &&
		(e.Set == nil || len(e.Set.Unknown) == 0) && (e.Floor == nil || len(e.Floor.Unknown) == 0)
}

// longestValue is longer than any of the values.
const longestValue = 80

// read returns the event that the body is, or nil when [Decode] must tell.
func (r *repetition) read(body []byte) Event {
	if r == nil {
		return nil
	}
	var values [6]string
	rest, last := body, len(r.pieces)-1
	for i := range last {
		after, ok := bytes.CutPrefix(rest, r.pieces[i])
		end := bytes.IndexAny(after[:min(len(after), longestValue)], `",`)
		if !ok || end < 0 {
			return nil
		}
		values[i], rest = string(after[:end]), after[end:]
	}
	if !bytes.Equal(rest, r.pieces[last]) {
		return nil
	}
	var event Event
	ok := true
	switch e := r.event.(type) {
	case *TickCompleted:
		t := *e
		ok = parseInteger(values[3], &t.Seq) && parseInteger(values[4], &t.TookMs) && parseDigest(values[5], &t.Previous)
		event = &t
	case Finding:
		event = e.clone()
	}
	head := event.Head()
	head.Tick = values[0]
	if !ok || !parseInteger(values[1], &head.Number) || !parseTime(values[2], &head.Time) ||
		checkUUID(head.Tick, uuid.Version(7)) != nil || checkEnvelope(head) != nil {
		return nil
	}
	if t, is := event.(*TickCompleted); is && t.check() != nil {
		return nil
	}
	return event
}

// timeless is what a statement's digest takes of the finding; the same for all
// that repeat it.
func (r *repetition) timeless() ([]byte, error) {
	var err error
	if r.timely == nil {
		r.timely, err = timeless(r.body)
	}
	return r.timely, err
}

// These accept the one spelling of a value that the log has.

func parseInteger(text string, n *uint64) bool {
	v, err := strconv.ParseUint(text, 10, 64)
	*n = v
	return err == nil && (len(text) == 1 || text[0] != '0')
}

func parseTime(text string, t *Time) bool {
	return t.UnmarshalText([]byte(text)) == nil && t.String() == text
}

func parseDigest(text string, d *manifest.Digest) bool {
	return d.UnmarshalText([]byte(text)) == nil && d.String() == text
}

// maxRepetitions bounds how many findings are held to go by.
const maxRepetitions = 4096

// repetitions are what a reader has read last: the tick without findings, and of
// each subject the finding.
type repetitions struct {
	tick     *repetition
	stated   string // tick whose statement that repeats
	findings map[string]*repetition
}

// decode reads a message, one that repeats what was read before it quickly. The
// repetition is that of a finding.
func (r *repetitions) decode(m Message) (Event, *repetition, error) {
	if t := r.tick.read(m.Body); t != nil {
		return t, nil, m.checkEnvironment(t)
	}
	if known := r.findings[m.Subject]; known != nil {
		if f := known.read(m.Body); f != nil {
			return f, known, m.checkEnvironment(f)
		}
	}
	event, err := m.decode()
	if err != nil {
		return nil, nil, err
	}
	if _, finding := event.(Finding); !finding {
		return event, nil, nil
	}
	known := newRepetition(event, m.Body)
	if known != nil {
		if r.findings == nil || len(r.findings) >= maxRepetitions {
			r.findings = make(map[string]*repetition)
		}
		r.findings[m.Subject] = known
	}
	return event, known, nil
}

// completed takes a tick without findings as the one to go by.
func (r *repetitions) completed(t *TickCompleted, body []byte) {
	if r.tick == nil || r.stated != t.Statement.Tick {
		r.tick, r.stated = newRepetition(t, body), t.Statement.Tick
	}
}
