package natscli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/go-json-experiment/json"
)

// documented are the commands of a section of docs/backup.md, one a line.
func documented(t *testing.T, heading string) (commands []string) {
	t.Helper()
	return documentedIn(t, "backup.md", heading)
}

func documentedIn(t *testing.T, document, heading string) (commands []string) {
	t.Helper()
	data, err := os.ReadFile(root + "/docs/" + document)
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(strings.ReplaceAll(string(data), "\\\n", ""), "\n## "+heading+"\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(section, -1) {
		commands = append(commands, strings.Split(strings.TrimSpace(block[1]), "\n")...)
	}
	if !found || len(commands) == 0 {
		t.Fatalf("docs/%s has no commands under %q", document, heading)
	}
	return commands
}

// shell runs commands one after the other, each of which must succeed, and returns
// what they print.
func (s *scene) shell(ctx context.Context, commands ...string) (printed string) {
	s.t.Helper()
	for _, command := range commands {
		out, code := s.run(ctx, "sh", "-c", command)
		if code != 0 {
			s.t.Fatalf("%s: exit code %d\n%s", command, code, out)
		}
		printed += out
	}
	return printed
}

// run runs a program as a person does, and returns what it prints.
func (s *scene) run(ctx context.Context, name string, args ...string) (printed string, code int) {
	s.t.Helper()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env, cmd.Dir = s.environment("poller"), s.dir
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// lose ends the broker at once, and begins another one with nothing stored in its
// place.
func (s *scene) lose(ctx context.Context) {
	s.t.Helper()
	s.server.signal(syscall.SIGKILL)
	<-s.server.done
	if err := os.RemoveAll(s.path("store")); err != nil {
		s.t.Fatal(err)
	}
	s.serve(ctx)
}

// serveRelease puts a release directory in the place that runPoller polls.
func (s *scene) serveRelease(name string) {
	s.t.Helper()
	if err := errors.Join(os.Symlink(name, s.path("next")), os.Rename(s.path("next"), s.path("served"))); err != nil {
		s.t.Fatal(err)
	}
}

// runPoller starts a poller that goes on polling.
func (s *scene) runPoller() *program {
	return s.start(nil, s.program("poller"), append([]string{"run", "--interval", "200ms", "--tick-timeout", patience.String()},
		s.polling("served")...)...)
}

// runReducer starts a reducer over the state directory of that name.
func (s *scene) runReducer(state string, more ...string) *program {
	return s.start(nil, s.program("reducer"), append([]string{
		"run", "--fleet", "prod", "--nats-url", s.url("poller"), "--state-dir", s.path(state), "--trust-file", s.path("trust.json"),
		"--trust-first-use", "--manifest-freshness-window-secs", window,
	}, more...)...)
}

// signal signals the program and what it has started.
func (p *program) signal(signal syscall.Signal) { _ = syscall.Kill(-p.cmd.Process.Pid, signal) }

// pause holds the program up, and waits until it stands still.
func (p *program) pause(ctx context.Context, t *testing.T) {
	t.Helper()
	p.signal(syscall.SIGSTOP)
	still := regexp.MustCompile(`(?m)^State:\s+T`)
	wait(ctx, t, func() error {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
		if err == nil && !still.Match(status) {
			err = errors.New("poller still runs")
		}
		return err
	})
}

// says waits until the program has said something.
func (p *program) says(ctx context.Context, t *testing.T, pattern string) {
	t.Helper()
	said := regexp.MustCompile(pattern)
	wait(ctx, t, func() error {
		if !said.MatchString(p.stderr.String()) {
			return fmt.Errorf("it has not said %q:\n%s", pattern, p.stderr)
		}
		return nil
	})
}

// head is what fleetlog head and show say of a log or a state directory.
type head struct {
	Lineage string `json:"lineage"`
	Number  uint64 `json:"number"`
	Digest  string `json:"digest"`
	Floor   struct {
		SignedAt string `json:"signedAt"`
	} `json:"floor"`
}

func (s *scene) head(ctx context.Context) (h head) {
	s.t.Helper()
	s.answer(ctx, &h, "head", "-o", "json")
	return h
}

func (s *scene) answer(ctx context.Context, to any, args ...string) {
	s.t.Helper()
	out, code := s.run(ctx, s.program("fleetlog"), append([]string{args[0], "--fleet", "prod"}, args[1:]...)...)
	if code != 0 {
		s.t.Fatalf("fleetlog %s: exit code %d\n%s", strings.Join(args, " "), code, out)
	}
	if err := json.Unmarshal([]byte(out), to); err != nil {
		s.t.Fatalf("fleetlog %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// ticks waits until the log has so many ticks.
func (s *scene) ticks(ctx context.Context, n uint64) {
	s.t.Helper()
	wait(ctx, s.t, func() error {
		if h := s.head(ctx); h.Number < n {
			return fmt.Errorf("log is at tick %d, want %d", h.Number, n)
		}
		return nil
	})
}

// reaches waits until the reducer's checkpoint is at this tick or behind it.
func (s *scene) reaches(ctx context.Context, state string, tick uint64) {
	s.t.Helper()
	wait(ctx, s.t, func() error {
		var shown struct {
			Resolved struct {
				Tick uint64 `json:"tick"`
			} `json:"resolved"`
		}
		out, code := s.run(ctx, s.program("fleetlog"), "show", "--state-dir", s.path(state), "-o", "json")
		if code != 0 {
			return errors.New(out)
		}
		if err := json.Unmarshal([]byte(out), &shown); err != nil {
			return err
		}
		if shown.Resolved.Tick < tick {
			return fmt.Errorf("reducer is at tick %d, want %d", shown.Resolved.Tick, tick)
		}
		return nil
	})
}

// serves demands that the reducer's `current` is of the release.
func (s *scene) serves(state, release string) {
	s.t.Helper()
	got, err := os.ReadFile(filepath.Join(s.path(state), "current", "fleet.resolved.json"))
	want, wantErr := os.ReadFile(filepath.Join(s.path(release), "fleet.resolved.json"))
	if err := errors.Join(err, wantErr); err != nil {
		s.t.Fatal(err)
	}
	if string(got) != string(want) {
		s.t.Errorf("reducer's current is not the release %q", release)
	}
}

// unbroken demands that nothing is broken in the log and the state directory.
func (s *scene) unbroken(ctx context.Context, state string) {
	s.t.Helper()
	if out, code := s.run(ctx, s.program("fleetlog"), "fsck", "--fleet", "prod", s.path(state)); code != 0 {
		s.t.Errorf("fsck: exit code %d\n%s", code, out)
	}
}

// quarantined are the checkpoints that the reducer has set aside.
func (s *scene) quarantined(state string) []string {
	s.t.Helper()
	names, err := filepath.Glob(filepath.Join(s.path(state), "quarantine", "*"))
	if err != nil {
		s.t.Fatal(err)
	}
	return names
}
