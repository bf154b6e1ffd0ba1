package nix

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// window is longer than the release is old, in seconds.
const window = 100 * 365 * 24 * 3600

// checkHost runs the commands of a host with everything on it, in the order of
// the units and with the credentials that they name, until the reducer serves what
// the poller has read. What is below /var/lib there is below a folder here.
func checkHost(t *testing.T, programs string) {
	h := &running{t: t, dir: t.TempDir()}
	release := h.unpack("releases/medium-composite")
	ports := freePorts(t, 3)
	configuration := fmt.Sprintf(`{ services.fleetlog = {
  fleet = "prod"; trustFile = "%[1]s/trust.json";
  nats = { enable = true; listen = "%[2]s"; http.listen = "%[3]s"; };
  poller = { enable = true; releaseDir = "%[1]s/releases"; freshnessWindowSecs = %[5]d; pollInterval = 1; };
  reducer = { enable = true; freshnessWindowSecs = %[5]d; http.listen = "%[4]s"; };
}; }`, release, ports[0], ports[1], ports[2], window)
	var got evaluated
	evaluate(t, host(t, configuration, fmt.Sprintf("package = %q;", programs)), &got)

	h.once(got.Services["fleetlog-init"])
	h.start(got.Services["fleetlog-nats"])
	h.waitFor("http://" + ports[1] + "/readyz")
	h.once(got.Services["fleetlog-provision"])
	h.once(got.Services["fleetlog-provision"]) // as at the next boot
	h.start(got.Services["fleetlog-poller"])
	h.start(got.Services["fleetlog-reducer"])
	served := h.waitFor("http://" + ports[2] + "/v1/fleet.resolved")
	if want := read(t, release+"/releases/fleet.resolved.json"); string(served) != want {
		t.Errorf("the reducer serves\n%s\nwant\n%s", served, want)
	}
	if shown := h.show(filepath.Join(programs, "bin/fleetlog"), release); !strings.Contains(shown, "stable") {
		t.Errorf("fleetlog shows\n%s", shown)
	}
}

type running struct {
	t   *testing.T
	dir string
}

func (h *running) unpack(folder string) string {
	h.t.Helper()
	archive, err := zip.OpenReader(filepath.Join(root, "internal/corpus/corpus.zip"))
	if err != nil {
		h.t.Fatal(err)
	}
	defer archive.Close()
	release := filepath.Join(h.dir, "release")
	from, err := fs.Sub(archive, folder)
	if err := errors.Join(err, os.CopyFS(release, from)); err != nil {
		h.t.Fatal(err)
	}
	return release
}

// command is what systemd would execute.
func (h *running) command(s service) *exec.Cmd {
	h.t.Helper()
	here := func(path string) string { return strings.ReplaceAll(path, "/var/lib/", h.dir+"/") }
	credentials := h.t.TempDir()
	list, _ := s.ServiceConfig["LoadCredential"].([]any)
	for _, each := range list {
		name, file, _ := strings.Cut(each.(string), ":")
		if err := os.WriteFile(filepath.Join(credentials, name), []byte(read(h.t, here(file))), 0o440); err != nil {
			h.t.Fatal(err)
		}
	}
	words, err := split(here(s.ServiceConfig["ExecStart"].(string)))
	if err != nil {
		h.t.Fatal(err)
	}
	for i := range words {
		words[i] = strings.ReplaceAll(words[i], "%d", credentials)
	}
	cmd := exec.CommandContext(h.t.Context(), words[0], words[1:]...)
	cmd.Env = []string{"CREDENTIALS_DIRECTORY=" + credentials}
	return cmd
}

// show runs the command of docs/nixos.md with which root looks at the log.
func (h *running) show(program, release string) string {
	h.t.Helper()
	document := read(h.t, root+"/docs/nixos.md")
	command := regexp.MustCompile(`(?s)\nfleetlog (show .*?)\n` + "```").FindStringSubmatch(document)
	if command == nil {
		h.t.Fatal("docs/nixos.md does not show the log")
	}
	line := strings.NewReplacer("\\\n", " ", "/var/lib", h.dir, "/etc/nixfleet/agent", release).Replace(command[1])
	cmd := exec.CommandContext(h.t.Context(), program, strings.Fields(line)...)
	cmd.Env = []string{"HOME=" + h.dir, fmt.Sprintf("FLEETLOG_FRESHNESS_WINDOW_SECS=%d", window)}
	out, err := cmd.CombinedOutput()
	if err != nil {
		h.t.Errorf("%s: %v\n%s", cmd, err, out)
	}
	return string(out)
}

func (h *running) once(s service) {
	h.t.Helper()
	cmd := h.command(s)
	if out, err := cmd.CombinedOutput(); err != nil {
		h.t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
}

// start starts a daemon. The end of the test stops it, as systemd does; it must
// then exit with 0.
func (h *running) start(s service) {
	h.t.Helper()
	cmd := h.command(s)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &out, time.Minute
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		if err := cmd.Wait(); !errors.Is(err, context.Canceled) || h.t.Failed() {
			h.t.Errorf("%s: %v\n%s", cmd, err, out.String())
		}
	})
}

// waitFor asks until it gets an answer that is one.
func (h *running) waitFor(url string) []byte {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), time.Minute)
	defer cancel()
	for tick := time.NewTicker(50 * time.Millisecond); ; {
		if body, err := get(ctx, url); err == nil {
			tick.Stop()
			return body
		} else if ctx.Err() != nil {
			h.t.Fatalf("%s: %v", url, err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

func get(ctx context.Context, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var body bytes.Buffer
	if _, err = body.ReadFrom(response.Body); err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %s: %s", response.Status, body.String())
	}
	return body.Bytes(), err
}

// freePorts are loopback addresses that nobody listens on.
func freePorts(t *testing.T, n int) []string {
	t.Helper()
	var addresses []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		addresses = append(addresses, l.Addr().String())
	}
	return addresses
}
