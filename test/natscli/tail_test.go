// Package natscli follows a log with the stock NATS command line tool, as README
// says. It is a module of its own so that nothing of that tool is a dependency of
// the project.
package natscli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
)

// patience bounds everything behind the compilation.
const patience = time.Minute

// claims are what README says of its commands, in their order.
func claims() []claim {
	return []claim{
		{"everything", func(event) bool { return true }},
		{"one channel", func(e event) bool { return e.Channel == "stable" }},
		{"what was refused", func(e event) bool {
			return e.is("FleetRejected") || e.is("RolloutRejected") || e.is("CrossCheckFailed")
		}},
		{"everything but ticks' ends", func(e event) bool { return !e.is("TickCompleted") }},
	}
}

type claim struct {
	name  string
	shows func(event) bool
}

// TestReadmeTails runs the commands of README's section on tailing as they stand
// there, and each once more with --new for --all. Each shows what that section
// says of it, and nothing else.
func TestReadmeTails(t *testing.T) {
	claims := claims()
	commands := readmeCommands(t)
	if len(commands) != len(claims) {
		t.Fatalf("README has %d commands for %d claims:\n%s", len(commands), len(claims), strings.Join(commands, "\n"))
	}
	s := newScene(t, build(t))
	// Whoever started the tests may have interrupts ignored, and programs inherit
	// that, unless this one takes them.
	ctx, stop := signal.NotifyContext(t.Context(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	s.serve(ctx)
	before := s.past(ctx)
	var tails []*tail
	for i, c := range claims {
		past := s.follow(c.name+", --all", commands[i])
		past.expect(before, c.shows)
		present := s.follow(c.name+", --new", strings.Replace(commands[i], "--all", "--new", 1))
		tails = append(tails, past, present)
	}
	for _, l := range tails {
		l.await(ctx)
	}
	s.awaitConsumers(ctx, len(tails))
	after := s.present(ctx)
	for i, l := range tails {
		l.expect(after, claims[i/2].shows)
		l.await(ctx)
		l.interrupt()
	}
	for _, l := range tails {
		l.judge(ctx)
	}
}

// event is what is looked at of an event's body.
type event struct {
	Type    string `json:"type"`
	Fleet   string `json:"fleet"`
	Number  uint64 `json:"number"`
	Channel string `json:"channel"`
}

func (e event) is(leaf string) bool { return e.Type == leaf+".v1" }

// tick is what the tick with this number says; each finding is a type, and the
// channel that it is about.
func tick(number uint64, findings ...string) []event {
	var all []event
	for _, f := range findings {
		leaf, channel, _ := strings.Cut(f, " ")
		all = append(all, event{leaf + ".v1", "prod", number, channel})
	}
	return all
}

// past records what tails with --all begin with: a fleet in order; a newer one
// with a channel less, and with a manifest refused; and twice no fleet.
func (s *scene) past(ctx context.Context) []event {
	s.release("first", "medium-composite", "medium-composite")
	s.release("second", "resigned-1-composite", "resigned-1-composite")
	s.tamper("second", "edge")
	s.poll(ctx, "first", 0, "--provision")
	s.poll(ctx, "second", 1)
	s.poll(ctx, "empty", 1)
	s.poll(ctx, "empty", 1)
	return concat(
		tick(0, "LogOpened"),
		tick(1, "FleetFetched", "RolloutVerified edge", "RolloutVerified main", "RolloutVerified stable", "TickCompleted"),
		tick(2, "FleetFetched", "RolloutRejected edge", "ChannelIdle main", "RolloutVerified stable", "TickCompleted"),
		tick(3, "FleetRejected", "TickCompleted"),
		tick(4, "TickCompleted"),
	)
}

// present records what every tail sees come. The second tick says the same as
// the first: who has been shown its last event, was shown all of the first.
func (s *scene) present(ctx context.Context) []event {
	s.release("third", "resigned-2-composite", "resigned-1-composite")
	s.tamper("third", "edge")
	s.poll(ctx, "third", 1)
	s.poll(ctx, "third", 1, "--restate-every", "0")
	findings := []string{"FleetFetched", "RolloutRejected edge", "CrossCheckFailed stable", "TickCompleted"}
	return concat(tick(5, findings...), tick(6, findings...))
}

func concat(ticks ...[]event) (all []event) {
	for _, t := range ticks {
		all = append(all, t...)
	}
	return all
}

// tail is a README command at work.
type tail struct {
	t    *testing.T
	name string
	*program
	want []event
}

// expect adds the events that the tail must show.
func (l *tail) expect(all []event, shows func(event) bool) {
	for _, e := range all {
		if shows(e) {
			l.want = append(l.want, e)
		}
	}
}

func (l *tail) lines() []string {
	text := l.stdout.String()
	return strings.Split(text, "\n")[:strings.Count(text, "\n")]
}

// await waits until the tail has shown as much as is expected.
func (l *tail) await(ctx context.Context) {
	l.t.Helper()
	wait(ctx, l.t, func() error {
		if lines := l.lines(); len(lines) < len(l.want) {
			return fmt.Errorf("%s: %d lines, want %d\n%s%s", l.name, len(lines), len(l.want), l.stdout, l.stderr)
		}
		return nil
	})
}

// interrupt ends the tail as a person does.
func (l *tail) interrupt() {
	l.t.Helper()
	if err := syscall.Kill(-l.cmd.Process.Pid, syscall.SIGINT); err != nil {
		l.t.Fatal(err)
	}
}

// judge compares every line that the tail has printed until it ended.
func (l *tail) judge(ctx context.Context) {
	l.t.Helper()
	select {
	case <-l.done:
	case <-ctx.Done():
		l.t.Fatalf("%s: it does not end: %v\n%s", l.name, context.Cause(ctx), l.stderr)
	}
	var got []event
	for _, line := range l.lines() {
		var e event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			l.t.Errorf("%s: %q is not one JSON object: %v", l.name, line, err)
			continue
		}
		got = append(got, e)
	}
	if diff := cmp.Diff(l.want, got); diff != "" {
		l.t.Errorf("%s (-want +got):\n%s", l.name, diff)
	}
}

// readmeCommands are the commands that follow a log, as README gives them.
func readmeCommands(t *testing.T) (commands []string) {
	t.Helper()
	data, err := os.ReadFile(root + "/README.md")
	if err != nil {
		t.Fatal(err)
	}
	shell := false
	for line := range strings.Lines(strings.ReplaceAll(string(data), "\\\n", "")) {
		switch {
		case strings.HasPrefix(line, "```"):
			shell = !shell && strings.TrimSpace(line) == "```sh"
		case shell && strings.HasPrefix(line, "nats sub "):
			commands = append(commands, strings.TrimSpace(line))
		}
	}
	return commands
}
