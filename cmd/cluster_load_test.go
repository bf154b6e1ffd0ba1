package cmd_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/fleetsim"
	"fleetlog/manifest"
	"fleetlog/producers"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/sirupsen/logrus"
)

const (
	ticksASecond  = 20          // of the first writer
	rivalInterval = time.Second // of every other one
	ticksARelease = 50          // before the release changes
)

// load is writers that append ticks to one log without standing by for each
// other, each over a connection of its own, and what they were told of them.
type load struct {
	t      *testing.T
	signer *fleetsim.Signer
	served atomic.Pointer[fs.FS]
	began  time.Time

	mu           sync.Mutex
	acknowledged map[manifest.Digest]events.Head
	last         time.Time // when the last tick was acknowledged
	longest      time.Duration
	refused      int // ticks that were not recorded
}

// Open opens a file of the release that is served now.
func (l *load) Open(name string) (fs.File, error) { return (*l.served.Load()).Open(name) }

// startLoad starts a writer for every key, a busy one and rivals that get in its
// way, which all stop with the function returned.
func startLoad(t *testing.T, url string, writers []*events.Writer) (l *load, stop func()) {
	t.Helper()
	l = &load{t: t, signer: fleetsim.NewEd25519Signer(1), began: time.Now(), acknowledged: make(map[manifest.Digest]events.Head)}
	if err := l.release(0); err != nil {
		t.Fatal(err)
	}
	l.last = time.Now()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for n, writer := range writers {
		interval := rivalInterval
		if n == 0 {
			interval = time.Second / ticksASecond
		}
		poller, nc := l.poller(url, writer)
		running.Go(func() {
			defer nc.Close()
			l.run(ctx, poller, interval)
		})
	}
	stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
	})
	t.Cleanup(stop)
	return l, stop
}

// release serves the n-th release from now on.
func (l *load) release(n int) error {
	release, err := fleetsim.Fleet{
		Hosts: 4, Channels: 2, Closures: n, Commit: fmt.Sprintf("%040x", n), SignedAt: l.began.Add(time.Duration(n) * time.Millisecond),
	}.Sign(l.signer)
	if err == nil {
		var served fs.FS = release
		l.served.Store(&served)
	}
	return err
}

func (l *load) poller(url string, writer *events.Writer) (*producers.Poller, *nats.Conn) {
	l.t.Helper()
	quiet := logrus.New()
	quiet.SetOutput(io.Discard)
	public := writer.Public()
	nc, err := eventlog.Connect(eventlog.Connection{Endpoint: eventlog.Endpoint{URL: url}, Name: "load", Log: quiet}, &public)
	if err != nil {
		l.t.Fatal(err)
	}
	place := eventlog.Place{Fleet: fleetName(l.t)}
	return producers.NewPoller(producers.Config{
		Poll: &producers.Poll{
			Source: producers.NewDirectory(l), Window: 3600, Concurrency: 4,
			Trust: func() ([]byte, error) { return l.signer.Trust(), nil },
		},
		Open:  func(ctx context.Context) (*eventlog.Log, error) { return eventlog.Open(ctx, nc, place) },
		Terms: events.Terms{Writer: writer, RestateEvery: time.Minute}, Interval: time.Second, TickTimeout: 30 * time.Second,
		Standby: -1, MaxClockSkew: time.Minute, Clock: time.Now, NewTickID: uuid.NewV7, Log: quiet, Ready: func(error) {},
	}), nc
}

func fleetName(t *testing.T) events.FleetName {
	t.Helper()
	name, err := events.ParseFleetName(fleet)
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// run appends a tick at every interval, or as soon as the one before it is over.
func (l *load) run(ctx context.Context, poller *producers.Poller, interval time.Duration) {
	next := time.NewTicker(interval)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
		recorded, err := poller.Once(ctx)
		switch {
		case err == nil:
			err = l.take(recorded.Tick.Head)
		case ctx.Err() != nil:
			return
		case passes(err):
			l.refuse()
			err = nil
		}
		if err != nil {
			l.t.Error(err)
			return
		}
	}
}

// passes tells the errors that a change of leaders explains.
func passes(err error) bool {
	var other *eventlog.OtherWriterError
	return errors.As(err, &other) || errors.Is(err, eventlog.ErrUnavailable) || errors.Is(err, producers.ErrOverrun) ||
		errors.Is(err, eventlog.ErrContention)
}

func (l *load) refuse() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refused++
}

func (l *load) take(h events.Head) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.longest, l.last = max(l.longest, now.Sub(l.last)), now
	if l.acknowledged[h.Digest].Seq != 0 {
		return fmt.Errorf("tick %d was acknowledged twice", h.Number)
	}
	l.acknowledged[h.Digest] = h
	if n := len(l.acknowledged); n%ticksARelease == 0 {
		return l.release(n / ticksARelease)
	}
	return nil
}

// count is how many ticks have been acknowledged.
func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acknowledged)
}

// goesOn waits until so many more ticks are acknowledged.
func (l *load) goesOn(ctx context.Context, ticks int) {
	l.t.Helper()
	want := l.count() + ticks
	wait(ctx, l.t, "ticks to be acknowledged again", func() bool { return l.count() >= want })
}
