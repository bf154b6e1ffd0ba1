package events

import (
	"bytes"
	"strconv"
	"strings"

	"fleetlog/manifest"

	"github.com/google/uuid"
)

// repetition reads the ticks of a quiet fleet quickly: the body of a tick without
// findings, cut at the values in which the next one differs. A body that has the
// same pieces is of the form, as far as those are, and says the same.
type repetition struct {
	tick   *TickCompleted
	pieces [][]byte // around tick, number, time, seq, tookMs, previous
}

// newRepetition cuts the body of a tick; nil when it is not one to go by: with
// findings, or with fields that this program does not know, which might look
// like those it does.
func newRepetition(t *TickCompleted, body []byte) *repetition {
	if t.Index != 0 || len(t.Unknown)+len(t.Counts.Unknown)+len(t.Statement.Unknown) > 0 || t.Missed != nil ||
		t.Set != nil && len(t.Set.Unknown) > 0 || t.Floor != nil && len(t.Floor.Unknown) > 0 {
		return nil
	}
	r, rest := &repetition{tick: t}, string(body)
	var pieces []string
	for _, field := range []struct{ key, value string }{
		{`,"tick":"`, t.Tick},
		{`,"number":`, strconv.FormatUint(t.Number, 10)},
		{`,"time":"`, t.Time.String()},
		{`,"seq":`, strconv.FormatUint(t.Seq, 10)},
		{`,"tookMs":`, strconv.FormatUint(t.TookMs, 10)},
		{`,"previous":"`, t.Previous.String()},
	} {
		before, after, ok := strings.Cut(rest, field.key)
		if !ok || !strings.HasPrefix(after, field.value) {
			return nil
		}
		pieces = append(pieces, before+field.key)
		rest = after[len(field.value):]
	}
	for _, piece := range append(pieces, rest) {
		r.pieces = append(r.pieces, []byte(piece))
	}
	return r
}

// longestValue is longer than any of the values.
const longestValue = 80

// read returns the tick that the body is, or nil when [Decode] must tell.
func (r *repetition) read(body []byte) *TickCompleted {
	if r == nil {
		return nil
	}
	var values [6]string
	rest := body
	for i := range values {
		after, ok := bytes.CutPrefix(rest, r.pieces[i])
		end := bytes.IndexAny(after[:min(len(after), longestValue)], `",`)
		if !ok || end < 0 {
			return nil
		}
		values[i], rest = string(after[:end]), after[end:]
	}
	if !bytes.Equal(rest, r.pieces[len(values)]) {
		return nil
	}
	t := *r.tick
	t.Tick = values[0]
	ok := parseInteger(values[1], &t.Number) && parseTime(values[2], &t.Time) && parseInteger(values[3], &t.Seq) &&
		parseInteger(values[4], &t.TookMs) && parseDigest(values[5], &t.Previous)
	if !ok || checkUUID(t.Tick, uuid.Version(7)) != nil || checkEnvelope(&t.Envelope) != nil || t.check() != nil {
		return nil
	}
	return &t
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
