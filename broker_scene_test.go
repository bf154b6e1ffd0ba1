package fleetlog_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"fleetlog/consumers/check"
	"fleetlog/consumers/follower"
	"fleetlog/consumers/state"
	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/broker"
	"fleetlog/internal/broker/brokertest"
	"fleetlog/producers"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
)

// outage is a scene whose broker fails: poller and reducer connect as the
// commands do, and what they say is kept.
type outage struct {
	*scene
	at        string // where an administrator connects
	broker    *broker.Broker
	listen    string
	store     string
	change    func(*broker.Config)
	directory string // of the reducer
	poll      *told
	reads     *told
	pause     chan chan struct{} // of what ends a pause of the running poller
}

// told is what a process has logged and said of its readiness.
type told struct {
	logger *logrus.Logger
	lines  *logtest.Hook

	mu    sync.Mutex
	ready error
	heard bool
}

func newTold() *told {
	logger, hook := logtest.NewNullLogger()
	return &told{logger: logger, lines: hook}
}

func (t *told) setReady(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ready, t.heard = err, true
}

// isReady: it has said so, and not taken it back.
func (t *told) isReady() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.heard && t.ready == nil
}

// unready: it is not ready, for a reason with these words.
func (t *told) unready(words ...string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ready != nil && holdsAll(t.ready.Error(), words)
}

func (t *told) reason() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ready
}

// said: a line of that level and better holds the words.
func (t *told) said(level logrus.Level, words ...string) bool {
	return slices.ContainsFunc(t.lines.AllEntries(), func(e *logrus.Entry) bool {
		return e.Level <= level && holdsAll(text(e), words)
	})
}

// comesToSay is said, at the latest in a while: readiness is told before the line is
// written.
func (t *told) comesToSay(level logrus.Level, words ...string) bool {
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for over := time.After(20 * time.Second); ; {
		if t.said(level, words...) {
			return true
		}
		select {
		case <-look.C:
		case <-over:
			return false
		}
	}
}

func (t *told) all() string {
	var lines []string
	for _, e := range t.lines.AllEntries() {
		lines = append(lines, text(e))
	}
	return strings.Join(lines, "\n")
}

func text(e *logrus.Entry) string {
	return fmt.Sprint(e.Level, ": ", e.Message, " ", map[string]any(e.Data))
}

func holdsAll(s string, words []string) bool {
	return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(s, w) })
}

// newOutage starts a broker with a log. Nobody works with it yet.
func newOutage(t *testing.T, change func(*broker.Config)) *outage {
	t.Helper()
	if change == nil {
		change = func(*broker.Config) {}
	}
	b := brokertest.Start(t, change)
	o := newOutageAt(t, b.ClientURL())
	u, err := url.Parse(b.ClientURL())
	o.must(err)
	o.broker, o.change, o.listen = b, change, net.JoinHostPort(u.Hostname(), u.Port())
	o.store = strings.TrimSuffix(b.StoreDir(), "/jetstream")
	return o
}

// newOutageAt makes a log on a broker that runs; at is an administrator's URL.
func newOutageAt(t *testing.T, at string) *outage {
	t.Helper()
	o := &outage{
		scene: newStage(t, at, "prod"), at: at, directory: t.TempDir(),
		poll: newTold(), reads: newTold(), pause: make(chan chan struct{}),
	}
	o.config.Log, o.config.Ready, o.config.Interval, o.config.TickTimeout = o.poll.logger, o.poll.setReady, 20*time.Millisecond, 4*time.Second
	o.config.Alive = func() {
		select {
		case over := <-o.pause:
			<-over
		default:
		}
	}
	o.lines = o.poll.lines
	o.pollVia(at)
	return o
}

// pollVia lets the poller connect there.
func (o *outage) pollVia(at string) {
	o.t.Helper()
	nc := o.connect(at, o.poll.logger)
	o.config.Open = func(ctx context.Context) (*eventlog.Log, error) {
		return eventlog.Open(ctx, nc, eventlog.Place{Fleet: o.log.Fleet()})
	}
	o.poller = nil
}

func (o *outage) connect(at string, log logrus.FieldLogger) *nats.Conn {
	o.t.Helper()
	nc, err := eventlog.Connect(eventlog.Connection{Endpoint: eventlog.Endpoint{URL: at}, Name: "test", Patient: true, Log: log}, nil)
	o.must(err)
	o.t.Cleanup(nc.Close)
	return nc
}

// down stops the broker; up starts it again where it was.
func (o *outage) down() {
	o.t.Helper()
	o.must(o.broker.Close())
}

func (o *outage) up() {
	o.t.Helper()
	o.broker = brokertest.Start(o.t, func(c *broker.Config) {
		o.change(c)
		c.Listen, c.StoreDir = o.listen, o.store
	})
}

// betweenTicks acts while the running poller waits for the next point of its grid.
func (o *outage) betweenTicks(act func()) {
	over := make(chan struct{})
	o.pause <- over
	defer close(over)
	act()
}

// running is a poller or a reducer at work.
type running struct {
	cancel context.CancelFunc
	ended  chan error
}

func (o *outage) run(work func(context.Context) error) *running {
	ctx, cancel := context.WithCancel(context.WithoutCancel(o.t.Context()))
	r := &running{cancel, make(chan error, 1)}
	go func() { r.ended <- work(ctx) }()
	o.t.Cleanup(func() { _ = r.stop() })
	return r
}

func (r *running) stop() error {
	r.cancel()
	return r.wait()
}

// wait waits until it has ended.
func (r *running) wait() error {
	select {
	case err := <-r.ended:
		r.ended <- err
		return err
	case <-time.After(patience):
		return errors.New("it goes on")
	}
}

// patience bounds every wait.
const patience = time.Minute

// runPoller starts a poller that knows nothing of one before it.
func (o *outage) runPoller() *running {
	o.t.Helper()
	if o.config.Poll.Source == nil {
		o.config.Poll.Source = o.source()
	}
	return o.run(producers.NewPoller(o.config).Run)
}

// runReducer starts a reducer that connects there.
func (o *outage) runReducer(at string, change ...func(*follower.Config)) *running {
	o.t.Helper()
	nc := o.connect(at, o.reads.logger)
	directory, err := state.Open(o.directory)
	o.must(err)
	c := follower.Config{
		Open: func(ctx context.Context, writers []events.PublicKey) (*eventlog.Log, error) {
			return eventlog.Open(ctx, nc, eventlog.Place{Fleet: o.log.Fleet(), Writers: writers})
		},
		State: directory, Trust: o.readTrust, Window: window, Clock: o.clock, CheckEvery: 100 * time.Millisecond,
		Log: o.reads.logger, Ready: o.reads.setReady,
	}
	for _, f := range change {
		f(&c)
	}
	o.reducer, err = follower.NewReducer(c)
	o.must(err)
	return o.run(func(ctx context.Context) error { return errors.Join(o.reducer.Run(ctx), directory.Close()) })
}

// until waits for a condition.
func (o *outage) until(what string, holds func() bool) {
	o.t.Helper()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	deadline := time.After(patience)
	for !holds() {
		select {
		case <-look.C:
		case <-deadline:
			o.t.Fatalf("never happened: %s\npoller, not ready because of %v:\n%s\nreducer, not ready because of %v:\n%s",
				what, o.poll.reason(), o.poll.all(), o.reads.reason(), o.reads.all())
		}
	}
}

// served is what describeSet says of what the control plane serves.
func (o *outage) served() string { return holding(o.fleet, c0, c1) }

// renew serves a newer release.
func (o *outage) renew(commit string) {
	o.t.Helper()
	f := o.fleet
	f.Commit, f.SignedAt = commit, o.clock().Add(-time.Second).Truncate(time.Millisecond)
	o.publish(f)
}

// reaches waits until the reducer is ready with what the control plane serves.
func (o *outage) reaches() {
	o.t.Helper()
	o.until("ready with what is served", func() bool {
		current, position := o.reducer.Current()
		return o.reads.isReady() && describeSet(current.Set) == o.served() && !position.Diverged
	})
}

// head is the last tick of the log.
func (o *outage) head() events.Head {
	o.t.Helper()
	head, err := o.log.Head(o.t.Context())
	o.must(err)
	return head
}

// grows waits until the log has so many more ticks.
func (o *outage) grows(ticks uint64) {
	o.t.Helper()
	before := o.head().Number
	o.until("more ticks", func() bool { return o.head().Number >= before+ticks })
}

// checked demands what the checker finds in the log, and with it in the reducer's
// directory, once nobody works on them any more.
func (o *outage) checked(noise uint64, want ...check.Code) {
	o.t.Helper()
	log, err := eventlog.Open(o.t.Context(), o.connect(o.at, newTold().logger), eventlog.Place{Fleet: o.log.Fleet()})
	o.must(err)
	options := check.Options{}
	if o.reducer != nil {
		options.StateDir = o.directory
	}
	report, err := check.Check(o.t.Context(), log, options)
	o.must(err)
	var got []check.Code
	for _, f := range report.Findings {
		got = append(got, f.Code)
	}
	if diff := cmp.Diff(want, got); diff != "" || report.Noise != noise {
		o.t.Errorf("the checker finds %d messages of noise, want %d, and (-want +got):\n%s%+v", report.Noise, noise, diff, report.Findings)
	}
}

// admin is an administrator of the broker.
func (o *outage) admin() jetstream.JetStream {
	o.t.Helper()
	js, err := jetstream.New(o.connect(o.at, newTold().logger))
	o.must(err)
	return js
}

// setStream makes other settings of a stream.
func (o *outage) setStream(name string, change func(*jetstream.StreamConfig)) {
	o.t.Helper()
	js := o.admin()
	stream, err := js.Stream(o.t.Context(), name)
	o.must(err)
	config := stream.CachedInfo().Config
	change(&config)
	_, err = js.UpdateStream(o.t.Context(), config)
	o.must(err)
}
