package cmd_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"fleetlog/consumers/fold"
	"fleetlog/internal/deployment"
	"fleetlog/internal/fleetsim"
	"fleetlog/manifest"
)

// failingWorld is a place for programs that were built with their failpoints,
// with a broker that comes back on the same port.
type failingWorld struct {
	survival
	whole    *testing.T // that the programs live as long as
	programs string
	noSync   bool
	broker   *failing
	poller   *failing
	reducer  *failing
}

// failing is a program at work that stops, dies or meets a broken disk where it
// is told to.
type failing struct {
	daemon
	plan  string // file that says where
	armed int    // how often
	stops int    // asked for so far
}

func newFailingWorld(ctx context.Context, t *testing.T, programs string, syncAlways bool) *failingWorld {
	s := &scene{t: t, dir: t.TempDir(), signer: fleetsim.NewEd25519Signer(1), began: time.Now()}
	s.trustFile = filepath.Join(s.dir, "trust.json")
	if err := os.WriteFile(s.trustFile, s.signer.Trust(), 0o600); err != nil {
		t.Fatal(err)
	}
	trust, err := manifest.ParseTrust(s.signer.Trust())
	if err != nil {
		t.Fatal(err)
	}
	s.rules = fold.Rules{Trust: trust, Window: 3600}
	if err := s.publish(); err != nil {
		t.Fatal(err)
	}
	w := &failingWorld{survival: survival{scene: s, stateDir: filepath.Join(s.dir, "state")}, whole: t, programs: programs, noSync: !syncAlways}
	w.startBroker(ctx)
	return w
}

func (w *failingWorld) launch(name string, args ...string) *failing {
	w.t.Helper()
	f := &failing{plan: filepath.Join(w.dir, name+".failpoints")}
	p, err := deployment.Start(w.whole.Context(), filepath.Join(w.programs, name), args, "FLEETLOG_FAILPOINTS="+f.plan)
	if err != nil {
		w.t.Fatal(err)
	}
	w.whole.Cleanup(func() { <-p.Done() })
	f.daemon = daemon{p, w.t}
	return f
}

func (w *failingWorld) startBroker(ctx context.Context) {
	w.t.Helper()
	listen := "127.0.0.1:-1"
	if w.url != "" {
		u, err := url.Parse(w.url)
		if err != nil {
			w.t.Fatal(err)
		}
		listen = u.Host
	}
	w.broker = w.launch("embedded-nats", "run", "--listen", listen, "--store-dir", filepath.Join(w.dir, "store"), fmt.Sprintf("--no-sync=%v", w.noSync))
	w.url = w.broker.await(ctx, `msg=ready .*url="([^"]+)"`)[1]
}

// startPoller comes back when the poller has recorded a tick.
func (w *failingWorld) startPoller(ctx context.Context) {
	w.t.Helper()
	w.poller = w.launch("poller", "run", "--fleet", fleet, "--nats-url", w.url,
		"--release-dir", filepath.Join(w.dir, "released"), "--trust-file", w.trustFile,
		"--writer-key-file", filepath.Join(w.dir, "writer.key"), "--provision",
		"--interval", "100ms", "--tick-timeout", "30s")
	w.poller.await(ctx, `seq=\d+ tick=\d+`)
}

func (w *failingWorld) launchReducer(more ...string) *failing {
	w.t.Helper()
	return w.launch("reducer", append([]string{"run", "--fleet", fleet, "--nats-url", w.url, "--state-dir", w.stateDir,
		"--trust-file", w.trustFile, "--trust-first-use"}, more...)...)
}

// startReducer comes back when the reducer has caught up.
func (w *failingWorld) startReducer(ctx context.Context) {
	w.t.Helper()
	w.reducer = w.launchReducer()
	w.reducer.await(ctx, `caught up with the log`)
}

func (f *failing) await(ctx context.Context, pattern string) []string {
	f.t.Helper()
	match, err := f.Await(ctx, regexp.MustCompile(pattern))
	if err != nil {
		f.t.Fatal(err)
	}
	return match
}

// arm says what happens at which point from now on: nothing, without a step.
func (f *failing) arm(steps string) {
	f.t.Helper()
	f.armed++
	next, text := f.plan+".next", fmt.Sprintf("# %d\n%s", f.armed, steps)
	if err := errors.Join(os.WriteFile(next, []byte(text), 0o600), os.Rename(next, f.plan)); err != nil {
		f.t.Fatal(err)
	}
}

// goOnTo lets a program that was held up come to the point, and holds it up there.
func (f *failing) goOnTo(ctx context.Context, point string, passage int) {
	f.t.Helper()
	f.arm(fmt.Sprintf("%s stop %d\n", point, passage))
	f.resume()
	f.awaitStop(ctx)
}

// awaitStop tells at which point the program has stopped.
func (f *failing) awaitStop(ctx context.Context) (point string) {
	f.t.Helper()
	wait(ctx, f.t, "a stop", func() bool { return f.stopped() })
	f.stops++
	if err := f.AwaitPaused(ctx); err != nil {
		f.t.Fatal(err)
	}
	said := f.Said()
	point, _, _ = strings.Cut(said[strings.LastIndex(said, saysStop)+len(saysStop):], "\n")
	return point
}

const saysStop = "failpoint: stop at "

// stopped tells whether the program has said that it stops, once more than that
// was awaited.
func (f *failing) stopped() bool { return strings.Count(f.Said(), saysStop) > f.stops }

func (f *failing) resume() {
	f.t.Helper()
	if err := f.Resume(); err != nil {
		f.t.Fatal(err)
	}
}

// awaitDeath waits until the program has killed itself.
func (f *failing) awaitDeath(ctx context.Context) {
	f.t.Helper()
	select {
	case <-f.Done():
	case <-ctx.Done():
		f.t.Fatalf("wait for a kill: %v\n%s", context.Cause(ctx), f.Said())
	}
	var exit *exec.ExitError
	if !errors.As(f.Err(), &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		f.t.Fatalf("program has ended by itself: %v\n%s", f.Err(), f.Said())
	}
	f.arm("")
}
