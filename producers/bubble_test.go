package producers_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"fleetlog/consumers/check"
	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/producers"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats-server/v2/server/ats"
	"github.com/nats-io/nats.go"
	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
)

// The timing of every poller in a bubble.
const (
	interval    = 30 * time.Second
	tickTimeout = 20 * time.Second
	silence     = interval * 3 / 2
)

// bubble is a real server with a log, in a bubble of testing/synctest: every
// clock is simulated, the server's too, and stands while anything is at work.
type bubble struct {
	t      *testing.T
	server *server.Server
	log    theLog
	source fs.FS
}

// inBubble runs the test in a bubble, with a log that these may write.
func inBubble(t *testing.T, writers []*events.Writer, test func(b *bubble)) {
	// The server's ticker of access times is shared by all servers of a process:
	// it must not begin in the bubble, where it would keep time from passing.
	ats.Register()
	defer ats.Unregister()
	store := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, err := server.NewServer(&server.Options{
			DontListen: true, NoSigs: true, NoLog: true, JetStream: true, StoreDir: store,
			JetStreamMaxStore: 1 << 30, JetStreamMaxMemory: 1 << 20,
		})
		if err != nil {
			t.Fatal(err)
		}
		go s.Start()
		defer func() {
			s.Shutdown()
			s.WaitForShutdown()
		}()
		if !s.ReadyForConnections(time.Minute) {
			t.Fatal("server does not start")
		}
		nc, err := nats.Connect("", nats.InProcessServer(s))
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		b := &bubble{t: t, server: s, log: provision(t, nc, openingBy(writers), time.Now())}
		f := fleet()
		f.SignedAt = time.Now()
		b.source = sign(t, f)
		test(b)
	})
}

// worker is a poller at work, over a line of its own.
type worker struct {
	t      *testing.T
	key    events.PublicKey
	line   *line
	nc     *nats.Conn
	said   *logtest.Hook
	cancel context.CancelFunc
	ended  chan error
}

// start starts a poller as a process does, with a connection of its own. change,
// if not nil, adjusts its configuration.
func (b *bubble) start(w *events.Writer, change func(*producers.Config)) *worker {
	b.t.Helper()
	quiet, said := logtest.NewNullLogger()
	quiet.SetLevel(logrus.WarnLevel)
	k := &worker{t: b.t, key: w.Public(), line: &line{server: b.server}, said: said, ended: make(chan error, 1)}
	var err error
	k.nc, err = nats.Connect("", nats.InProcessServer(k.line), nats.MaxReconnects(-1), nats.ReconnectBufSize(-1),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		b.t.Fatal(err)
	}
	c := b.log.config(producers.NewDirectory(b.source), w)
	c.Poll.Window = 365 * 24 * 3600
	c.Interval, c.TickTimeout, c.Standby, c.MaxClockSkew, c.Clock, c.Log = interval, tickTimeout, 0, time.Minute, time.Now, quiet
	c.Open = func(ctx context.Context) (*eventlog.Log, error) {
		return eventlog.Open(ctx, k.nc, eventlog.Place{Fleet: b.log.Fleet()})
	}
	if change != nil {
		change(&c)
	}
	ctx, cancel := context.WithCancel(b.t.Context())
	k.cancel = cancel
	go func() { k.ended <- producers.NewPoller(c).Run(ctx) }()
	return k
}

// kill ends the poller as the end of its process does: nothing more of it
// reaches the server.
func (k *worker) kill() {
	k.t.Helper()
	k.line.cut()
	k.cancel()
	if err := <-k.ended; err != nil {
		k.t.Errorf("poller %s ended by itself: %v", k.key, err)
	}
	k.nc.Close()
}

// ticks are all that the log has now.
func (b *bubble) ticks() []*events.Tick {
	b.t.Helper()
	head, err := b.log.Head(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	if head.Number == 0 {
		return nil
	}
	return b.log.until(b.t, func(t *events.Tick) bool { return t.Head.Number == head.Number })
}

// judge demands an unbroken log in which no two ticks are further apart than a
// takeover may take.
func (b *bubble) judge() []*events.Tick {
	b.t.Helper()
	report, err := check.Check(b.t.Context(), b.log.Log, check.Options{})
	if err != nil {
		b.t.Fatal(err)
	}
	all := b.ticks()
	if report.Found > 0 || report.Noise > 0 || report.Ticks != uint64(len(all)) {
		b.t.Errorf("check of %d ticks: %+v", len(all), report)
	}
	if raw := readRaw(b.t, b.log); raw.ticks != len(all) || raw.noise > 0 {
		b.t.Errorf("read message by message it has %d ticks and %d foreign messages, want %d and none", raw.ticks, raw.noise, len(all))
	}
	for i := range all[1:] {
		if gap := after(all[i], all[i+1]); gap > silence+tickTimeout {
			b.t.Errorf("tick %d came %s after the one before it, want at most %s", all[i+1].Head.Number, gap, silence+tickTimeout)
		}
	}
	return all
}

// after is how long after one tick the next one came, by their own times.
func after(one, next *events.Tick) time.Duration {
	return next.Head.Time.Time().Sub(one.Head.Time.Time())
}

// by is how many of the ticks the poller has written.
func (k *worker) by(ticks []*events.Tick) (n int) {
	for _, t := range ticks {
		if t.Completed.Writer == k.key {
			n++
		}
	}
	return n
}

// warnings are what the poller has complained of.
func (k *worker) warnings() (all []string) {
	for _, e := range k.said.AllEntries() {
		all = append(all, e.Message)
	}
	return all
}

// line is the way to a server, which can be cut in the middle of a batch.
type line struct {
	server *server.Server

	mu    sync.Mutex
	dead  bool
	armed bool // cut it before the end of the next batch
	met   bool // that was done
	open  net.Conn
}

var errCut = errors.New("line is cut")

// InProcessConn connects to the server.
func (l *line) InProcessConn() (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead {
		return nil, errCut
	}
	conn, err := l.server.InProcessConn()
	l.open = conn
	return &wire{conn, l}, err
}

func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dead = true
	_ = l.open.Close()
}

// cutInBatch cuts the line before the end of the next tick that is a batch, all
// else of which reaches the server.
func (l *line) cutInBatch() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.armed = true
}

// passes tells how much of what the client says may pass.
func (l *line) passes(said []byte) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead {
		return 0
	}
	end := bytes.Index(said, []byte("HPUB nixfleet.prod.event.TickCompleted"))
	if !l.armed || end < 0 {
		return len(said)
	}
	l.dead, l.met = true, true
	return end
}

// wire is one connection over a line.
type wire struct {
	net.Conn
	line *line
}

// Write passes on what may pass.
func (w *wire) Write(p []byte) (int, error) {
	n := w.line.passes(p)
	if n == len(p) {
		return w.Conn.Write(p)
	}
	_, err := w.Conn.Write(p[:n])
	return n, errors.Join(errCut, err, w.Close())
}

// pass lets the bubble's time pass: no real time does.
func pass(d time.Duration) { time.Sleep(d) } // of the synctest bubble
