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
	event   Event
	subject string
	headers []attribute       // that all of them carry; those of id and time differ
	pieces  [][]byte          // of the body, around the values
	timely  map[string][]byte // of a finding, by its `new`: see timeless
}

// varying is a value in which an event differs from one that says the same, and
// the key before it.
type varying struct{ key, value string }

// The places of the values.
const (
	valueTick     = 0
	valueNumber   = 1
	valueTime     = 2
	valueNew      = 3 // of a finding
	valueSeq      = 3 // of a tick, and so are the rest
	valueTook     = 4
	valuePrevious = 5
	values        = 6
)

// newRepetition cuts the body of a tick without findings or of a finding; nil
// when it is not one to go by. The message is one that was decoded.
func newRepetition(event Event, m Message) *repetition {
	head := event.Head()
	varies := []varying{
		{`,"tick":"`, head.Tick},
		{`,"number":`, strconv.FormatUint(head.Number, 10)},
		{`,"time":"`, head.Time.String()},
	}
	switch e := event.(type) {
	case *TickCompleted:
		if !e.isPlain() {
			return nil
		}
		varies = append(varies, varying{`,"seq":`, strconv.FormatUint(e.Seq, 10)},
			varying{`,"tookMs":`, strconv.FormatUint(e.TookMs, 10)}, varying{`,"previous":"`, e.Previous.String()})
	case *Unrecognized, *LogOpened:
		return nil
	default:
		varies = append(varies, varying{`,"new":`, strconv.FormatBool(head.New)})
	}
	r, rest := &repetition{event: event, subject: m.Subject, headers: attributes(event)}, string(m.Body)
	for _, v := range varies {
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

// read returns the event that the message is, or nil when [Message.decode] must
// tell.
func (r *repetition) read(m Message) Event {
	if r == nil {
		return nil
	}
	var found [values]string
	rest, last := m.Body, len(r.pieces)-1
	for i := range last {
		after, ok := bytes.CutPrefix(rest, r.pieces[i])
		end := bytes.IndexAny(after[:min(len(after), longestValue)], `",`)
		if !ok || end < 0 {
			return nil
		}
		found[i], rest = string(after[:end]), after[end:]
	}
	if !bytes.Equal(rest, r.pieces[last]) || !r.isEnvironment(m, found) {
		return nil
	}
	event, ok := r.make(found)
	if !ok {
		return nil
	}
	return event
}

// isEnvironment tells whether subject and headers are what a body with these
// values says.
func (r *repetition) isEnvironment(m Message, found [values]string) bool {
	if m.Subject != r.subject {
		return false
	}
	channel := false
	for _, h := range r.headers {
		got := m.Header[h.name]
		if len(got) != 1 {
			return false
		}
		ok := got[0] == h.value
		switch h.name {
		case idHeader:
			index, ours := strings.CutPrefix(got[0], found[valueTick]+".")
			ok = ours && index == strconv.Itoa(r.event.Head().Index)
		case timeHeader:
			ok = got[0] == found[valueTime]
		case subjectHeader:
			channel = true
		}
		if !ok {
			return false
		}
	}
	return channel || len(m.Header[subjectHeader]) == 0
}

// make is the event with these values.
func (r *repetition) make(found [values]string) (event Event, ok bool) {
	switch e := r.event.(type) {
	case *TickCompleted:
		t := *e
		ok = parseInteger(found[valueSeq], &t.Seq) && parseInteger(found[valueTook], &t.TookMs) && parseDigest(found[valuePrevious], &t.Previous)
		event = &t
	case Finding:
		event = e.clone()
		ok = found[valueNew] == "true" || found[valueNew] == "false"
		event.Head().New = found[valueNew] == "true"
	}
	head := event.Head()
	head.Tick = found[valueTick]
	if !ok || !parseInteger(found[valueNumber], &head.Number) || !parseTime(found[valueTime], &head.Time) ||
		checkUUID(head.Tick, uuid.Version(7)) != nil || checkEnvelope(head) != nil {
		return nil, false
	}
	if t, is := event.(*TickCompleted); is && t.check() != nil {
		return nil, false
	}
	return event, true
}

// timeless is what a statement's digest takes of a finding with this body, one
// that repeats this; the same for all that do.
func (r *repetition) timeless(isNew bool, body []byte) ([]byte, error) {
	key := strconv.FormatBool(isNew)
	if text, ok := r.timely[key]; ok {
		return text, nil
	}
	text, err := timeless(body)
	if err == nil {
		if r.timely == nil {
			r.timely = make(map[string][]byte, 2)
		}
		r.timely[key] = text
	}
	return text, err
}

// These accept the one spelling of a value that the log has.

func parseInteger(text string, n *uint64) bool {
	v, err := strconv.ParseUint(text, 10, 64)
	*n = v
	return err == nil && (len(text) == 1 || text[0] != '0')
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
	if t := r.tick.read(m); t != nil {
		return t, nil, nil
	}
	known := r.findings[m.Subject]
	if f := known.read(m); f != nil {
		return f, known, nil
	}
	event, err := m.decode()
	if err != nil {
		return nil, nil, err
	}
	if _, finding := event.(Finding); !finding {
		return event, nil, nil
	}
	if known = newRepetition(event, m); known != nil {
		if r.findings == nil || len(r.findings) >= maxRepetitions {
			r.findings = make(map[string]*repetition)
		}
		r.findings[m.Subject] = known
	}
	return event, known, nil
}

// completed takes a tick without findings as the one to go by.
func (r *repetitions) completed(t *TickCompleted, m Message) {
	if r.tick == nil || r.stated != t.Statement.Tick {
		r.tick, r.stated = newRepetition(t, m), t.Statement.Tick
	}
}
