package eventlog

import "fleetlog/events"

// Role is what a user of the broker is for.
type Role string

// The roles. The key that signs ticks is apart from them.
const (
	Admin   Role = "admin"   // makes, backs up and restores the log
	Poller  Role = "poller"  // appends ticks and stores artifacts
	Reducer Role = "reducer" // follows the log
	Auditor Role = "auditor" // reads everything, and sees who does what
)

// Roles are all of them.
func Roles() []Role { return []Role{Admin, Poller, Reducer, Auditor} }

// Permissions are the subjects that a user may publish and subscribe to; no
// others.
type Permissions struct{ Publish, Subscribe []string }

// InboxPrefix is where the broker's answers to the role arrive. Each has its
// own, so that none can read or give another's answers.
func (r Role) InboxPrefix() string { return "_INBOX_" + string(r) }

// Permissions are the least that the role needs for the log of the fleet in the
// server's own JetStream domain.
func (r Role) Permissions(fleet events.FleetName) Permissions {
	p := Permissions{Subscribe: []string{r.InboxPrefix() + ".>"}}
	stored, kept := fleet.EventsStream(), fleet.ArtifactsStream()
	look := []string{"$JS.API.STREAM.INFO." + stored, "$JS.API.STREAM.INFO." + kept}
	atLeader := []string{"$JS.API.STREAM.MSG.GET." + stored, "$JS.API.STREAM.MSG.GET." + kept}
	fromCopy := []string{"$JS.API.DIRECT.GET." + stored, "$JS.API.DIRECT.GET." + kept}
	consume := []string{
		"$JS.API.CONSUMER.CREATE." + stored + ".*", "$JS.API.CONSUMER.DELETE." + stored + ".*",
		"$JS.API.CONSUMER.MSG.NEXT." + stored + ".*",
	}
	add := func(more ...[]string) {
		for _, subjects := range more {
			p.Publish = append(p.Publish, subjects...)
		}
	}
	switch r {
	case Admin:
		add([]string{"$JS.API.>", "$JS.SNAPSHOT.>", fleet.EventSubject("LogOpened")})
		p.Subscribe = append(p.Subscribe, advisories)
	case Poller:
		add([]string{fleet.EventSubjects(), fleet.ArtifactSubjects()}, look, atLeader, fromCopy[:1])
	case Reducer:
		add(look, fromCopy, consume)
	case Auditor:
		add(look, atLeader, fromCopy, consume, []string{
			"$JS.API.CONSUMER.CREATE." + stored + ".*." + fleet.EventSubjects(), "$JS.API.CONSUMER.INFO." + stored + ".*",
			"$JS.API.DIRECT.GET." + stored + "." + fleet.EventSubjects(),
			"$JS.API.CONSUMER.NAMES." + stored, "$JS.API.CONSUMER.LIST." + stored,
			"$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST",
		})
		p.Subscribe = append(p.Subscribe, advisories)
	}
	return p
}

// advisories tell who has asked JetStream for what.
const advisories = "$JS.EVENT.ADVISORY.>"
