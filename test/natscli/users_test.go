package natscli

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// recipes are what the commands of docs/nats-users.md print, in their order.
func recipes() []string {
	return []string{
		`nixfleet-prod-events .*\b7\b(?s:.*)nixfleet-prod-artifacts`,
		`nixfleet\.prod\.event\.TickCompleted .*\b2\b`,
		`nixfleet-prod-events#7 (?s:.*)"type":"TickCompleted\.v1","fleet":"prod"`,
		`No deleted messages in nixfleet-prod-events`,
		`Consumer report for nixfleet-prod-events|No Consumers defined`,
		`^OK .*nixfleet\.prod\.event\.TickCompleted`,
		`^\{"type":"RolloutVerified\.v1",.*"channel":"stable"`,
		`\[JS API\] \$JS\.API\.STREAM\.INFO\.nixfleet-prod-events U[A-Z0-9]{55} @ FLEETLOG`,
	}
}

// TestUsers runs docs/nats-users.md with the stock tool: the auditor's commands show
// what the document says of them, what the auditor may not do is refused, and the
// admin's commands of docs/backup.md bring a log back that was deleted.
func TestUsers(t *testing.T) {
	s := newScene(t, build(t))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s.serveUsers(ctx)

	section := "The auditor at the `nats` tool"
	all := documentedIn(t, "nats-users.md", section)
	said, want := all[3:], recipes()
	if len(said) != len(want) {
		t.Fatalf("the document has %d recipes, want %d:\n%s", len(said), len(want), strings.Join(said, "\n"))
	}
	if printed := s.as(ctx, "", "set -e; unset XDG_CONFIG_HOME\n"+strings.Join(all[:3], "\n")); !strings.Contains(printed, "fleetlog auditor of fleet prod") {
		t.Errorf("contexts:\n%s", printed)
	}
	for i, command := range said {
		s.recipe(ctx, command, regexp.MustCompile("(?m)"+want[i]))
	}
	for _, command := range []string{
		"nats --timeout 2s stream rm -f nixfleet-prod-events", "nats --timeout 2s stream purge -f nixfleet-prod-events",
		"nats --timeout 2s stream rmm -f nixfleet-prod-events 1", "nats pub nixfleet.prod.event.TickCompleted x",
		"nats --timeout 2s backup stream --no-consumers nixfleet-prod-events ./stolen",
	} {
		out, err := s.shellAs(ctx, "prod-auditor", command)
		if err == nil || !strings.Contains(strings.ToLower(out), "permissions violation") {
			t.Errorf("%s: %v, want a violation of permissions:\n%s", command, err, out)
		}
	}

	s.as(ctx, "prod-admin", documented(t, "Backup")...)
	s.as(ctx, "prod-admin", "nats stream rm -f nixfleet-prod-events", "nats stream rm -f nixfleet-prod-artifacts")
	if printed := s.as(ctx, "prod-admin", documented(t, "Restore")...); !strings.Contains(printed, "BROKEN") {
		t.Errorf("restore says:\n%s", printed)
	}
}

// serveUsers makes a server with users, the log, and two ticks.
func (s *scene) serveUsers(ctx context.Context) {
	s.t.Helper()
	s.address = freeAddress(s.t)
	s.release("release", "medium-composite", "medium-composite")
	s.as(ctx, "", "embedded-nats init ./fleet --fleet prod --listen "+s.address)
	s.serveConfig(ctx)
	poll := "poller once --fleet prod --context prod-poller --writer-key-file fleet/writer.key --release-dir release --trust-file trust.json --manifest-freshness-window-secs " + window
	s.as(ctx, "", "fleetlog provision --fleet prod --context prod-admin --writer-key-file fleet/writer.key", poll, poll)
}

// serveConfig starts the broker with the config that init has made.
func (s *scene) serveConfig(ctx context.Context) {
	s.t.Helper()
	s.server = s.start(nil, s.program("embedded-nats"), append([]string{"run", "--config", s.path("fleet/embedded-nats.conf")}, s.serving...)...)
	wait(ctx, s.t, func() error {
		if !strings.Contains(s.server.stderr.String(), "msg=ready ") {
			return fmt.Errorf("broker is not ready: %s", s.server.stderr)
		}
		return nil
	})
}

// shellAs runs a command in a shell whose contexts are those that init has made.
func (s *scene) shellAs(ctx context.Context, user, command string) (printed string, err error) {
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	cmd.Dir, cmd.Env = s.dir, s.contexts(user)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (s *scene) contexts(user string) []string {
	environment := append(s.environment("nobody"), "XDG_CONFIG_HOME="+s.path("fleet"), "NATS_URL=")
	if user != "" {
		environment = append(environment, "NATS_CONTEXT="+user, "FLEETLOG_CONTEXT="+user)
	}
	return environment
}

// as runs commands, each of which must succeed.
func (s *scene) as(ctx context.Context, user string, commands ...string) (printed string) {
	s.t.Helper()
	for _, command := range commands {
		out, err := s.shellAs(ctx, user, command)
		if err != nil {
			s.t.Fatalf("%s: %v\n%s", command, err, out)
		}
		printed += out
	}
	return printed
}

// recipe runs a command of the auditor, who has been selected, until it has printed
// what it should. One that goes on is then interrupted; another one must succeed.
func (s *scene) recipe(ctx context.Context, command string, want *regexp.Regexp) {
	s.t.Helper()
	p := s.start(s.contexts(""), "sh", "-c", command)
	wait(ctx, s.t, func() error {
		if strings.Contains(command, "--js-advisory") {
			s.as(ctx, "prod-reducer", "nats stream state nixfleet-prod-events") // it tells what is asked from now on
		}
		if !want.MatchString(p.stdout.String()) {
			return fmt.Errorf("%s: it prints\n%s%s\nwant %s", command, p.stdout, p.stderr, want)
		}
		return nil
	})
	if strings.HasPrefix(command, "nats sub ") || strings.HasPrefix(command, "nats events ") {
		if err := syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL); err != nil {
			s.t.Error(errors.Join(err, fmt.Errorf("end %s", command)))
		}
	}
	<-p.done
	if said := p.stdout.String() + p.stderr.String(); strings.Contains(strings.ToLower(said), "violation") {
		s.t.Errorf("%s is refused something:\n%s", command, said)
	}
}
