package natscli

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestAlarm runs the alarm of cmd/fleetlog/README.md that needs none of our code: it
// is critical while a log has no tick and when the newest is older than its limit,
// warns before, and stays silent else.
func TestAlarm(t *testing.T) {
	s := newScene(t, build(t))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s.serve(ctx)
	s.release("release", "medium-composite", "medium-composite")
	readme, err := os.ReadFile(filepath.Join(root, "cmd/fleetlog/README.md"))
	if err != nil {
		t.Fatal(err)
	}
	alarm := regexp.MustCompile(`(?m)^nats server check message .*$`).FindString(string(readme))
	limits := regexp.MustCompile(`--age-warn \S+ --age-critical \S+$`)
	if !limits.MatchString(alarm) {
		t.Fatalf("the README's alarm is %q", alarm)
	}
	within := func(limit string) string { return limits.ReplaceAllString(alarm, limit) }

	provision := exec.CommandContext(ctx, s.program("fleetlog"), "provision", "--fleet", "prod", "--nats-url", s.url("poller"),
		"--writer-key-file", s.path("writer.key"))
	if out, err := provision.CombinedOutput(); err != nil {
		t.Fatalf("provision: %v\n%s", err, out)
	}
	s.says(ctx, alarm, 2, "CRITICAL")
	s.poll(ctx, "release", 0)
	s.says(ctx, alarm, 0, "OK")
	s.says(ctx, within("--age-warn 1ms --age-critical 1h"), 1, "WARNING")
	s.says(ctx, within("--age-warn 1ms --age-critical 1ms"), 2, "CRITICAL")
	s.poll(ctx, "empty", 1) // what is skipped is a tick, too
	s.says(ctx, alarm, 0, "OK")
}

// says demands an exit code and the word that the answer begins with.
func (s *scene) says(ctx context.Context, command string, code int, word string) {
	s.t.Helper()
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	cmd.Env = s.environment("poller")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != code || !strings.HasPrefix(string(out), word) {
		s.t.Errorf("%s: exit %d, want %d and %s\n%s", command, got, code, word, out)
	}
}
