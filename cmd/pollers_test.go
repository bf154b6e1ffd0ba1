package cmd_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"fleetlog/consumers/check"
	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/deployment"
	"fleetlog/internal/fleetsim"
	"fleetlog/internal/process"

	"github.com/sirupsen/logrus"
)

// rivals are a broker and pollers that write one log, each with a key of its own.
type rivals struct {
	*scene
	log     *eventlog.Log
	writers []*events.Writer
}

const rivalPatience = 2 * time.Minute

// newRivals makes the log of so many writers.
func newRivals(ctx context.Context, t *testing.T, n int) *rivals {
	t.Helper()
	s := &scene{t: t, dir: t.TempDir(), signer: fleetsim.NewEd25519Signer(1), began: time.Now()}
	s.trustFile = filepath.Join(s.dir, "trust.json")
	if err := os.WriteFile(s.trustFile, s.signer.Trust(), 0o600); err != nil {
		t.Fatal(err)
	}
	server := s.start("embedded-nats", "run", "--listen", "127.0.0.1:-1", "--store-dir", filepath.Join(s.dir, "store"), "--no-sync")
	ready, err := server.Await(ctx, regexp.MustCompile(`msg=ready .*url="([^"]+)"`))
	if err != nil {
		t.Fatal(err)
	}
	s.url = ready[1]
	if err := s.publish(); err != nil {
		t.Fatal(err)
	}
	r := &rivals{scene: s}
	for i := range n {
		key, err := process.CreateWriterKey(r.key(i), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		w, err := events.NewWriter(key)
		if err != nil {
			t.Fatal(err)
		}
		r.writers = append(r.writers, w)
	}
	r.provision(ctx)
	return r
}

func (r *rivals) key(i int) string { return filepath.Join(r.dir, fmt.Sprintf("writer-%d.key", i)) }

// provision makes the log with the tool.
func (r *rivals) provision(ctx context.Context) {
	r.t.Helper()
	args := []string{"provision", "--fleet", fleet, "--nats-url", r.url, "--writer-key-file", r.key(0)}
	for _, w := range r.writers[1:] {
		args = append(args, "--writers", w.Public().String())
	}
	tool := r.start("fleetlog", args...)
	<-tool.Done()
	if tool.Err() != nil {
		r.t.Fatalf("%v\n%s", tool.Err(), tool.Said())
	}
	quiet := logrus.New()
	quiet.SetOutput(io.Discard)
	nc, err := eventlog.Connect(eventlog.Connection{Endpoint: eventlog.Endpoint{URL: r.url}, Name: "rivals", Log: quiet}, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(nc.Close)
	name, err := events.ParseFleetName(fleet)
	if err != nil {
		r.t.Fatal(err)
	}
	if r.log, err = eventlog.Open(ctx, nc, eventlog.Place{Fleet: name}); err != nil {
		r.t.Fatal(err)
	}
}

// args are the command line of a poller.
func (r *rivals) args(i int, tickTimeout time.Duration) []string {
	args := []string{
		"run", "--fleet", fleet, "--nats-url", r.url, "--release-dir", filepath.Join(r.dir, "released"),
		"--trust-file", r.trustFile, "--writer-key-file", r.key(i),
		"--interval", "300ms", "--tick-timeout", tickTimeout.String(),
	}
	for _, w := range r.writers {
		args = append(args, "--writer-key", w.Public().String())
	}
	return args
}

// ticks are all that the log has now, read from its beginning.
func (r *rivals) ticks(ctx context.Context) (all []*events.Tick) {
	r.t.Helper()
	head, err := r.log.Head(ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	for d, err := range r.log.Follow(ctx, r.log.Opening()) {
		if err != nil {
			r.t.Fatal(err)
		}
		if d.Tick != nil {
			all = append(all, d.Tick)
		}
		if d.Tick != nil && d.Tick.Head.Number >= head.Number {
			break
		}
	}
	return all
}

// writes waits for so many more ticks, the last one by the writer.
func (r *rivals) writes(ctx context.Context, i int, more uint64) {
	r.t.Helper()
	before, err := r.log.Head(ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	wait(ctx, r.t, fmt.Sprintf("ticks of poller %d", i), func() bool {
		head, err := r.log.Head(ctx)
		return err == nil && head.Number >= before.Number+more && r.writer(head.Completed) == i
	})
}

// takesOver waits for a tick by another writer than this one, and returns who
// wrote it.
func (r *rivals) takesOver(ctx context.Context, from int) (by int) {
	r.t.Helper()
	wait(ctx, r.t, fmt.Sprintf("a tick not by poller %d", from), func() bool {
		head, err := r.log.Head(ctx)
		if err != nil || head.Completed == nil {
			return false
		}
		by = r.writer(head.Completed)
		return by != from
	})
	return by
}

func (r *rivals) writer(t *events.TickCompleted) int {
	for i, w := range r.writers {
		if t.Writer == w.Public() {
			return i
		}
	}
	return -1
}

// judge demands an unbroken log and returns its ticks. The longest time between
// two of them is only told: this machine may be busy.
func (r *rivals) judge(ctx context.Context) []*events.Tick {
	r.t.Helper()
	all := r.ticks(ctx)
	report, err := check.Check(ctx, r.log, check.Options{})
	if err != nil {
		r.t.Fatal(err)
	}
	if report.Found > 0 || report.Noise > 0 {
		r.t.Errorf("check: %+v", report)
	}
	ids, longest := map[string]bool{}, time.Duration(0)
	for i, t := range all {
		if ids[t.Head.Tick] {
			r.t.Errorf("tick %s is in the log twice", t.Head.Tick)
		}
		ids[t.Head.Tick] = true
		if i > 0 {
			longest = max(longest, t.Head.Time.Time().Sub(all[i-1].Head.Time.Time()))
		}
	}
	r.t.Logf("%d ticks, at most %s apart", len(all), longest)
	return all
}

// TestPollersTakeOver kills, of three pollers, the one that writes, three times.
func TestPollersTakeOver(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), rivalPatience)
	defer cancel()
	r := newRivals(ctx, t, 3)
	working := map[int]daemon{}
	start := func(i int) {
		t.Helper()
		working[i] = r.start("poller", r.args(i, patience)...)
		if _, err := working[i].Await(ctx, regexp.MustCompile("channels verified|standing by")); err != nil {
			t.Fatal(err)
		}
	}
	for i := range r.writers {
		start(i)
	}
	for range 3 {
		active := r.takesOver(ctx, -1)
		working[active].kill()
		if err := r.publish(); err != nil {
			t.Fatal(err)
		}
		r.takesOver(ctx, active)
		start(active)
	}
	for _, p := range working {
		p.stop()
	}
	r.judge(ctx)
}

// TestDeposedPoller holds up a poller as SIGSTOP does, at several places of a
// tick that a new release makes a batch, until another poller has written, and
// longer than the tick may take or not. It writes nothing of what it had then, and
// stands by; and it takes over when the other one is killed.
func TestDeposedPoller(t *testing.T) {
	programs := t.TempDir()
	if err := deployment.Build(t.Context(), "..", programs, "failpoints"); err != nil {
		t.Fatal(err)
	}
	for _, place := range []string{"artifact", "tick", "commit"} {
		for _, tickTimeout := range []time.Duration{time.Minute, 3 * time.Second} {
			t.Run(fmt.Sprintf("%s within %s", place, tickTimeout), func(t *testing.T) {
				t.Parallel()
				deposePoller(t, filepath.Join(programs, "poller"), place, tickTimeout)
			})
		}
	}
}

func deposePoller(t *testing.T, program, place string, tickTimeout time.Duration) {
	ctx, cancel := context.WithTimeout(t.Context(), rivalPatience)
	defer cancel()
	r := newRivals(ctx, t, 2)
	other := r.start("poller", r.args(1, time.Minute)...)
	r.writes(ctx, 1, 1)
	if err := other.Pause(ctx); err != nil { // it cannot win against the one that starts
		t.Fatal(err)
	}
	plan := filepath.Join(r.dir, "plan")
	p, err := deployment.Start(ctx, program, r.args(0, tickTimeout), "FLEETLOG_FAILPOINTS="+plan)
	if err != nil {
		t.Fatal(err)
	}
	deposed := daemon{p, t}
	t.Cleanup(func() { <-p.Done() })
	r.writes(ctx, 0, 1)
	if err := other.Resume(); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Await(ctx, regexp.MustCompile("standing by")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(plan, []byte(place+" stop\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.publish(); err != nil {
		t.Fatal(err)
	}
	if err := deposed.AwaitPaused(ctx); err != nil {
		t.Fatalf("%v\n%s", err, deposed.Said())
	}
	stopped := time.Now()
	before := len(r.ticks(ctx))
	r.writes(ctx, 1, 1)
	if tickTimeout < patience {
		wait(ctx, t, "the tick's deadline", func() bool { return time.Since(stopped) > tickTimeout })
	}
	if err := deposed.Resume(); err != nil {
		t.Fatal(err)
	}
	if _, err := deposed.Await(ctx, regexp.MustCompile("standing by")); err != nil {
		t.Fatal(err)
	}
	r.writes(ctx, 1, 2)
	for _, tick := range r.judge(ctx)[before:] {
		if r.writer(tick.Completed) != 1 {
			t.Errorf("tick %d is by the poller that was deposed", tick.Head.Number)
		}
	}
	other.kill()
	r.writes(ctx, 0, 2)
	deposed.stop()
	r.judge(ctx)
}
