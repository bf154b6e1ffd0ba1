package main

import (
	"reflect"
	"slices"

	"fleetlog/consumers/audit"
	"fleetlog/consumers/check"
	"fleetlog/consumers/explain"
	"fleetlog/consumers/status"
	"fleetlog/consumers/view"
	"fleetlog/events"
	"fleetlog/internal/jsonschema"
	"fleetlog/internal/monitor"
	"fleetlog/internal/process"
	"fleetlog/manifest"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// answer is what a command prints with -o json.
type answer struct {
	name string // that of the command, its words joined by "-"
	is   reflect.Type
}

// answers are those of all commands. A list is printed with -o jsonl one element
// a line.
func answers() []answer {
	return []answer{
		{"anchor", reflect.TypeFor[anchored]()},
		{"audit", reflect.TypeFor[audit.Report]()},
		{"check", reflect.TypeFor[monitor.Result]()},
		{"diff", reflect.TypeFor[view.Diff]()},
		{"explain", reflect.TypeFor[explain.Page]()},
		{"explain-all", reflect.TypeFor[[]explain.Page]()},
		{"export", reflect.TypeFor[exported]()},
		{"failure", reflect.TypeFor[process.Failure]()},
		{"fsck", reflect.TypeFor[check.Report]()},
		{"head", reflect.TypeFor[lastTick]()},
		{"history", reflect.TypeFor[historyAnswer[view.Change]]()},
		{"history-host", reflect.TypeFor[historyAnswer[view.HostChange]]()},
		{"mirror", reflect.TypeFor[mirrored]()},
		{"provision", reflect.TypeFor[provisioned]()},
		{"reducer-rebuild", reflect.TypeFor[view.Rebuilt]()},
		{"replay", reflect.TypeFor[view.Replay]()},
		{"show", reflect.TypeFor[view.Set]()},
		{"status", reflect.TypeFor[status.Status]()},
		{"trace", reflect.TypeFor[view.Trace]()},
		{"verify-fleet", reflect.TypeFor[verdict]()},
		{"verify-release", reflect.TypeFor[releaseVerdict]()},
		{"verify-rollout", reflect.TypeFor[verdict]()},
		{"why", reflect.TypeFor[view.Why]()},
	}
}

// forms are those of types that write themselves.
func forms() jsonschema.Forms {
	return jsonschema.Forms{
		reflect.TypeFor[events.FleetName](): jsonschema.Text("^([a-z0-9][a-z0-9-]{0,31})?$"),
		reflect.TypeFor[events.Time]():      jsonschema.Text(`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$`),
		reflect.TypeFor[manifest.Instant](): jsonschema.Text(`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?Z$`),
		reflect.TypeFor[manifest.Digest]():  jsonschema.Text("^[0-9a-f]{64}$"),
		reflect.TypeFor[events.PublicKey](): jsonschema.Text("^[A-Za-z0-9+/]{43}=$"),
		reflect.TypeFor[monitor.Status]():   {"enum": []monitor.Status{monitor.OK, monitor.Warning, monitor.Critical, monitor.Unknown}},
		reflect.TypeFor[status.Health]():    jsonschema.OneOf(status.Healthy, status.Degraded, status.Unknown),
		reflect.TypeFor[audit.Verdict]():    jsonschema.OneOf(audit.Clean, audit.Findings),
		reflect.TypeFor[view.State](): jsonschema.OneOf(view.Fresh, view.Expiring, view.Expired, view.Rejected, view.NotAdvancing,
			view.Missing, view.Unservable, view.Empty),
	}
}

// schemaOf is the schema of a command's answer, as it is kept in docs/schema.
func schemaOf(name string) (text []byte, ok bool, err error) {
	all := answers()
	i := slices.IndexFunc(all, func(a answer) bool { return a.name == name })
	if i < 0 {
		return nil, false, nil
	}
	made, err := jsonschema.Of(all[i].is, forms())
	if err != nil {
		return nil, true, err
	}
	made["$id"], made["title"] = "urn:nixfleet:fleetlog:"+name, "fleetlog "+name
	text, err = json.Marshal(made, json.Deterministic(true), jsontext.EscapeForHTML(false), jsontext.WithIndent("  "))
	return append(text, '\n'), true, err
}
