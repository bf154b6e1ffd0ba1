package cmd_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"fleetlog/consumers/check"
	"fleetlog/consumers/state"
	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/deployment"
	"fleetlog/internal/fleetsim"

	"github.com/nats-io/nats.go"
)

// document runs docs/cluster.md in an empty directory, with ports of this machine
// that are free instead of those that it names.
type document struct {
	t         *testing.T
	dir       string
	ports     map[string]string // free ones, by those of the document
	variables map[string]string
	running   map[string]daemon // by command line
	signer    *fleetsim.Signer
}

var (
	documentPorts = regexp.MustCompile(`127\.0\.0\.1:(\d+)`)
	configBlocks  = regexp.MustCompile("(?s)```conf\n# (\\S+)\n(.*?)```")
	shellBlocks   = regexp.MustCompile("(?s)```sh\n(.*?)```")
)

// TestClusterDocument makes the cluster and the site of the document by its own
// commands. Then the hub dies, as seen from the site: the site's log goes on, and
// when the hub is back its copy has every tick, and the reducer there the newest
// set.
func TestClusterDocument(t *testing.T) {
	// Not beside others: its servers elect leaders, which takes processors.
	ctx, cancel := context.WithTimeout(t.Context(), *faultPatience)
	defer cancel()
	d := &document{t: t, dir: t.TempDir(), ports: map[string]string{}, variables: map[string]string{}, running: map[string]daemon{}, signer: fleetsim.NewEd25519Signer(1)}
	d.release(1)
	if err := os.WriteFile(filepath.Join(d.dir, "trust.json"), d.signer.Trust(), 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../docs/cluster.md")
	if err != nil {
		t.Fatal(err)
	}
	d.run(ctx, d.relocate(ctx, string(text)))

	var hub []string
	for command, p := range d.running {
		if strings.Contains(command, "embedded-nats") && !strings.Contains(command, "site.conf") {
			hub = append(hub, command)
			p.kill()
		}
	}
	site := d.open(ctx, "nats://127.0.0.1:"+d.ports["4322"], "branch")
	before, err := site.Head(ctx)
	if err != nil {
		t.Fatal(err)
	}
	d.release(2)
	var changed events.Head
	wait(ctx, t, "ticks at the site while it is cut off", func() bool {
		changed, err = site.Head(ctx)
		return err == nil && changed.Number > before.Number+3 && changed.Completed.Set.Digest != before.Completed.Set.Digest
	})
	for _, command := range hub {
		d.start(command)
	}
	d.awaitServers(ctx)
	d.judge(ctx, d.open(ctx, d.variables["NATS"], "branch"), "branch-state", changed)
	other := d.open(ctx, d.variables["NATS"], "prod")
	wait(ctx, t, "the log of the hub to go on", func() bool {
		head, err := other.Head(ctx)
		return err == nil && head.Completed != nil && head.Completed.Set.Digest == changed.Completed.Set.Digest
	})
	d.judge(ctx, other, "state", changed)
}

// release puts the n-th release in place.
func (d *document) release(n int) {
	d.t.Helper()
	release, err := fleetsim.Fleet{Hosts: 4, Channels: 2, Closures: n, SignedAt: time.Now()}.Sign(d.signer)
	if err == nil {
		next, in := filepath.Join(d.dir, "next"), filepath.Join(d.dir, "release")
		err = errors.Join(os.CopyFS(next, release), os.RemoveAll(in), os.Rename(next, in))
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

// relocate gives every port of the document another one.
func (d *document) relocate(ctx context.Context, text string) string {
	d.t.Helper()
	for _, match := range documentPorts.FindAllStringSubmatch(text, -1) {
		d.ports[match[1]] = ""
	}
	free, err := deployment.FreePorts(ctx, len(d.ports))
	if err != nil {
		d.t.Fatal(err)
	}
	for port := range d.ports {
		_, d.ports[port], _ = strings.Cut(deployment.Address(free[0]), ":")
		free = free[1:]
	}
	return documentPorts.ReplaceAllStringFunc(text, func(s string) string {
		host, port, _ := strings.Cut(s, ":")
		return host + ":" + d.ports[port]
	})
}

// run writes the config files and runs every line of the shell blocks. Servers
// are ready before a command that is waited for.
func (d *document) run(ctx context.Context, text string) {
	d.t.Helper()
	for _, match := range configBlocks.FindAllStringSubmatch(text, -1) {
		if err := os.WriteFile(filepath.Join(d.dir, match[1]), []byte(match[2]), 0o600); err != nil {
			d.t.Fatal(err)
		}
	}
	for _, block := range shellBlocks.FindAllStringSubmatch(text, -1) {
		for _, line := range strings.Split(strings.TrimSpace(block[1]), "\n") {
			command, background := strings.CutSuffix(line, " &")
			name, value, set := strings.Cut(strings.TrimPrefix(line, "export "), "=")
			switch {
			case strings.HasPrefix(line, "export ") && set:
				d.variables[name] = value
			case background:
				d.start(command)
			default:
				d.awaitServers(ctx)
				d.do(ctx, command)
			}
		}
	}
}

func (d *document) awaitServers(ctx context.Context) {
	d.t.Helper()
	for command, p := range d.running {
		if strings.Contains(command, "embedded-nats") {
			if _, err := p.Await(ctx, regexp.MustCompile("msg=ready ")); err != nil {
				d.t.Fatal(err)
			}
		}
	}
}

func (d *document) words(command string) []string {
	return strings.Fields(os.Expand(command, func(name string) string { return d.variables[name] }))
}

// start runs a command in the background.
func (d *document) start(command string) {
	d.t.Helper()
	words := d.words(command)
	args := append([]string{"-c", `cd "$0" && exec "$@"`, d.dir, binary(words[0])}, words[1:]...)
	p, err := deployment.Start(d.t.Context(), "/bin/sh", args)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { <-p.Done() })
	d.running[command] = daemon{p, d.t}
}

func (d *document) do(ctx context.Context, command string) {
	d.t.Helper()
	words := d.words(command)
	cmd := exec.CommandContext(ctx, binary(words[0]), words[1:]...)
	cmd.Dir = d.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		d.t.Fatalf("%s: %v\n%s", command, err, out)
	}
}

func (d *document) open(ctx context.Context, url, name string) *eventlog.Log {
	d.t.Helper()
	nc, err := nats.Connect(url, nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true), nats.ReconnectWait(100*time.Millisecond))
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(nc.Close)
	fleet, err := events.ParseFleetName(name)
	if err != nil {
		d.t.Fatal(err)
	}
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for {
		log, err := eventlog.Open(ctx, nc, eventlog.Place{Fleet: fleet})
		if err == nil {
			return log
		}
		select {
		case <-ctx.Done():
			d.t.Fatalf("wait for log %s at %s: %v", name, url, err)
		case <-look.C:
		}
	}
}

// judge waits until the reducer has the set of the tick, and finds nothing broken
// in the log up to there, nor in the reducer's state.
func (d *document) judge(ctx context.Context, log *eventlog.Log, stateDir string, tick events.Head) {
	d.t.Helper()
	path := filepath.Join(d.dir, stateDir)
	wait(ctx, d.t, "the reducer of "+stateDir, func() bool {
		c, _, err := state.View(path).Read()
		return err == nil && c != nil && c.Set != nil && c.Set.Digest == tick.Completed.Set.Digest
	})
	report, err := check.Check(ctx, log, check.Options{StateDir: path})
	if err != nil {
		d.t.Fatal(err)
	}
	if report.Found > 0 || report.Noise > 0 || report.Ticks != report.Tick {
		d.t.Errorf("check of %s, %d ticks up to tick %d: %d broken, %d noise: %+v", stateDir, report.Ticks, report.Tick, report.Found, report.Noise, report.Findings)
	}
}
