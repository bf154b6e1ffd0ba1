package cmd_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"fleetlog/eventlog"
	"fleetlog/internal/corpus"
	"fleetlog/internal/deployment"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

var update = flag.Bool("update", false, "write what is made from the programs anew: docs/man, docs/exit-codes.md, docs/schema, docs/metrics.md, testdata/metrics, and the table of docs/nats-users.md")

// What a user's attempt may come to.
const (
	allowed  = "yes"
	refused  = "no"       // by its permissions
	settings = "settings" // of the stream or the account refuse it
)

// usersScene is a server that runs what embedded-nats init has made.
type usersScene struct {
	t       *testing.T
	dir     string
	address string
}

// TestPermissions has every user try every operation on the real server, and
// demands the table of docs/nats-users.md. It prints the table.
func TestPermissions(t *testing.T) {
	s := newUsersScene(t)
	s.fill()
	operations := operations()
	cells := make(map[eventlog.Role][]string)
	// The admin is the last: it ends by deleting the log.
	for _, role := range []eventlog.Role{eventlog.Auditor, eventlog.Reducer, eventlog.Poller, eventlog.Admin} {
		before := s.stored()
		for _, o := range operations {
			cells[role] = append(cells[role], s.outcome(role, o))
		}
		if role == eventlog.Auditor || role == eventlog.Reducer {
			if diff := cmp.Diff(before, s.stored()); diff != "" {
				t.Errorf("%s, who only reads, has changed the streams (-before +after):\n%s", role, diff)
			}
		}
	}
	table := "| A user may | admin | poller | reducer | auditor |\n|---|---|---|---|---|\n"
	for i, o := range operations {
		table += fmt.Sprintf("| %s | %s | %s | %s | %s |\n", o.name, cells[eventlog.Admin][i], cells[eventlog.Poller][i], cells[eventlog.Reducer][i], cells[eventlog.Auditor][i])
	}
	t.Logf("permissions, as the server gives them:\n%s", table)
	comparePermissions(t, table)
}

func comparePermissions(t *testing.T, table string) {
	t.Helper()
	const page = "../docs/nats-users.md"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	documented := regexp.MustCompile(`(?m)^\| A user may \|.*\n(?:\|.*\n)+`)
	if *update {
		if err := os.WriteFile(page, documented.ReplaceAllLiteral(text, []byte(table)), 0o600); err != nil {
			t.Fatal(err)
		}
	} else if diff := cmp.Diff(string(documented.Find(text)), table); diff != "" {
		t.Errorf("%s has another table; -update writes it anew (-page +server):\n%s", page, diff)
	}
}

// TestStrangersAreRefused demands that nobody connects without a key of the config.
func TestStrangersAreRefused(t *testing.T) {
	s, other := newUsersScene(t), t.TempDir()
	if out, err := exec.Command(binary("embedded-nats"), "init", other, "--fleet", fleet).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	stranger, err := nats.NkeyOptionFromSeed(filepath.Join(other, "admin.nkey"))
	if err != nil {
		t.Fatal(err)
	}
	for name, options := range map[string][]nats.Option{
		"without a key":     nil,
		"with another key":  {stranger},
		"with a password":   {nats.UserInfo("admin", "admin")},
		"with an empty one": {nats.UserInfo("", "")},
	} {
		nc, err := nats.Connect("nats://"+s.address, options...)
		if !errors.Is(err, nats.ErrAuthorization) {
			t.Errorf("%s: %v, want it refused", name, err)
		}
		if err == nil {
			nc.Close()
		}
	}
}

func newUsersScene(t *testing.T) *usersScene {
	t.Helper()
	ports, err := deployment.FreePorts(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	s := &usersScene{t: t, dir: filepath.Join(t.TempDir(), "fleet"), address: deployment.Address(ports[0])}
	s.run("embedded-nats", "init", s.dir, "--fleet", fleet, "--listen", s.address)
	server, err := deployment.Start(t.Context(), binary("embedded-nats"), []string{"run", "--config", filepath.Join(s.dir, "embedded-nats.conf")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { <-server.Done() })
	ctx, cancel := context.WithTimeout(t.Context(), *faultPatience)
	defer cancel()
	if _, err := server.Await(ctx, regexp.MustCompile("msg=ready ")); err != nil {
		t.Fatal(err)
	}
	return s
}

// fill makes the log and its first tick, and a stream of another fleet.
func (s *usersScene) fill() {
	s.t.Helper()
	files, err := corpus.FS()
	if err != nil {
		s.t.Fatal(err)
	}
	all := filepath.Join(s.dir, "corpus")
	if err := os.CopyFS(all, files); err != nil {
		s.t.Fatal(err)
	}
	release := filepath.Join(all, "releases", "medium-composite")
	s.run("fleetlog", "provision", "--fleet", fleet, "--context", s.context(eventlog.Admin), "--writer-key-file", filepath.Join(s.dir, "writer.key"))
	s.run("poller", "once", "--fleet", fleet, "--context", s.context(eventlog.Poller), "--writer-key-file", filepath.Join(s.dir, "writer.key"),
		"--release-dir", filepath.Join(release, "releases"), "--trust-file", filepath.Join(release, "trust.json"),
		"--manifest-freshness-window-secs", tenYears)
	u := s.connect(eventlog.Admin, func(error) {})
	defer u.nc.Close()
	_, err = u.js.CreateStream(s.t.Context(), jetstream.StreamConfig{
		Name: "nixfleet-other-events", Subjects: []string{"nixfleet.other.event.>"}, MaxBytes: 1 << 20, AllowDirect: true,
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *usersScene) run(program string, args ...string) {
	s.t.Helper()
	if out, err := exec.CommandContext(s.t.Context(), binary(program), args...).CombinedOutput(); err != nil {
		s.t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
}

func (s *usersScene) context(role eventlog.Role) string {
	return filepath.Join(s.dir, "nats", "context", fleet+"-"+string(role)+".json")
}

// stored is what both streams hold and how they are set.
func (s *usersScene) stored() (all []any) {
	s.t.Helper()
	u := s.connect(eventlog.Admin, func(error) {})
	defer u.nc.Close()
	for _, name := range []string{eventsStream, artifactsStream} {
		stream, err := u.js.Stream(s.t.Context(), name)
		if err != nil {
			s.t.Fatal(err)
		}
		info := stream.CachedInfo()
		info.State.Consumers = 0
		all = append(all, info.Config, info.State)
	}
	return all
}

// client is a role's connection.
type client struct {
	role eventlog.Role
	nc   *nats.Conn
	js   jetstream.JetStream
}

// connect connects with the role's key; violation is told what the server does not
// permit.
func (s *usersScene) connect(role eventlog.Role, violation func(error)) client {
	s.t.Helper()
	key, err := nats.NkeyOptionFromSeed(filepath.Join(s.dir, string(role)+".nkey"))
	if err != nil {
		s.t.Fatal(err)
	}
	nc, err := nats.Connect("nats://"+s.address, key, nats.CustomInboxPrefix(role.InboxPrefix()),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { violation(err) }))
	if err != nil {
		s.t.Fatal(err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		s.t.Fatal(err)
	}
	return client{role, nc, js}
}

// outcome tries every way of the operation.
func (s *usersScene) outcome(role eventlog.Role, o operation) (outcome string) {
	s.t.Helper()
	for i, way := range o.ways(role) {
		got := s.attempt(role, o.name, way)
		if i > 0 && got != outcome {
			s.t.Errorf("%s: %s: one way %s, another way %s", role, o.name, outcome, got)
		}
		outcome = got
	}
	return outcome
}

// attempt tries with a connection of its own.
func (s *usersScene) attempt(role eventlog.Role, name string, try attempt) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	ctx, violated := context.WithCancelCause(ctx)
	defer violated(nil)
	c := s.connect(role, violated)
	defer c.nc.Close()
	err := try(ctx, c)
	if flushed := c.nc.FlushTimeout(20 * time.Second); flushed != nil {
		s.t.Fatalf("%s: %s: %v", role, name, flushed)
	}
	var answer *jetstream.APIError
	switch {
	case errors.Is(c.nc.LastError(), nats.ErrPermissionViolation):
		return refused
	case err == nil:
		return allowed
	case errors.As(err, &answer):
		s.t.Logf("%s: %s: the server answers: %v", role, name, err)
		return settings
	}
	s.t.Errorf("%s: %s: %v; want an answer, or a violation of permissions", role, name, err)
	return err.Error()
}

// ask sends a request and demands an answer that is no error.
func (c client) ask(ctx context.Context, m *nats.Msg) error {
	reply, err := c.nc.RequestMsgWithContext(ctx, m)
	if err != nil {
		return err
	}
	switch status := reply.Header.Get("Status"); status {
	case "":
	case "404":
		return jetstream.ErrMsgNotFound
	default:
		return fmt.Errorf("%s: status %s %s", m.Subject, status, reply.Header.Get("Description"))
	}
	var answer struct {
		Error *jetstream.APIError `json:"error"`
	}
	if json.Unmarshal(reply.Data, &answer) == nil && answer.Error != nil { // what is not JSON is a message's own body
		return answer.Error
	}
	return nil
}
