package web

import (
	"fmt"
	"strings"

	"fleetlog/consumers/status"
	"fleetlog/consumers/view"
)

// eventLine is what changed, once however often it did.
type eventLine struct {
	Newest, First view.Resolved
	Times         int
	Names         string
	State         view.State
	Reason        string
	Moved         string
	Note          string

	names []string
	more  int // that are not among them
}

// maxNames is how many channels a line names that changed alike.
const maxNames = 4

// folded are the changes, newest first: what changed alike at one tick is one
// line, and so is what happened again and again. left is for how many lines there
// is no room.
func folded(changes []view.Change) (lines []eventLine, left int) {
	known := make(map[string]int)
	for _, line := range alike(changes) {
		key := strings.Join([]string{line.Names, string(line.State), line.Reason, line.Moved, line.Note}, "\x00")
		if at, ok := known[key]; ok {
			lines[at].Times++
			lines[at].First = line.First
			continue
		}
		known[key] = len(lines)
		lines = append(lines, line)
	}
	left = max(0, len(lines)-maxEvents)
	return lines[:len(lines)-left], left
}

// alike is a line for each thing that happened at each tick.
func alike(changes []view.Change) (lines []eventLine) {
	type what struct {
		tick          uint64
		state         view.State
		reason, moved string
	}
	known := make(map[what]int)
	for _, c := range changes {
		w := what{c.Tick, c.State, string(c.Reason), moved(c)}
		at, ok := known[w]
		if !ok {
			at = len(lines)
			known[w] = at
			lines = append(lines, eventLine{Newest: c.Resolved, First: c.Resolved, Times: 1, State: c.State, Reason: w.reason, Moved: w.moved})
			if !c.OK() {
				lines[at].Note = plain(c.Detail)
			}
		}
		if line := &lines[at]; len(line.names) < maxNames {
			line.names = append(line.names, changeName(c))
		} else {
			line.more++
		}
	}
	for i, line := range lines {
		lines[i].Names = strings.Join(line.names, ", ")
		if line.more > 0 {
			lines[i].Names += fmt.Sprintf(" and %s more", number(uint64(line.more)))
		}
	}
	return lines
}

// told are the ticks by what they say of themselves, where nothing more is known
// of what changed.
func told(ticks []status.Tick) (lines []eventLine) {
	for _, t := range ticks[:min(len(ticks), maxEvents)] {
		lines = append(lines, eventLine{Newest: t.Resolved, First: t.Resolved, Times: 1, Names: "tick " + number(t.Tick), Note: plain(t.Message)})
	}
	return lines
}

func changeName(c view.Change) string {
	if c.Channel == nil {
		return "(fleet)"
	}
	return nameText(*c.Channel)
}

// moved says from which commit to which, without the hashes that differ from
// channel to channel.
func moved(c view.Change) string {
	was, is := commit(c.From), commit(c.To)
	switch {
	case c.From == nil && c.To == nil:
		return ""
	case c.From == nil:
		return is
	case c.To == nil:
		return was + " → none"
	case was != is:
		return was + " → " + is
	case c.From.Hash != c.To.Hash:
		return is + ", signed anew"
	}
	return is
}

func commit(v *view.Version) string {
	name, _, _ := strings.Cut(v.Short(), "/")
	return name
}
