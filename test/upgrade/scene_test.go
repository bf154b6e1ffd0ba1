package upgrade

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"fleetlog/internal/deployment"
)

// root is the project's folder.
const root = "../.."

// patience is how long a program may take.
const patience = time.Minute

// scene is a folder with both builds, releases and a state directory, and a broker.
type scene struct {
	t   *testing.T
	dir string
	url string
}

func newScene(t *testing.T) *scene {
	s := &scene{t: t, dir: t.TempDir()}
	s.unpackPrevious()
	s.build(s.path("source"), "previous", "./cmd/poller", "./cmd/reducer")
	s.build(root, "today", "./cmd/...")
	s.unpackReleases()
	s.serve()
	s.run("today", "fleetlog", "provision", "--events-max-bytes", "67108864", "--artifacts-max-bytes", "67108864")
	return s
}

func (s *scene) path(name string) string { return filepath.Join(s.dir, filepath.FromSlash(name)) }

// build compiles programs of the module in the folder.
func (s *scene) build(module, build string, programs ...string) {
	s.t.Helper()
	dir := s.path(build) + string(filepath.Separator)
	cmd := exec.CommandContext(s.t.Context(), "go", append([]string{"-C", module, "build", "-buildvcs=false", "-o", dir}, programs...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("build of %s: %v\n%s", build, err, out)
	}
}

// unpackPrevious takes the source of the previous build out of the history.
func (s *scene) unpackPrevious() {
	s.t.Helper()
	var said bytes.Buffer
	cmd := exec.CommandContext(s.t.Context(), "git", "-C", root, "archive", "--format=tar", previous)
	cmd.Stderr = &said
	archive, err := cmd.Output()
	if err != nil {
		s.t.Fatalf("the previous build, commit %s, is not in the history here (%v: %s): a shallow clone needs git fetch --unshallow", previous, err, said.String())
	}
	for in := tar.NewReader(bytes.NewReader(archive)); ; {
		entry, err := in.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err == nil && entry.Typeflag == tar.TypeReg {
			err = write(s.path("source/"+entry.Name), in)
		}
		if err != nil {
			s.t.Fatal(err)
		}
	}
}

func write(path string, from io.Reader) error {
	data, err := io.ReadAll(from)
	return errors.Join(err, os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, data, 0o600))
}

// unpackReleases takes releases out of the corpus, and adds one with a signature
// that is none.
func (s *scene) unpackReleases() {
	s.t.Helper()
	archive, err := zip.OpenReader(filepath.Join(root, "internal/corpus/corpus.zip"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer archive.Close()
	for _, name := range []string{"medium-composite", "next-composite"} {
		release, err := fs.Sub(archive, "releases/"+name)
		if err := errors.Join(err, os.CopyFS(s.path("releases/"+name), release)); err != nil {
			s.t.Fatal(err)
		}
	}
	if err := os.CopyFS(s.path("releases/spoilt"), os.DirFS(s.path("releases/next-composite"))); err != nil {
		s.t.Fatal(err)
	}
	signatures, err := filepath.Glob(s.path("releases/spoilt/releases/rollouts/stable@*.json.sig"))
	if err != nil || len(signatures) != 1 {
		s.t.Fatalf("signatures %v, %v", signatures, err)
	}
	if err := os.WriteFile(signatures[0], make([]byte, 64), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// environment lets every program find the broker and its files.
func (s *scene) environment() (variables []string) {
	for _, prefix := range []string{"FLEETLOG_", "NIXFLEET_POLLER_", "NIXFLEET_REDUCER_"} {
		for name, value := range map[string]string{
			"FLEET": "prod", "NATS_URL": s.url, "TRUST_FILE": s.path("releases/medium-composite/trust.json"),
			"WRITER_KEY_FILE": s.path("writer.key"), "STATE_DIR": s.path("state"), "TRUST_FIRST_USE": "true",
			"FRESHNESS_WINDOW_SECS": "315360000", "MANIFEST_FRESHNESS_WINDOW_SECS": "315360000", // of a day that is long past
		} {
			if name != "WRITER_KEY_FILE" || prefix != "NIXFLEET_REDUCER_" {
				variables = append(variables, prefix+name+"="+value)
			}
		}
	}
	return append(variables, "XDG_STATE_HOME="+s.path("seen"))
}

// serve starts a broker until the test ends.
func (s *scene) serve() {
	s.t.Helper()
	p := s.start("today", "embedded-nats", "run", "--listen", "127.0.0.1:-1", "--store-dir", s.path("store"), "--no-sync")
	s.url = s.await(p, `msg=ready .*url="([^"]+)"`)[1]
}

// start runs a program until it is stopped or the test ends.
func (s *scene) start(build, program string, args ...string) *deployment.Process {
	s.t.Helper()
	p, err := deployment.Start(s.t.Context(), s.path(build+"/"+program), args, s.environment()...)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { <-p.Done() })
	return p
}

func (s *scene) await(p *deployment.Process, pattern string) []string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	match, err := p.Await(ctx, regexp.MustCompile(pattern))
	if err != nil {
		s.t.Fatal(err)
	}
	return match
}

// follow runs a reducer until it has caught up, and returns what it has said.
func (s *scene) follow(build string) string {
	s.t.Helper()
	p := s.start(build, "reducer", "run")
	s.await(p, `msg="caught up with the log"`)
	if err := p.Stop(); err != nil {
		s.t.Fatalf("reducer of the %s build: %v\n%s", build, err, p.Said())
	}
	return p.Said()
}

// try runs a program to its end.
func (s *scene) try(build, program string, args ...string) (code int, said string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.path(build+"/"+program), args...)
	cmd.Env = append(os.Environ(), s.environment()...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

func (s *scene) run(build, program string, args ...string) {
	s.t.Helper()
	if code, said := s.try(build, program, args...); code != 0 {
		s.t.Fatalf("%s %s: exit status %d\n%s", program, strings.Join(args, " "), code, said)
	}
}
