package cmd_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"fleetlog/events"
	"fleetlog/internal/broker"
	"fleetlog/internal/broker/brokertest"
	"fleetlog/internal/deployment"
	"fleetlog/internal/fleetsim"
	"fleetlog/producers/producertest"

	"github.com/nats-io/nats.go"
)

// supervisor listens where systemd would, and keeps what it is told.
type supervisor struct {
	path string

	mu   sync.Mutex
	told []string
}

// supervise listens until the test ends.
func supervise(t *testing.T) *supervisor {
	t.Helper()
	dir, err := os.MkdirTemp("", "notify") // the test's own is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	s := &supervisor{path: filepath.Join(dir, "socket")}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: s.path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	var listening sync.WaitGroup
	listening.Go(func() { s.listen(conn) })
	t.Cleanup(func() {
		_ = conn.Close()
		listening.Wait()
		_ = os.RemoveAll(dir)
	})
	return s
}

func (s *supervisor) listen(conn *net.UnixConn) {
	buffer := make([]byte, 1<<16)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return
		}
		s.mu.Lock()
		s.told = append(s.told, string(buffer[:n]))
		s.mu.Unlock()
	}
}

// environment lets a program find it, and expect a watchdog that bites after the
// time given.
func (s *supervisor) environment(watchdog time.Duration) []string {
	return []string{"NOTIFY_SOCKET=" + s.path, fmt.Sprintf("WATCHDOG_USEC=%d", watchdog.Microseconds())}
}

// await waits until it is told what the pattern matches, and returns all that it
// was told up to then.
func (s *supervisor) await(ctx context.Context, t *testing.T, pattern string) (told []string) {
	t.Helper()
	matches := regexp.MustCompile(pattern).MatchString
	wait(ctx, t, "the supervisor to be told "+pattern, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		at := slices.IndexFunc(s.told, matches)
		told = slices.Clone(s.told[:at+1])
		return at >= 0
	})
	return told
}

// storedTicks is how many ticks the log has whose reading takes a while; some of
// them are statements of several events.
var storedTicks = flag.Int("stored-ticks", 19_000, "ticks in the log that a reducer without state folds; 95000 make 100,000 events")

// TestReducerWithoutStateStaysStarting: a reducer whose state was deleted folds a
// long log anew. Its supervisor sees it move, is asked for more time
// at every step, and hears that it is ready when it holds the set of before.
func TestReducerWithoutStateStaysStarting(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), *faultPatience)
	defer cancel()
	l := newStoredLog(t)
	_, before := l.run(ctx)
	if err := os.RemoveAll(l.stateDir); err != nil {
		t.Fatal(err)
	}
	told, after := l.run(ctx)
	if after != before || after == "" {
		t.Errorf("set %s, want %s", after, before)
	}
	steps := make(map[string]bool)
	step := regexp.MustCompile(`^STATUS=replaying (\d+ %), ([\d,]+) of ([\d,]+) messages\nEXTEND_TIMEOUT_USEC=60000000$`)
	for _, message := range told[:len(told)-1] {
		match := step.FindStringSubmatch(message)
		switch {
		case match != nil && match[3] == l.events:
			steps[match[1]] = true
		case message != "WATCHDOG=1" && message != "STATUS=not ready: has not caught up with the log yet\nEXTEND_TIMEOUT_USEC=60000000":
			t.Errorf("told %q before it was ready", message)
		}
	}
	if len(steps) < 90 { // a tick may take it over one
		t.Errorf("the status has moved only through %d percent of %q", len(steps), told)
	}
}

// storedLog is a log, and a reducer's surroundings.
type storedLog struct {
	*testing.T
	url, trustFile, stateDir string
	events                   string // how many, as people write it
}

func newStoredLog(t *testing.T) *storedLog {
	t.Helper()
	dir := t.TempDir()
	b := brokertest.Start(t, func(c *broker.Config) { c.NoSync = true })
	signer := fleetsim.NewEd25519Signer(1)
	l := &storedLog{t, b.ClientURL(), filepath.Join(dir, "trust.json"), filepath.Join(dir, "state"), ""}
	if err := os.WriteFile(l.trustFile, signer.Trust(), 0o600); err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(l.url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	name, err := events.ParseFleetName(fleet)
	if err != nil {
		t.Fatal(err)
	}
	log, err := producertest.Quiet{
		Fleet: name, Key: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32)), Signer: signer,
		Begin: time.Now().Add(-time.Duration(*storedTicks) * 30 * time.Second), Ticks: *storedTicks, Release: 2000, Hosts: 8, Channels: 6,
	}.Write(t.Context(), nc)
	if err != nil {
		t.Fatal(err)
	}
	end, err := log.LastSequence(t.Context())
	if err != nil || end < 1000 || end >= 1_000_000 {
		t.Fatalf("log ends at %d, %v", end, err)
	}
	l.events = fmt.Sprintf("%d,%03d", end/1000, end%1000)
	return l
}

// run runs a reducer until it stands at the log's end, and returns what it has
// told up to being ready, and the digest of its set.
func (l *storedLog) run(ctx context.Context) (told []string, digest string) {
	l.Helper()
	s := supervise(l.T)
	p, err := deployment.Start(ctx, binary("reducer"), []string{
		"run", "--fleet", fleet, "--nats-url", l.url, "--trust-file", l.trustFile, "--state-dir", l.stateDir, "--trust-first-use",
	}, s.environment(time.Minute)...)
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { <-p.Done() })
	told = s.await(ctx, l.T, `^READY=1$`)
	s.await(ctx, l.T, fmt.Sprintf(`^STATUS=tick %d, 6 channels$`, *storedTicks))
	if err := p.Stop(); err != nil {
		l.Fatal(err)
	}
	s.await(ctx, l.T, `^STOPPING=1$`)
	checkpoint, err := os.ReadFile(filepath.Join(l.stateDir, "checkpoint.json"))
	if err != nil {
		l.Fatal(err)
	}
	match := regexp.MustCompile(`"digest":\s*"([0-9a-f]{64})"`).FindStringSubmatch(string(checkpoint))
	return told, strings.Join(match[min(len(match), 1):], "")
}
