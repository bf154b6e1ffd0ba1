package web

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"fleetlog/consumers/status"
	"fleetlog/consumers/view"
	"fleetlog/events"
)

// maxNamed is how many things the verdict names.
const maxNamed = 3

// verdict is the answer in one sentence, behind its word.
func verdict(s status.Status) string {
	switch s.Health {
	case status.Healthy:
		return "the poller keeps up, and " + countText(s.Channels) + "."
	case status.Unknown:
		if names := slices.Sorted(maps.Keys(s.Problems)); len(names) > 0 {
			text := names[0] + ": " + plain(s.Problems[names[0]])
			if s.Resolved != nil {
				text += "; shown is what was known last"
			}
			return text + "."
		}
		return "the log holds no tick yet."
	}
	why := wrongs(s)
	if len(why) == 0 {
		return "something could not be found out; see below."
	}
	if more := len(why) - maxNamed; more > 0 {
		why = append(why[:maxNamed:maxNamed], fmt.Sprintf("%d more", more))
	}
	return strings.Join(why, "; ") + "."
}

// wrongs are the things that are not in order, each as a clause.
func wrongs(s status.Status) (all []string) {
	for _, p := range s.Processes {
		if p.State != status.Ready && p.State != status.NotSeen {
			note, _, _ := strings.Cut(p.Note, ";")
			all = append(all, clause("the "+p.Name+" is "+string(p.State), string(p.Reason), plain(note)))
		}
	}
	if s.Signed != nil && !quiet(*s.Signed) {
		all = append(all, clause("the fleet is "+string(s.Signed.State), string(s.Signed.Reason), ""))
	}
	for _, c := range s.Channels {
		if !quiet(c) {
			all = append(all, clause("channel "+nameText(c.Name)+" is "+string(c.State), string(c.Reason), ""))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Problems)) {
		all = append(all, name+": "+plain(s.Problems[name]))
	}
	return all
}

func clause(text, reason, note string) string {
	if reason != "" && !strings.HasPrefix(note, reason) {
		text += " (" + reason + ")"
	}
	if note != "" {
		text += ": " + note
	}
	return text
}

// quiet tells the channels that nobody has to look at, as [status.Health] does.
func quiet(c status.Channel) bool {
	return c.State == view.Fresh || c.State == view.Empty || c.State == view.Missing && c.Reason == events.Removed
}

// order is how urgent a state is, the worst first.
var order = []view.State{
	view.Expired, view.Rejected, view.Missing, view.NotAdvancing, view.Unservable, view.Expiring, view.Fresh, view.Empty,
}

// count is how many channels have a state.
type count struct {
	Channels int
	State    view.State
}

func counts(channels []status.Channel) (all []count) {
	by := make(map[view.State]int)
	for _, c := range channels {
		by[c.State]++
	}
	for _, state := range order {
		if n := by[state]; n > 0 {
			all = append(all, count{n, state})
		}
	}
	return all
}

func countText(channels []status.Channel) string {
	if len(channels) == 0 {
		return "the fleet has no channel"
	}
	var parts []string
	for _, c := range counts(channels) {
		verb := "are"
		if c.Channels == 1 {
			verb = "is"
		}
		parts = append(parts, fmt.Sprintf("%s %s %s", counted(c.Channels, "channel"), verb, c.State))
	}
	return strings.Join(parts, ", ")
}
