package schemas

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// asked is a command line, and what it must answer with.
type asked struct {
	schema string
	args   string
	exit   int
}

// questions are for every command that answers in JSON, with a yes, a no, and
// where it can be with neither.
var questions = []asked{
	{"provision", "provision --writer-key-file KEY -o json", 0},
	{"head", "head -o json", 0},
	{"show", "show -o json", 0},
	{"show", "show -o json --trust-file TRUST", 0},
	{"show", "show -o json --at tick:1", 0},
	{"failure", "show -o json --at seq:1", 2},
	{"failure", "show -o json --trust-file TRUST --freshness-window-secs 1", 1},
	{"history", "history -o json --trust-file TRUST", 0},
	{"history", "history nosuch -o json", 1},
	{"history-host", "history --host web-1 -o json", 1},
	{"history-host", "history --host desk-05 -o json", 0},
	{"diff", "diff tick:1 -o json", 1},
	{"diff", "diff tick:1 tick:2 -o json --trust-file TRUST", 0},
	{"why", "why stable -o json", 1},
	{"why", "why stable --at tick:1 -o jsonl --trust-file TRUST", 0},
	{"why", "why nosuch -o json", 1},
	{"trace", "trace desk-05 --at tick:1 -o json", 0},
	{"trace", "trace nosuch -o json", 1},
	{"replay", "replay --trust-file TRUST -o json", 0},
	{"fsck", "fsck -o json", 0},
	{"audit", "audit -o json", 0},
	{"audit", "audit -o json --trust-file TRUST --from tick:2", 0},
	{"failure", "audit -o json --from never", 2},
	{"export", "export --trust-file TRUST TAR -o json", 0},
	{"audit", "audit --bundle TAR -o json", 0},
	{"anchor", "anchor -o json", 0},
	{"anchor", "anchor --file HEAD -o json", 0},
	{"verify-release", "verify release RELEASE --trust-file TRUST -o json", 0},
	{"verify-release", "verify release MIXED --trust-file TRUST -o json", 1},
	{"verify-release", "verify release RELEASE --trust-file TRUST --rollout-id-scheme content-hash -o json", 1},
	{"verify-fleet", "verify fleet --artifact RELEASE/fleet.resolved.json --signature RELEASE/fleet.resolved.json.sig --trust-file TRUST -o json", 0},
	{"verify-rollout", "verify rollout --rollout-id a@b --artifact RELEASE/fleet.resolved.json --signature RELEASE/fleet.resolved.json.sig --trust-file TRUST -o json", 1},
	{"failure", "verify fleet -o json", 2},
	{"explain", "explain Stale -o json", 0},
	{"explain-all", "explain -o json", 0},
	{"failure", "explain nosuch -o json", 1},
	{"failure", "nosuch -o json", 2},
	{"embedded-nats-init", "embedded-nats init INIT --fleet prod -o json", 0},
	{"failure", "embedded-nats init INIT --fleet prod -o json", 1},
	{"reducer-rebuild", "reducer rebuild --fleet prod --state-dir STATE --trust-file TRUST --trust-first-use -o json", 0},
	{"status", "status -o json --freshness-window-secs 1", 1},
	{"status", "status -o json --trust-file TRUST", 1},
	{"failure", "status --fleet nosuch -o json", 2},
	{"check", "check freshness --format json", 2},
	{"check", "check stream --format json --fleet nosuch", 2},
	{"mirror", "mirror --fleet copied --origin hub -o json", 0},
}

// TestAnswersAreOfTheirSchemas asks a log of good and bad releases whatever can be
// asked, and validates what is answered. Every schema is of an answer.
func TestAnswersAreOfTheirSchemas(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	s := newScene(ctx, t)
	s.record(ctx)
	answers, seen := compiledAnswers(t), map[string]bool{}
	for _, q := range questions {
		answer := s.ask(ctx, q)
		if len(answer) == 0 {
			t.Errorf("%s answers nothing", q.args)
			continue
		}
		seen[q.schema] = true
		if err := answers[q.schema].Validate(parse(t, answer)); err != nil {
			t.Errorf("%s\n%s\n%v", q.args, answer, err)
		}
	}
	for name := range answers {
		if !seen[name] {
			t.Errorf("nothing was validated with the schema of %s", name)
		}
	}
}

// ask runs a program on the log, and returns what it prints.
func (s *scene) ask(ctx context.Context, q asked) []byte {
	s.t.Helper()
	release := s.path("medium-composite")
	line := strings.NewReplacer("KEY", s.path("prod.key"), "TRUST", filepath.Join(release, "trust.json"), "TAR", s.path("all.tar"),
		"HEAD", s.path("head"), "INIT", s.path("init"), "STATE", s.path("state"), "RELEASE", filepath.Join(release, "releases"), "MIXED", s.path("mixed")).Replace(q.args)
	words := append([]string{"fleetlog"}, strings.Fields(line)...)
	if words[1] == "embedded-nats" || words[1] == "reducer" { // another program's
		words = words[1:]
	}
	cmd := exec.CommandContext(ctx, s.path(words[0]), words[1:]...)
	cmd.Env = append(os.Environ(), "FLEETLOG_FLEET=prod", "FLEETLOG_NATS_URL="+s.address, "NIXFLEET_REDUCER_NATS_URL="+s.address,
		"NIXFLEET_REDUCER_MANIFEST_FRESHNESS_WINDOW_SECS=315360000",
		"FLEETLOG_FRESHNESS_WINDOW_SECS=315360000", "XDG_STATE_HOME="+s.path("seen"))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	answer, err := cmd.Output()
	if got := cmd.ProcessState.ExitCode(); got != q.exit {
		s.t.Errorf("%s: %v, want exit code %d\n%s%s", q.args, err, q.exit, answer, &stderr)
	}
	return answer
}

// compiledAnswers are the schemas that are kept, closed: a field that is not in
// one is refused here, although programs must pass over it.
func compiledAnswers(t *testing.T) map[string]*jsonschema.Schema {
	t.Helper()
	files, err := filepath.Glob(root + "docs/schema/*.json")
	if err != nil || len(files) < 15 {
		t.Fatalf("schemas of answers: %q, %v", files, err)
	}
	all := map[string]*jsonschema.Schema{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		whole := parse(t, text)
		closeObjects(whole)
		c := jsonschema.NewCompiler()
		c.AssertContent()
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		if err := c.AddResource("urn:answer:"+name, whole); err != nil {
			t.Fatal(err)
		}
		if all[name], err = c.Compile("urn:answer:" + name); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func closeObjects(schema any) {
	switch schema := schema.(type) {
	case map[string]any:
		if _, isObject := schema["properties"].(map[string]any); isObject && schema["required"] != nil {
			schema["additionalProperties"] = false
			delete(schema, "$id")
		}
		for _, inner := range schema {
			closeObjects(inner)
		}
	case []any:
		for _, inner := range schema {
			closeObjects(inner)
		}
	}
}
