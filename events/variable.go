package events

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"strconv"

	"fleetlog/manifest"
)

// variable is a value in which an event differs from others of its kind.
type variable struct {
	key     string // before it, the opening quote or bracket included
	at      any    // pointer to it
	passing bool   // the event says the same with another one
}

// end are the bytes of which the first ends the value.
func (v variable) end() string {
	switch v.key[len(v.key)-1] {
	case '"':
		return `"`
	case '[':
		return `]`
	}
	return `,}`
}

const (
	timeVariable = 2  // of every event
	maxVariables = 24 // of any event
)

// variables appends those of the event, in the order of the body. An event with
// fields that are not known has only those of the envelope: the others may be
// found in such a field.
func variables(to []variable, event Event, plain bool) []variable {
	head := event.Head()
	to = append(to, variable{`,"tick":"`, &head.Tick, true},
		variable{`,"number":`, &head.Number, true}, variable{`,"time":"`, &head.Time, true})
	if t, is := event.(*TickCompleted); is {
		return t.variables(to)
	}
	to = append(to, variable{`,"new":`, &head.New, true})
	if !plain {
		return to
	}
	switch e := event.(type) {
	case *FleetFetched:
		to = e.Artifact.variables(append(to, variable{`,"fleetHash":"`, &e.FleetHash, false}))
		to = append(to, variable{`,"signedAt":"`, &e.SignedAt, false})
		if e.FreshUntil != nil {
			to = append(to, variable{`,"freshUntil":"`, &e.FreshUntil, false})
		}
	case *RolloutVerified:
		to = append(e.Artifact.variables(to), variable{`,"manifestHash":"`, &e.ManifestHash, false},
			variable{`,"fleetHash":"`, &e.FleetHash, false}, variable{`,"signedAt":"`, &e.SignedAt, false})
		if e.FreshUntil != nil {
			to = append(to, variable{`,"freshUntil":"`, &e.FreshUntil, false})
		}
	}
	return to
}

func (a *Artifact) variables(to []variable) []variable {
	return append(to, variable{`,"artifact":{"sha256":"`, &a.SHA256, false}, variable{`,"size":`, &a.Size, false},
		variable{`,"parts":[`, &a.Parts, false}, variable{`,"signature":"`, &a.Signature, false})
}

func (e *TickCompleted) variables(to []variable) []variable {
	s := &e.Statement
	to = append(to, variable{`,"seq":`, &e.Seq, true},
		variable{`,"statement":{"tick":"`, &s.Tick, false}, variable{`,"number":`, &s.Number, false},
		variable{`,"firstSeq":`, &s.FirstSeq, false}, variable{`,"lastSeq":`, &s.LastSeq, false}, variable{`,"digest":"`, &s.Digest, false})
	if set := e.Set; set != nil {
		to = append(to, variable{`,"set":{"digest":"`, &set.Digest, false}, variable{`,"fleetHash":"`, &set.FleetHash, false},
			variable{`,"signedAt":"`, &set.SignedAt, false}, variable{`,"tick":"`, &set.Tick, false},
			variable{`,"firstSeq":`, &set.FirstSeq, false}, variable{`,"lastSeq":`, &set.LastSeq, false})
	}
	if floor := e.Floor; floor != nil {
		to = append(to, variable{`,"floor":{"signedAt":"`, &floor.SignedAt, false}, variable{`,"fleetHash":"`, &floor.FleetHash, false})
	}
	return append(to, variable{`,"tookMs":`, &e.TookMs, true}, variable{`,"previous":"`, &e.Previous, true})
}

// copied is a copy that shares what variables does not point into, and, of one
// that will say the same, whatever does not pass.
func copied(event Event, same bool) Event {
	t, is := event.(*TickCompleted)
	if !is {
		return event.(Finding).clone()
	}
	c := *t
	if same {
		return &c
	}
	if t.Set != nil {
		set := *t.Set
		c.Set = &set
	}
	if t.Floor != nil {
		floor := *t.Floor
		c.Floor = &floor
	}
	return &c
}

// isPlain tells whether the program knows all fields of the event.
func isPlain(event Event) bool {
	unknown := 0
	received := func(r *Received) int {
		if r == nil {
			return 0
		}
		return len(r.Unknown)
	}
	switch e := event.(type) {
	case *FleetFetched:
		unknown = len(e.Unknown) + len(e.Artifact.Unknown)
	case *FleetRejected:
		unknown = len(e.Unknown) + received(e.Received)
	case *RolloutVerified:
		unknown = len(e.Unknown) + len(e.Artifact.Unknown)
	case *RolloutRejected:
		unknown = len(e.Unknown) + received(e.Received)
	case *CrossCheckFailed:
		unknown = len(e.Unknown) + received(e.Received)
	case *ChannelIdle:
		unknown = len(e.Unknown)
	case *TickCompleted:
		unknown = len(e.Unknown) + len(e.Counts.Unknown) + len(e.Statement.Unknown)
		if e.Set != nil {
			unknown += len(e.Set.Unknown)
		}
		if e.Floor != nil {
			unknown += len(e.Floor.Unknown)
		}
	default:
		return false
	}
	return unknown == 0
}

// read gives the variable at that pointer the value that is spelled so, if that is
// the one spelling that the log has. Of a tick, the event's check has to tell.
func read(at any, text []byte) bool {
	switch at := at.(type) {
	case *string:
		*at = string(text)
		return true
	case *bool:
		*at = string(text) == "true"
		return *at || string(text) == "false"
	case *uint64:
		return readInteger(text, at)
	case *int:
		var n uint64
		ok := readInteger(text, &n)
		*at = int(n)
		return ok && uint64(*at) == n
	case *Time:
		return parseTime(string(text), at)
	case *manifest.Digest:
		return readDigest(text, at)
	case *manifest.Instant:
		return readInstant(text, at)
	case **manifest.Instant:
		*at = new(manifest.Instant)
		return readInstant(text, *at)
	case *[]uint64:
		return readParts(text, at)
	case *[]byte:
		raw, err := base64.StdEncoding.AppendDecode(nil, text)
		*at = raw
		return err == nil && base64.StdEncoding.EncodeToString(raw) == string(text)
	}
	return false
}

// readInteger reads one that any reader keeps exact.
func readInteger(text []byte, n *uint64) bool {
	v, err := strconv.ParseUint(string(text), 10, 64)
	*n = v
	return err == nil && v <= maxInteger && (len(text) == 1 || text[0] != '0')
}

func readParts(text []byte, parts *[]uint64) bool {
	*parts = nil
	for each := range bytes.SplitSeq(text, []byte{','}) {
		var n uint64
		if !readInteger(each, &n) {
			return false
		}
		*parts = append(*parts, n)
	}
	return true
}

func readDigest(text []byte, d *manifest.Digest) bool {
	var spelled [2 * len(d)]byte
	if len(text) != len(spelled) {
		return false
	}
	_, err := hex.Decode(d[:], text)
	hex.Encode(spelled[:], d[:])
	return err == nil && bytes.Equal(spelled[:], text)
}

func readInstant(text []byte, i *manifest.Instant) bool {
	return i.UnmarshalText(text) == nil && i.String() == string(text)
}
