package cmd_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"fleetlog/internal/deployment"
	"fleetlog/internal/fleetsim"
)

// host is a machine as docs/systemd.md sets it up, below a directory of the test.
type host struct {
	*testing.T
	dir   string
	moves *strings.Replacer // of addresses and paths of the example to those of the test
}

// TestUnitsStart starts the program of each shipped unit as systemd would: with the
// unit's environment, the example's environment file, and credentials with the mode
// that systemd gives them. Each becomes ready, and says how it stands.
func TestUnitsStart(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), *faultPatience)
	t.Cleanup(cancel) // behind those that stop the programs
	h := newHost(ctx, t)
	nats := h.unit("nats").start(ctx)
	nats.await(ctx, t, `^READY=1$`)
	nats.await(ctx, t, `^STATUS=healthy at nats://127\.0\.0\.1:\d+(\n|$)`)
	h.run(ctx, "fleetlog", "provision", "--fleet", fleet,
		"--context", h.path("private/nats/context/prod-admin.json"), "--writer-key-file", h.path("private/writer.key"))
	poller := h.unit("poller").start(ctx)
	poller.await(ctx, t, `^READY=1$`)
	poller.await(ctx, t, `^STATUS=tick 1 at \S+ verified: 2 of 2 channels verified$`)
	reducer := h.unit("reducer").start(ctx)
	reducer.await(ctx, t, `^READY=1$`)
	reducer.await(ctx, t, `^STATUS=tick \d+, 2 channels$`)
	for _, s := range []*supervisor{nats, poller, reducer} {
		s.await(ctx, t, `^WATCHDOG=1$`)
	}
}

func newHost(ctx context.Context, t *testing.T) *host {
	t.Helper()
	ports, err := deployment.FreePorts(ctx, 1)
	if err != nil {
		t.Fatal(err)
	}
	address := deployment.Address(ports[0])
	h := &host{T: t, dir: t.TempDir()}
	plane := h.controlPlane(ctx)
	h.moves = strings.NewReplacer("/etc/fleetlog", h.dir, "https://cp.example.com", plane, "127.0.0.1:4222", address,
		"127.0.0.1:9476", "127.0.0.1:0", "127.0.0.1:9477", "127.0.0.1:0", "127.0.0.1:9478", "127.0.0.1:0")
	h.run(ctx, "embedded-nats", "init", h.path("private"), "--fleet", fleet, "--listen", address)
	return h
}

func (h *host) path(name string) string { return filepath.Join(h.dir, name) }

// controlPlane serves a release, and leaves there what its client needs.
func (h *host) controlPlane(ctx context.Context) (url string) {
	h.Helper()
	signer, now := fleetsim.NewEd25519Signer(1), time.Now()
	release, err := fleetsim.Fleet{Hosts: 4, Channels: 2, Closures: 1, Commit: "aaaa", SignedAt: now}.Sign(signer)
	if err != nil {
		h.Fatal(err)
	}
	pki, err := fleetsim.NewPKI(now)
	if err != nil {
		h.Fatal(err)
	}
	tls := h.TempDir()
	files, err := pki.WriteClient(tls, now.Add(time.Hour))
	if err := errors.Join(err, os.Mkdir(h.path("private"), 0o700)); err != nil {
		h.Fatal(err)
	}
	err = errors.Join(os.Rename(files.CA, h.path("ca.pem")), os.Rename(files.Cert, h.path("client.pem")),
		os.Rename(files.Key, h.path("private/client.key")), os.WriteFile(h.path("trust.json"), signer.Trust(), 0o600))
	if err != nil {
		h.Fatal(err)
	}
	plane, err := fleetsim.Start(ctx, pki, 0)
	if err != nil {
		h.Fatal(err)
	}
	h.Cleanup(func() { _ = plane.Close() })
	plane.SetRelease(release)
	return plane.URL()
}

func (h *host) run(ctx context.Context, program string, args ...string) {
	h.Helper()
	if out, err := exec.CommandContext(ctx, binary(program), args...).CombinedOutput(); err != nil {
		h.Fatalf("%s %s: %v\n%s", program, args[0], err, out)
	}
}

// unit is a shipped unit on that machine.
type unit struct {
	*host
	name        string
	program     string
	environment []string
}

// valuesOf finds the values of a setting in a unit's text.
func valuesOf(text, name string) (values []string) {
	for _, match := range regexp.MustCompile(`(?m)^`+name+`=(.*)$`).FindAllStringSubmatch(text, -1) {
		values = append(values, match[1])
	}
	return values
}

func (h *host) unit(name string) *unit {
	h.Helper()
	text := h.shipped("fleetlog-" + name + ".service")
	credentials, states := h.credentials(name, text), h.TempDir()
	expand := strings.NewReplacer("%d", credentials, "%S", states)
	u := &unit{host: h, name: name, environment: []string{"CREDENTIALS_DIRECTORY=" + credentials}}
	for _, variable := range valuesOf(text, "Environment") {
		u.environment = append(u.environment, expand.Replace(variable))
	}
	if files := valuesOf(text, "EnvironmentFile"); len(files) != 1 || files[0] != h.path(name+".env") {
		h.Fatalf("%s has its environment from %v", name, files)
	}
	for line := range strings.Lines(h.shipped(name + ".env")) {
		if !strings.HasPrefix(line, "#") {
			u.environment = append(u.environment, strings.TrimSpace(line))
		}
	}
	started := valuesOf(text, "ExecStart")
	if len(started) != 1 || !strings.HasSuffix(started[0], " run") {
		h.Fatalf("%s starts %v", name, started)
	}
	u.program = binary(filepath.Base(strings.TrimSuffix(started[0], " run")))
	u.checkVariables()
	return u
}

// shipped is a file of deploy/systemd, moved to this machine.
func (h *host) shipped(name string) string {
	h.Helper()
	text, err := os.ReadFile(filepath.Join("../deploy/systemd", name))
	if err != nil {
		h.Fatal(err)
	}
	return h.moves.Replace(string(text))
}

// credentials copies what the unit loads. To a user that is not root systemd gives
// them by an access list, which shows as a right of the group.
func (h *host) credentials(name, text string) (dir string) {
	h.Helper()
	dir = h.path("credentials-" + name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		h.Fatal(err)
	}
	for _, credential := range valuesOf(text, "LoadCredential") {
		id, path, _ := strings.Cut(credential, ":")
		data, err := os.ReadFile(path)
		if err != nil {
			h.Fatal(err)
		}
		file := filepath.Join(dir, id)
		if err := errors.Join(os.WriteFile(file, data, 0o400), os.Chmod(file, 0o440)); err != nil {
			h.Fatal(err)
		}
	}
	return dir
}

// checkVariables demands that the program knows every variable.
func (u *unit) checkVariables() {
	u.Helper()
	help, err := exec.Command(u.program, "run", "--help").CombinedOutput()
	if err != nil {
		u.Fatalf("%v\n%s", err, help)
	}
	for _, variable := range u.environment {
		name, _, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, "NIXFLEET_") && !strings.Contains(string(help), "[$"+name+"]") {
			u.Errorf("%s: no flag has the variable %s", u.name, name)
		}
	}
}

// start runs the unit's program until the test ends.
func (u *unit) start(ctx context.Context) *supervisor {
	u.Helper()
	s := supervise(u.T)
	p, err := deployment.Start(ctx, u.program, []string{"run"}, append(u.environment, s.environment(time.Minute)...)...)
	if err != nil {
		u.Fatal(err)
	}
	u.Cleanup(func() {
		if err := p.Stop(); err != nil {
			u.Errorf("%s: %v", u.name, err)
		}
		if u.Failed() {
			fmt.Fprintf(u.Output(), "%s said:\n%s", u.name, p.Said())
		}
	})
	return s
}
