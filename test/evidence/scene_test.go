// Package evidence follows the README of a bundle by hand: with bash, sha256sum,
// openssl and jq, and without any program of the project.
package evidence

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// root is the project's folder.
const root = "../.."

// window is in seconds: the corpus is of a day that is long past.
const window = "315360000"

// room is the limit of each stream in bytes.
const room = "67108864"

// scene is a folder with the programs, the releases of the corpus, and a broker.
type scene struct {
	t   *testing.T
	dir string
	url string
}

func newScene(t *testing.T) *scene {
	s := &scene{t: t, dir: t.TempDir()}
	if out, err := exec.CommandContext(t.Context(), "go", "-C", root, "build", "-o", s.dir, "./cmd/...").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	archive, err := zip.OpenReader(filepath.Join(root, "internal/corpus/corpus.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	releases, err := fs.Sub(archive, "releases")
	if err := errors.Join(err, os.CopyFS(s.path("releases"), releases)); err != nil {
		t.Fatal(err)
	}
	s.serve()
	return s
}

func (s *scene) path(name string) string { return filepath.Join(s.dir, name) }

// serve starts a broker until the test ends.
func (s *scene) serve() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	s.t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, s.path("embedded-nats"), "run", "--listen", "127.0.0.1:-1", "--store-dir", s.path("store"), "--no-sync")
	stderr, err := cmd.StderrPipe()
	if err := errors.Join(err, cmd.Start()); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	ready := regexp.MustCompile(`msg=ready .*url="([^"]+)"`)
	var said []byte
	for buffer := make([]byte, 4096); s.url == ""; {
		n, err := stderr.Read(buffer)
		said = append(said, buffer[:n]...)
		if m := ready.FindSubmatch(said); m != nil {
			s.url = string(m[1])
		} else if err != nil {
			s.t.Fatalf("broker did not become ready: %v\n%s", err, said)
		}
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		_, _ = io.Copy(io.Discard, stderr)
	}()
	s.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-drained
	})
}

// run runs a program of the project for a fleet, with its trust file.
func (s *scene) run(fleet, release, program string, args ...string) {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), s.path(program), args...)
	cmd.Env = []string{"HOME=" + s.dir}
	for _, prefix := range []string{"FLEETLOG_", "NIXFLEET_POLLER_"} {
		for name, value := range map[string]string{
			"FLEET": fleet, "NATS_URL": s.url, "TRUST_FILE": s.path("releases/" + release + "/trust.json"),
			"WRITER_KEY_FILE": s.path("writer.key"), "MANIFEST_FRESHNESS_WINDOW_SECS": window, "FRESHNESS_WINDOW_SECS": window,
		} {
			cmd.Env = append(cmd.Env, prefix+name+"="+value)
		}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
}

// unpacked is a folder with the files of a bundle.
func (s *scene) unpacked(bundle string) string {
	s.t.Helper()
	data, err := os.ReadFile(bundle)
	if err != nil {
		s.t.Fatal(err)
	}
	dir := s.t.TempDir()
	r := tar.NewReader(bytes.NewReader(data))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return dir
		}
		if err != nil {
			s.t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		path := filepath.Join(dir, filepath.FromSlash(h.Name))
		if err := errors.Join(err, os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, content, 0o600)); err != nil {
			s.t.Fatal(err)
		}
	}
}

// block is a command of the README.
var block = regexp.MustCompile("(?s)```sh\n(.*?)```")

// prove runs all that the README in the folder tells, in one shell, with nothing
// but common tools.
func prove(t *testing.T, dir string) (string, error) {
	t.Helper()
	readme, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	for _, m := range block.FindAllSubmatch(readme, -1) {
		fmt.Fprintf(&script, "%s\n", m[1])
	}
	if script.Len() < 1000 {
		t.Fatalf("the README has few commands:\n%s", script.String())
	}
	cmd := exec.CommandContext(t.Context(), "bash")
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(script.String())
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "TMPDIR=" + t.TempDir()}
	out, err := cmd.CombinedOutput()
	return string(out), err
}
