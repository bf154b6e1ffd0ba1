package events

import (
	"bytes"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// repetition reads quickly what is written again and again: the body of an event,
// cut at the values in which the next one of its kind differs. A body that has the
// same pieces is of the form, as far as those are.
type repetition struct {
	event   Event
	subject string
	headers []attribute // that all of them carry; those of id and time differ
	index   string      // behind the tick in the id
	pieces  [][]byte    // of the body, around the values
	texts   [][]byte    // of the values
	passing []bool      // of the values: another one says the same
	plain   bool        // all fields are known
	timely  [2][]byte   // of a finding that is not new, and of one that is: see timeless
}

// newRepetition cuts the body of a message that was decoded; nil when it is not
// one to go by.
func newRepetition(event Event, m Message) *repetition {
	switch e := event.(type) {
	case *Unrecognized, *LogOpened:
		return nil
	case *TickCompleted:
		if e.Missed != nil || !isPlain(e) {
			return nil
		}
	}
	r := &repetition{
		event: event, subject: m.Subject, headers: attributes(event), plain: isPlain(event),
		index: "." + strconv.Itoa(event.Head().Index),
	}
	again, rest := copied(event, false), m.Body
	for _, v := range variables(nil, again, r.plain) {
		before, after, ok := bytes.Cut(rest, []byte(v.key))
		end := bytes.IndexAny(after, v.end())
		if !ok || end < 0 || !read(v.at, after[:end]) {
			return nil
		}
		r.pieces = append(r.pieces, rest[:len(before)+len(v.key)])
		r.texts, r.passing = append(r.texts, after[:end]), append(r.passing, v.passing)
		rest = after[end:]
	}
	r.pieces = append(r.pieces, rest)
	if !reflect.DeepEqual(again, event) {
		return nil
	}
	return r
}

// read returns the event that the message is and the repetition that says the
// same, or nil when [Message.decode] must tell.
func (r *repetition) read(m Message) (Event, *repetition) {
	if r == nil || m.Subject != r.subject || len(m.Body) > MaxBody {
		return nil, nil
	}
	var texts [maxVariables][]byte
	rest, last, same := m.Body, len(r.texts), true
	for i, piece := range r.pieces[:last] {
		if !bytes.HasPrefix(rest, piece) {
			return nil, nil
		}
		rest = rest[len(piece):]
		end := bytes.IndexByte(rest, r.pieces[i+1][0])
		if end < 0 {
			return nil, nil
		}
		texts[i], rest = rest[:end], rest[end:]
		same = same && (r.passing[i] || bytes.Equal(texts[i], r.texts[i]))
	}
	if !bytes.Equal(rest, r.pieces[last]) {
		return nil, nil
	}
	event := r.with(texts[:last], same)
	if event == nil || !r.isEnvironment(m, event.Head().Tick, texts[timeVariable]) {
		return nil, nil
	}
	if same {
		return event, r
	}
	next := *r
	next.event, next.texts, next.timely = event, slices.Clone(texts[:last]), [2][]byte{}
	return event, &next
}

// with is the event with these values, or nil when they are not of the form; same
// tells whether it says the same.
func (r *repetition) with(texts [][]byte, same bool) Event {
	var buffer [maxVariables]variable
	event := copied(r.event, same)
	for i, v := range variables(buffer[:0], event, r.plain) {
		if !bytes.Equal(texts[i], r.texts[i]) && !read(v.at, texts[i]) {
			return nil
		}
	}
	if checkEnvelope(event.Head()) != nil || event.check() != nil {
		return nil
	}
	return event
}

// isEnvironment tells whether subject and headers are what a body of this tick and
// time says.
func (r *repetition) isEnvironment(m Message, tick string, at []byte) bool {
	channel := false
	for _, h := range r.headers {
		got := m.Header[h.name]
		if len(got) != 1 {
			return false
		}
		ok := got[0] == h.value
		switch h.name {
		case idHeader:
			index, ours := strings.CutPrefix(got[0], tick)
			ok = ours && index == r.index
		case timeHeader:
			ok = got[0] == string(at)
		case subjectHeader:
			channel = true
		}
		if !ok {
			return false
		}
	}
	return channel || len(m.Header[subjectHeader]) == 0
}

// timeless is what a statement's digest takes of a finding with this body, one
// that says the same as this.
func (r *repetition) timeless(isNew bool, body []byte) (text []byte, err error) {
	mine, other, was, is := &r.timely[0], r.timely[1], `,"new":true,`, `,"new":false,`
	if isNew {
		mine, other, was, is = &r.timely[1], r.timely[0], is, was
	}
	switch {
	case *mine != nil:
	case !r.plain:
		*mine, err = timeless(body)
	case other != nil:
		*mine = bytes.Replace(other, []byte(was), []byte(is), 1)
	default:
		*mine = plainTimeless(body)
	}
	return *mine, err
}

// maxRepetitions bounds how many findings are held to go by.
const maxRepetitions = 4096

// repetitions are what a reader has read last: the ticks without findings and
// with some, and of each subject the finding.
type repetitions struct {
	ticks    [2]*repetition
	findings map[string]*repetition
}

// decode reads a message, one that is like what was read before it quickly. The
// repetition is that of a finding.
func (r *repetitions) decode(m Message) (Event, *repetition, error) {
	for i, known := range r.ticks {
		if t, like := known.read(m); t != nil {
			r.ticks[i] = like
			return t, nil, nil
		}
	}
	known := r.findings[m.Subject]
	if f, like := known.read(m); f != nil {
		if like != known {
			r.findings[m.Subject] = like
		}
		return f, like, nil
	}
	event, err := m.decode()
	if err != nil {
		return nil, nil, err
	}
	like := newRepetition(event, m)
	if like != nil {
		r.keep(like)
	}
	if _, finding := event.(Finding); !finding {
		return event, nil, nil
	}
	return event, like, nil
}

// keep takes a repetition as the one to go by.
func (r *repetitions) keep(like *repetition) {
	if t, is := like.event.(*TickCompleted); is {
		r.ticks[min(t.Index, 1)] = like
		return
	}
	if r.findings == nil || len(r.findings) >= maxRepetitions {
		r.findings = make(map[string]*repetition)
	}
	r.findings[like.subject] = like
}
