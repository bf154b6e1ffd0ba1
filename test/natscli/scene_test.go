package natscli

import (
	"archive/zip"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

// root is the project's folder.
const root = "../.."

// users are the poller, which may do everything, and one who may do only what the
// stock tool needs to follow the log.
const users = `authorization { users: [
  { user: poller, password: secret }
  { user: tailing, password: secret, permissions: {
    publish: [
      "$JS.API.STREAM.INFO.nixfleet-prod-events"
      "$JS.API.CONSUMER.CREATE.nixfleet-prod-events.>"
      "$JS.API.CONSUMER.MSG.NEXT.nixfleet-prod-events.>"
    ]
    subscribe: [ "_INBOX.>" ]
  } }
] }
`

// scene is a folder with the releases and a broker's files, and another one with
// the programs.
type scene struct {
	t        *testing.T
	dir      string
	programs string
	corpus   fs.FS
	address  string
	serving  []string // further flags of a broker with users
	server   *program
}

// build builds the stock tool from this module's requirements, and the project's
// programs, and returns where they are.
func build(t *testing.T) (programs string) {
	programs = t.TempDir()
	for _, args := range [][]string{
		{"build", "-o", filepath.Join(programs, "nats"), "github.com/nats-io/natscli/nats"},
		{"-C", root, "build", "-o", programs, "./cmd/..."},
	} {
		if out, err := exec.CommandContext(t.Context(), "go", args...).CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	return programs
}

func newScene(t *testing.T, programs string) *scene {
	s := &scene{t: t, dir: t.TempDir(), programs: programs}
	archive, err := zip.OpenReader(filepath.Join(root, "internal/corpus/corpus.zip"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { archive.Close() })
	s.corpus = archive
	trust, err := fs.ReadFile(s.corpus, "releases/medium-composite/trust.json")
	if err := errors.Join(err, os.WriteFile(s.path("trust.json"), trust, 0o600), os.Mkdir(s.path("empty"), 0o700)); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *scene) path(name string) string { return filepath.Join(s.dir, name) }

func (s *scene) program(name string) string { return filepath.Join(s.programs, name) }

// release makes a release directory of the fleet of one release of the corpus
// and the manifests of another.
func (s *scene) release(name, fleet, rollouts string) {
	s.t.Helper()
	for pattern, release := range map[string]string{"fleet.resolved.json*": fleet, "rollouts/*": rollouts} {
		files, err := fs.Sub(s.corpus, "releases/"+release+"/releases")
		if err != nil {
			s.t.Fatal(err)
		}
		names, err := fs.Glob(files, pattern)
		if err != nil || len(names) == 0 {
			s.t.Fatalf("release %s has no %s: %v", release, pattern, err)
		}
		for _, file := range names {
			data, err := fs.ReadFile(files, file)
			to := filepath.Join(s.path(name), file)
			if err := errors.Join(err, os.MkdirAll(filepath.Dir(to), 0o700), os.WriteFile(to, data, 0o600)); err != nil {
				s.t.Fatal(err)
			}
		}
	}
}

// tamper changes the manifest of one channel.
func (s *scene) tamper(release, channel string) {
	s.t.Helper()
	names, err := filepath.Glob(filepath.Join(s.path(release), "rollouts", channel+"@*.json"))
	if err != nil || len(names) != 1 {
		s.t.Fatalf("%d manifests of channel %s: %v", len(names), channel, err)
	}
	data, err := os.ReadFile(names[0])
	if err != nil {
		s.t.Fatal(err)
	}
	changed := bytes.Replace(data, []byte("nixos-system"), []byte("other-system"), 1)
	if bytes.Equal(changed, data) {
		s.t.Fatal("there is nothing to tamper with")
	}
	if err := os.WriteFile(names[0], changed, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// serve starts the broker, where the one before it was, and with what that has
// stored, if there was one.
func (s *scene) serve(ctx context.Context) {
	if err := os.WriteFile(s.path("nats.conf"), []byte(users), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.server = s.start(nil, s.program("embedded-nats"), "run", "--config", s.path("nats.conf"),
		"--listen", cmp.Or(s.address, "127.0.0.1:-1"), "--store-dir", s.path("store"))
	ready := regexp.MustCompile(`msg=ready .*url="nats://([^"]+)"`)
	wait(ctx, s.t, func() error {
		m := ready.FindStringSubmatch(s.server.stderr.String())
		if m == nil {
			return fmt.Errorf("broker is not ready: %s", s.server.stderr)
		}
		s.address = m[1]
		return nil
	})
}

func (s *scene) url(user string) string { return "nats://" + user + ":secret@" + s.address }

// poll records one tick on a release directory; code is what the poller exits
// with. It returns what the poller says.
func (s *scene) poll(ctx context.Context, release string, code int, more ...string) (said string) {
	s.t.Helper()
	cmd := exec.CommandContext(ctx, s.program("poller"), append(append([]string{"once"}, s.polling(release)...), more...)...)
	out, err := cmd.CombinedOutput()
	if got := cmd.ProcessState.ExitCode(); got != code {
		s.t.Fatalf("poll of %s: %v, want exit code %d\n%s", release, err, code, out)
	}
	return string(out)
}

// polling are the flags of a poller.
func (s *scene) polling(release string) []string {
	return []string{
		"--fleet", "prod", "--nats-url", s.url("poller"), "--release-dir", s.path(release),
		"--trust-file", s.path("trust.json"), "--writer-key-file", s.path("writer.key"),
		"--manifest-freshness-window-secs", window,
	}
}

// window is in seconds: the corpus is of a day that is long past.
const window = "315360000"

// environment is that of a person at a shell, with a fresh home.
func (s *scene) environment(user string) []string {
	return []string{
		"PATH=" + s.programs + string(filepath.ListSeparator) + os.Getenv("PATH"),
		"HOME=" + s.path("home"), "NATS_URL=" + s.url(user), "FLEETLOG_NATS_URL=" + s.url(user),
	}
}

// follow runs a command of README in a shell.
func (s *scene) follow(name, command string) *tail {
	return &tail{t: s.t, name: name, program: s.start(s.environment("tailing"), "sh", "-c", command)}
}

// awaitConsumers waits until so many follow the log: the broker then gives them
// what comes from here on.
func (s *scene) awaitConsumers(ctx context.Context, n int) {
	wait(ctx, s.t, func() error {
		out, err := exec.CommandContext(ctx, s.program("nats"), "--server", s.url("poller"), "--no-context",
			"stream", "info", "nixfleet-prod-events", "--json").Output()
		if err != nil {
			return err
		}
		var info struct {
			State struct {
				Consumers int `json:"consumer_count"`
			} `json:"state"`
		}
		if err := json.Unmarshal(out, &info); err != nil {
			return err
		}
		if info.State.Consumers != n {
			return fmt.Errorf("%d follow the log, want %d", info.State.Consumers, n)
		}
		return nil
	})
}

// output is what a program has printed so far.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

// String returns what has been printed so far.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// program is one that runs, in a process group of its own.
type program struct {
	cmd            *exec.Cmd
	stdout, stderr *output
	done           chan struct{}
}

// start runs a program until it ends, at the latest with the test.
func (s *scene) start(environment []string, name string, args ...string) *program {
	s.t.Helper()
	p := &program{cmd: exec.Command(name, args...), stdout: &output{}, stderr: &output{}, done: make(chan struct{})}
	p.cmd.Env, p.cmd.Dir = environment, s.dir
	p.cmd.Stdout, p.cmd.Stderr = p.stdout, p.stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // every program here is ended by a signal
	}()
	s.t.Cleanup(func() {
		select {
		case <-p.done:
		default:
			_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
			<-p.done
		}
	})
	return p
}

// wait looks until holds returns nil.
func wait(ctx context.Context, t *testing.T, holds func() error) {
	t.Helper()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		err := holds()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%v: %v", context.Cause(ctx), err)
		case <-look.C:
		}
	}
}
