package cmd_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"testing/fstest"
	"time"

	"fleetlog/consumers/fold"
	"fleetlog/internal/deployment"
	"fleetlog/internal/fleetsim"
	"fleetlog/manifest"
)

// daemon is one of our programs at work, whose failures are the test's.
type daemon struct {
	*deployment.Process
	t *testing.T
}

// start runs a program until it is ended, at the latest with the test.
func (s *scene) start(name string, args ...string) daemon {
	s.t.Helper()
	p, err := deployment.Start(s.t.Context(), binary(name), args)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { <-p.Done() })
	return daemon{p, s.t}
}

// kill ends the program at once. That it has ended by itself before is an
// error.
func (d daemon) kill() {
	d.t.Helper()
	if err := d.Kill(); err != nil {
		d.t.Fatalf("%v\n%s", err, d.Said())
	}
}

// stop asks the program to end, which it must do with success.
func (d daemon) stop() {
	d.t.Helper()
	if err := d.Stop(); err != nil {
		d.t.Fatalf("%v\n%s", err, d.Said())
	}
}

// scene is a broker, and a poller over a release directory that is replaced
// by a newer one whenever a tick has come.
type scene struct {
	t         *testing.T
	dir       string
	url       string
	trustFile string
	rules     fold.Rules
	poller    daemon
	signer    *fleetsim.Signer
	began     time.Time
	again     int // how often one manifest was signed anew
	published int
}

func newScene(ctx context.Context, t *testing.T) *scene {
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
	server := s.start("embedded-nats", "run", "--listen", "127.0.0.1:-1", "--store-dir", filepath.Join(s.dir, "store"), "--no-sync")
	ready, err := server.Await(ctx, regexp.MustCompile(`msg=ready .*url="([^"]+)"`))
	if err != nil {
		t.Fatal(err)
	}
	s.url = ready[1]
	if err := s.publish(); err != nil {
		t.Fatal(err)
	}
	// The least interval that the poller takes: no tick may be missed for
	// having been slow, or the set would change less often.
	s.poller = s.start("poller", "run", "--fleet", fleet, "--nats-url", s.url,
		"--release-dir", filepath.Join(s.dir, "released"), "--trust-file", s.trustFile,
		"--writer-key-file", filepath.Join(s.dir, "writer.key"), "--provision",
		"--interval", "100ms", "--tick-timeout", "30s", "--log-level", "error")
	return s
}

// publish signs the next release, which differs from the one before in every
// artifact and in the number of its channels, and puts it in place in one step.
func (s *scene) publish() error {
	s.published++
	n := s.published
	release, err := fleetsim.Fleet{
		Hosts: 6, Channels: 1 + n%3, Idle: 1, Closures: n, Commit: fmt.Sprintf("%040x", n),
		SignedAt: s.began.Add(time.Duration(n) * time.Millisecond),
	}.Sign(s.signer)
	if err != nil {
		return err
	}
	return s.serve(fmt.Sprintf("release-%d", n), release)
}

var signedAt = regexp.MustCompile(`"signedAt":"[^"]*"`)

// publishOne publishes the last release with one manifest signed anew, and nothing
// else changed.
func (s *scene) publishOne() error {
	s.again++
	release := fleetsim.Release{}
	dir := filepath.Join(s.dir, fmt.Sprintf("release-%d", s.published))
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, name))
		release[name] = &fstest.MapFile{Data: data, Mode: 0o644}
		return err
	})
	if err != nil {
		return err
	}
	name := fmt.Sprintf("rollouts/%s@%040x.json", fleetsim.ChannelName(0), s.published)
	at := s.began.Add(time.Duration(s.published)*time.Millisecond + time.Duration(s.again)*time.Nanosecond)
	signed, err := s.signer.Sign(signedAt.ReplaceAll(release[name].Data, fmt.Appendf(nil, `"signedAt":%q`, at.UTC().Format(time.RFC3339Nano))))
	if err != nil {
		return err
	}
	release[name].Data, release[name+".sig"].Data = signed.Body, signed.Signature
	return s.serve(fmt.Sprintf("release-%d-%d", s.published, s.again), release)
}

// serve makes the release the one that is served.
func (s *scene) serve(name string, release fleetsim.Release) error {
	next := filepath.Join(s.dir, "next")
	return errors.Join(
		os.CopyFS(filepath.Join(s.dir, name), release),
		os.Symlink(name, next),
		os.Rename(next, filepath.Join(s.dir, "released")), // without a sync, which could hold up the flow
	)
}

// wait looks until what is waited for holds.
func wait(ctx context.Context, t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("wait for %s: %v", what, context.Cause(ctx))
		case <-tick.C:
		}
	}
}
