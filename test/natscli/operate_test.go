package natscli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// operation is a section of docs/operate.md with its commands.
type operation struct {
	heading  string
	commands []string
}

// operations are the sections that have commands, in order.
func operations(t *testing.T) (sections []operation) {
	t.Helper()
	data, err := os.ReadFile(root + "/docs/operate.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, section := range regexp.MustCompile(`(?m)^#+ `).Split(string(data), -1) {
		heading, body, _ := strings.Cut(section, "\n")
		o := operation{heading: heading}
		for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(body, -1) {
			o.commands = append(o.commands, strings.Split(strings.TrimSpace(block[1]), "\n")...)
		}
		if len(o.commands) > 0 {
			sections = append(sections, o)
		}
	}
	return sections
}

// TestOperate runs every command of docs/operate.md beside a poller and a reducer
// that run, each with a key of its own. Each must succeed; once the nkeys are
// replaced, as the document says, those of before are refused.
func TestOperate(t *testing.T) {
	s := newScene(t, build(t))
	ctx, cancel := context.WithTimeout(t.Context(), backupPatience)
	defer cancel()
	ports := relocation{"127.0.0.1:9477": freeAddress(t), "127.0.0.1:9478": freeAddress(t), "127.0.0.1:9479": freeAddress(t)}
	s.serving = []string{"--http-listen", ports["127.0.0.1:9479"]}
	s.serveUsers(ctx)
	ports["127.0.0.1:4222"] = s.address
	s.as(ctx, "", "mkdir plane && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout plane/client.key -out plane/client.pem -subj /CN=poller -days 1")
	watch := s.watch(ctx, ports)

	s.as(ctx, "", "cp fleet/auditor.nkey old.nkey")
	stranger := "fleetlog head --fleet prod --nats-url nats://" + s.address + " --nats-nkey-file old.nkey --nats-inbox-prefix _INBOX_auditor"
	s.as(ctx, "", stranger)
	sections, ran := operations(t), 0
	surroundings := strings.Join(sections[0].commands[:3], "\n") + "\n"
	for _, o := range sections {
		for _, command := range o.commands {
			s.operate(ctx, surroundings, ports.of(command))
			ran++
		}
		if o.heading == "Nkeys" {
			for _, p := range append(watch, s.server) {
				p.signal(syscall.SIGTERM)
				<-p.done
			}
			s.serveConfig(ctx)
			s.watch(ctx, ports)
			if out, err := s.shellAs(ctx, "", stranger); err == nil {
				t.Errorf("a key that was replaced is let in:\n%s", out)
			}
		}
	}
	if ran < 40 {
		t.Errorf("only %d commands were run", ran)
	}
}

// relocation has another address for each of the document's.
type relocation map[string]string

func (r relocation) of(command string) string {
	for documented, free := range r {
		command = strings.ReplaceAll(command, documented, free)
	}
	return command
}

func freeAddress(t *testing.T) string {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer free.Close()
	return free.Addr().String()
}

// watch starts a poller and a reducer, and waits until both are ready.
func (s *scene) watch(ctx context.Context, ports relocation) (programs []*program) {
	s.t.Helper()
	common := []string{"run", "--fleet", "prod", "--trust-file", "trust.json", "--manifest-freshness-window-secs", window}
	for name, flags := range map[string][]string{
		"poller": {"--context", "prod-poller", "--writer-key-file", "fleet/writer.key", "--release-dir", "release",
			"--interval", "500ms", "--tick-timeout", patience.String(), "--http-listen", ports["127.0.0.1:9477"]},
		"reducer": {"--context", "prod-reducer", "--state-dir", "fleet/state", "--trust-first-use", "--http-listen", ports["127.0.0.1:9478"]},
	} {
		p := s.start(s.contexts(""), s.program(name), append(append([]string{}, common...), flags...)...)
		programs = append(programs, p)
	}
	for _, documented := range []string{"127.0.0.1:9477", "127.0.0.1:9478", "127.0.0.1:9479"} {
		wait(ctx, s.t, func() error {
			out, err := exec.CommandContext(ctx, "curl", "-fsS", "http://"+ports[documented]+"/readyz").CombinedOutput()
			if err != nil {
				return fmt.Errorf("%s is not ready: %w: %s", documented, err, out)
			}
			return nil
		})
	}
	return programs
}

// operate runs one command of the document as its first lines demand.
func (s *scene) operate(ctx context.Context, surroundings, command string) {
	s.t.Helper()
	cmd := exec.CommandContext(ctx, "sh", "-c", "set -e\n"+surroundings+command)
	cmd.Dir, cmd.Env = s.dir, append(s.environment("nobody"), "NATS_URL=", "FLEETLOG_NATS_URL=", "FLEETLOG_FRESHNESS_WINDOW_SECS="+window)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	if said := strings.ToLower(string(out)); err != nil || strings.Contains(said, "violation") {
		s.t.Errorf("%s: %v\n%s", command, err, out)
	}
}
