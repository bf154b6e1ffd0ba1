package cmd_test

import (
	"bytes"
	"crypto/ed25519"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/deployment"
	"fleetlog/internal/fleetsim"
	"fleetlog/producers/producertest"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
)

const (
	restarts     = 11
	shortLog     = 10_000    // events
	longLog      = 1_000_000 // events
	eventsAnHour = 120 + 6*5 // ticks, and six statements of four channels and a fleet
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
	writer, err := events.NewWriter(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32)))
	s.must(err)
	nc, err := nats.Connect(s.url)
	s.must(err)
	defer nc.Close()
	const interval = 30 * time.Second
	ticks := total * 120 / eventsAnHour
	begin := time.Now().Add(-time.Duration(ticks) * interval).Truncate(time.Second)
	log, err := eventlog.Provision(s.b.Context(), nc, eventlog.Place{Fleet: fleetName}, eventlog.Provisioning{
		Limits: eventlog.DefaultLimits(), Now: begin, Random: uuid.NewRandom,
		Opening: events.Opening{Writer: writer, Writers: []events.PublicKey{writer.Public()}},
	})
	s.must(err)
	s.must(producertest.Append(s.b.Context(), nc, log, producertest.Past{
		Writer: writer, Trust: s.signer.Trust(), Begin: begin, Interval: interval, Ticks: ticks, Window: 3600, Restate: 10 * time.Minute,
		Serve: func(number int, at time.Time) (fs.FS, error) {
			if number%120 != 1 {
				return nil, nil
			}
			return fleetsim.Fleet{Hosts: 12, Channels: 4, Closures: number, Commit: strconv.Itoa(number), SignedAt: at}.Sign(s.signer)
		},
	}))
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
