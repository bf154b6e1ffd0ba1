package fleetlog_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"fleetlog/consumers/web"
	"fleetlog/internal/broker/brokertest"
	"fleetlog/internal/fleetsim"
	"fleetlog/internal/process"
	"fleetlog/manifest"
	"fleetlog/producers"

	"github.com/google/go-cmp/cmp"
)

// serveSet serves the scene's reducer over mutual TLS, as its command does.
func (s *scene) serveSet() (url string) {
	s.t.Helper()
	dir := s.t.TempDir()
	s.must(s.pki.WriteServer(dir))
	flags := process.HTTPFlags{
		Address: "127.0.0.1:0", Cert: filepath.Join(dir, "server.pem"), Key: filepath.Join(dir, "server.key"), ClientCA: filepath.Join(dir, "ca.pem"),
	}
	listener, err := flags.Listen(s.t.Context(), s.config.Log)
	s.must(err)
	server := &web.Server{Source: s.reducer, Policy: manifest.Policy{Window: window}, Clock: s.clock, Ready: func() error { return nil }, Log: s.reducer.Followed, KeepAlive: 10 * time.Millisecond}
	ctx, cancel := context.WithCancel(s.t.Context())
	served := make(chan error, 1)
	go func() { served <- process.Serve(ctx, listener, server.Handler(http.NotFoundHandler()), s.config.Log) }()
	s.t.Cleanup(func() {
		cancel()
		s.must(<-served)
	})
	return "https://" + listener.Addr().String()
}

// reader polls one server again and again, as a poller does, and counts what it
// was told is not modified.
type reader struct {
	poll        *producers.Poll
	memory      producers.Memory
	next        http.RoundTripper
	notModified atomic.Int64
}

func (s *scene) newReader(url string) *reader {
	s.t.Helper()
	transport, err := s.files.Transport(func(err error) { s.t.Errorf("TLS files: %v", err) })
	s.must(err)
	r := &reader{next: transport}
	source, err := producers.NewControlPlane(url, producers.HTTP{Client: &http.Client{Transport: r}, Timeout: requestTimeout, Clock: s.clock})
	s.must(err)
	r.poll = &producers.Poll{Source: source, Window: window, Trust: s.readTrust}
	return r
}

func (r *reader) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := r.next.RoundTrip(request)
	if err == nil && response.StatusCode == http.StatusNotModified {
		r.notModified.Add(1)
	}
	return response, err
}

// read polls, and describes the set to its last byte.
func (r *reader) read(s *scene) []string {
	s.t.Helper()
	result := r.poll.Tick(s.t.Context(), s.clock(), r.memory)
	r.memory = result.Memory
	set := r.memory.Set
	if set == nil {
		return []string{fmt.Sprintf("none, outcome %s", result.Outcome())}
	}
	all := []string{fmt.Sprintf("set %s without %q, outcome %s", set.Digest(), r.memory.Without, result.Outcome()), bytesOf(set.Fleet().Received())}
	for _, rollout := range set.Rollouts() {
		all = append(all, set.ID(rollout).String()+" "+bytesOf(rollout.Received()))
	}
	return all
}

func bytesOf(r manifest.Received) string {
	return fmt.Sprintf("%s, signed %x", manifest.Sum(r.Body), r.Signature)
}

// TestPollerReadsFromReducer: a poller whose control plane is a reducer builds
// the set of one that polls the control plane, byte for byte, whatever is
// published: other commits and ids, what was signed anew, and what is not ready.
func TestPollerReadsFromReducer(t *testing.T) {
	s := newScene(t, brokertest.Start(t), "prod")
	there, here := s.newReader(s.plane.URL()), s.newReader(s.serveSet())
	if got, want := here.read(s), []string{"none, outcome skipped"}; !cmp.Equal(got, want) {
		t.Errorf("before the first tick: %q", got)
	}
	p256, err := fleetsim.NewP256Signer(1)
	s.must(err)
	s.setTrust(bothTrusted(t, p256))
	next := s.fleet
	for _, step := range []struct {
		name   string
		change func()
		signer *fleetsim.Signer
	}{
		{"first", func() {}, p256},
		{"signed anew", func() {}, p256},
		{"later, by another key", func() { next.SignedAt = next.SignedAt.Add(1e9) }, signerA},
		{"another commit", func() { next.SignedAt, next.Commit, next.Closures = next.SignedAt.Add(1e9), "bbbb", 1 }, p256},
		{"channels gone", func() { next.SignedAt, next.Channels, next.Idle = next.SignedAt.Add(1e9), 1, 0 }, signerA},
		{"content hashes", func() { next.SignedAt, next.Older, next.Channels = next.SignedAt.Add(1e9), true, 3 }, p256},
	} {
		step.change()
		r, err := next.Sign(step.signer)
		s.must(err)
		s.plane.SetRelease(r)
		s.held(s.tick())
		want := there.read(s)
		if diff := cmp.Diff(want, here.read(s)); diff != "" || there.memory.Set == nil {
			t.Errorf("%s (-from the control plane +from the reducer):\n%s", step.name, diff)
		}
		before := here.notModified.Load()
		if diff := cmp.Diff(want, here.read(s)); diff != "" || here.notModified.Load()-before != int64(2*len(want)-2) {
			t.Errorf("%s, once more: %d answers not modified, want %d\n%s", step.name, here.notModified.Load()-before, 2*len(want)-2, diff)
		}
	}
}

// bothTrusted is a trust file that names signerA and another one.
func bothTrusted(t *testing.T, other *fleetsim.Signer) []byte {
	t.Helper()
	key := bytes.TrimPrefix(other.Trust(), []byte(`{"ciReleaseKey":{"current":`))
	end := bytes.IndexByte(key, '}')
	if end < 0 {
		t.Fatal("trust file is not as it was")
	}
	return bytes.Replace(signerA.Trust(), []byte(`"ciReleaseKey":{`), []byte(`"ciReleaseKey":{"previous":`+string(key[:end+1])+`,`), 1)
}
