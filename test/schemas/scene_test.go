package schemas

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"fleetlog/internal/corpus"
)

// scene is a broker and a poller, each a process, in a folder of their own.
type scene struct {
	t       *testing.T
	dir     string
	corpus  fs.FS
	address string
}

func newScene(ctx context.Context, t *testing.T) *scene {
	s := &scene{t: t, dir: t.TempDir()}
	for _, program := range []string{"embedded-nats", "poller", "reducer", "fleetlog"} {
		cmd := exec.CommandContext(ctx, "go", "-C", root, "build", "-o", s.path(program), "./cmd/"+program)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", program, err, out)
		}
	}
	files, err := corpus.FS()
	if err := errors.Join(err, os.Mkdir(s.path("empty"), 0o700)); err != nil {
		t.Fatal(err)
	}
	s.corpus = files
	s.serve(ctx)
	return s
}

func (s *scene) path(name string) string { return filepath.Join(s.dir, name) }

// serve runs the broker until the test ends.
func (s *scene) serve(ctx context.Context) {
	said := &output{}
	cmd := exec.Command(s.path("embedded-nats"), "run", "--listen", "127.0.0.1:-1", "--store-dir", s.path("store"),
		"--max-store", strconv.Itoa(64<<30)) // a limit; each fleet's streams reserve their own
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := errors.Join(cmd.Process.Signal(syscall.SIGTERM), cmd.Wait()); err != nil {
			s.t.Errorf("broker: %v\n%s", err, said)
		}
	})
	ready := regexp.MustCompile(`msg=ready .*url="(nats://[^"]+)"`)
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for s.address == "" {
		select {
		case <-ctx.Done():
			s.t.Fatalf("broker is not ready: %s", said)
		case <-look.C:
		}
		if m := ready.FindStringSubmatch(said.String()); m != nil {
			s.address = m[1]
		}
	}
}

// release unpacks a release of the corpus, and returns its folder.
func (s *scene) release(name string) string {
	s.t.Helper()
	files, err := fs.Sub(s.corpus, "releases/"+name)
	if err == nil {
		err = os.CopyFS(s.path(name), files)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return s.path(name)
}

// tamper changes the manifests of a release, of which it returns the folder.
func (s *scene) tamper(release, pattern string) {
	s.t.Helper()
	names, err := filepath.Glob(filepath.Join(s.path(release), "releases/rollouts", pattern))
	if err != nil || len(names) == 0 {
		s.t.Fatalf("release %s has no %s: %v", release, pattern, err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		changed := bytes.Replace(data, []byte("nixos-system"), []byte("other-system"), 1)
		if err == nil && bytes.Equal(changed, data) {
			err = fmt.Errorf("%s: there is nothing to tamper with", name)
		}
		if err := errors.Join(err, os.WriteFile(name, changed, 0o600)); err != nil {
			s.t.Fatal(err)
		}
	}
}

// poll records one tick of a fleet on a release directory; code is what the
// poller exits with.
func (s *scene) poll(ctx context.Context, fleet, trust, release string, code int) {
	s.t.Helper()
	cmd := exec.CommandContext(ctx, s.path("poller"), "once", "--provision", "--fleet", fleet, "--nats-url", s.address,
		"--release-dir", release, "--trust-file", filepath.Join(trust, "trust.json"),
		"--writer-key-file", s.path(fleet+".key"), "--manifest-freshness-window-secs", "315360000")
	out, err := cmd.CombinedOutput()
	if got := cmd.ProcessState.ExitCode(); got != code {
		s.t.Fatalf("poll of %s: %v, want exit code %d\n%s", release, err, code, out)
	}
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

// copy copies the files that the pattern names.
func (s *scene) copy(from, to, pattern string) {
	s.t.Helper()
	names, err := filepath.Glob(filepath.Join(from, pattern))
	if err != nil || len(names) == 0 {
		s.t.Fatalf("%s has no %s: %v", from, pattern, err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		file := filepath.Join(to, filepath.Dir(pattern), filepath.Base(name))
		if err := errors.Join(err, os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, data, 0o600)); err != nil {
			s.t.Fatal(err)
		}
	}
}
