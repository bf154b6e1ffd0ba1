package cmd_test

import (
	"bytes"
	"crypto/ed25519"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"fleetlog/events"
	"fleetlog/internal/deployment"
	"fleetlog/internal/fleetsim"
	"fleetlog/producers/producertest"

	"github.com/nats-io/nats.go"
)

const (
	restarts = 11
	shortLog = 10_000    // ticks
	longLog  = 1_000_000 // ticks
)

// BenchmarkReducerRestart starts a reducer again and again on a short and on a
// long log, in turns, and prints how long it takes until it has caught up, the
// most memory that it holds, and what the long log costs beside the short one.
func BenchmarkReducerRestart(b *testing.B) {
	s := newRestarts(b)
	logs := []*longRun{s.write("short", shortLog), s.write("long", longLog)}
	for b.Loop() {
		for _, l := range logs {
			l.restart() // the first start, from the beginning of the log
			b.Logf("%s: %d events, first start %s, peak %d KiB", l.fleet, l.events, l.took[0].Round(time.Millisecond), l.peak[0]>>10)
			l.took, l.peak = nil, nil
		}
		for range restarts {
			for _, l := range logs {
				l.restart()
			}
		}
	}
	short, long := logs[0], logs[1]
	for _, l := range logs {
		b.Logf("%s: median restart %s (%s to %s), peak %d KiB", l.fleet, median(l.took), slices.Min(l.took), slices.Max(l.took), median(l.peak)>>10)
	}
	b.ReportMetric(float64(median(long.took))/float64(median(short.took)), "time-ratio")
	b.ReportMetric(float64(median(long.peak))/float64(median(short.peak)), "memory-ratio")
}

func median[T int64 | time.Duration](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// restartScene is a broker that holds logs, and a reducer's surroundings.
type restartScene struct {
	b         *testing.B
	dir, url  string
	trustFile string
	signer    *fleetsim.Signer
}

// longRun is a log, and a reducer that has read it.
type longRun struct {
	*restartScene
	fleet  string
	events int
	took   []time.Duration
	peak   []int64
}

func newRestarts(b *testing.B) *restartScene {
	s := &restartScene{b: b, dir: b.TempDir(), signer: fleetsim.NewEd25519Signer(1)}
	s.trustFile = filepath.Join(s.dir, "trust.json")
	s.must(os.WriteFile(s.trustFile, s.signer.Trust(), 0o600))
	server := s.start("embedded-nats", "run", "--listen", "127.0.0.1:-1", "--store-dir", filepath.Join(s.dir, "store"), "--no-sync")
	ready, err := server.Await(b.Context(), regexp.MustCompile(`msg=ready .*url="([^"]+)"`))
	s.must(err)
	s.url = ready[1]
	return s
}

func (s *restartScene) must(err error) {
	s.b.Helper()
	if err != nil {
		s.b.Fatal(err)
	}
}

func (s *restartScene) start(name string, args ...string) *deployment.Process {
	s.b.Helper()
	p, err := deployment.Start(s.b.Context(), binary(name), args)
	s.must(err)
	s.b.Cleanup(func() { <-p.Done() })
	return p
}

// write makes the log of a fleet with a release an hour, up to now.
func (s *restartScene) write(name string, total int) *longRun {
	s.b.Helper()
	fleetName, err := events.ParseFleetName(name)
	s.must(err)
	nc, err := nats.Connect(s.url)
	s.must(err)
	defer nc.Close()
	log, err := producertest.Quiet{
		Fleet: fleetName, Key: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32)), Signer: s.signer,
		Begin: time.Now().Add(-time.Duration(total) * 30 * time.Second), Ticks: total, Release: 120, Hosts: 12, Channels: 4,
	}.Write(s.b.Context(), nc)
	s.must(err)
	end, err := log.LastSequence(s.b.Context())
	s.must(err)
	return &longRun{restartScene: s, fleet: name, events: int(end)}
}

var caughtUp = regexp.MustCompile(`msg="caught up with the log"`)

// restart measures one life of a reducer, from its start until it has caught
// up.
func (l *longRun) restart() {
	l.b.Helper()
	began := time.Now()
	reducer := l.start("reducer", "run", "--fleet", l.fleet, "--nats-url", l.url, "--trust-file", l.trustFile,
		"--state-dir", filepath.Join(l.dir, l.fleet), "--trust-first-use")
	_, err := reducer.Await(l.b.Context(), caughtUp)
	l.took = append(l.took, time.Since(began))
	l.must(err)
	peak, err := reducer.ResidentPeak()
	l.must(err)
	l.peak = append(l.peak, peak)
	l.must(reducer.Stop())
}
