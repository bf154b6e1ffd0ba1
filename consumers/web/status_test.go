package web_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fleetlog/consumers/fold"
	"fleetlog/consumers/follower"
	"fleetlog/consumers/status"
	"fleetlog/consumers/view"
	"fleetlog/consumers/web"
	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/fleetsim"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
)

// statusOf is what /v1/status says, of which every member is known.
func statusOf(t testing.TB, look web.Look, h *held) status.Status {
	t.Helper()
	server := watched(t, look, h)
	got := ask(t, server.Client(), http.MethodGet, server.URL+"/v1/status")
	if got.Status != http.StatusOK || got.Header.Get("Content-Type") != "application/json" || got.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v", got.Status, got.Header)
	}
	var s status.Status
	must(t, json.Unmarshal([]byte(got.Body), &s, json.RejectUnknownMembers(true)))
	if again := ask(t, server.Client(), http.MethodGet, server.URL+"/v1/status"); again.Body != got.Body {
		t.Errorf("the same is said otherwise:\n%s\n%s", got.Body, again.Body)
	}
	return s
}

// TestOwnWord: what a reducer says of itself, by what keeps it from being ready.
func TestOwnWord(t *testing.T) {
	at := follower.Position{Sequence: 40, Tick: 12, Time: events.TimeOf(epoch)}
	gap := &eventlog.GapError{Stream: "nixfleet-prod-events", First: 3, Last: 4}
	for name, c := range map[string]struct {
		held *held
		want status.ProcessState
	}{
		"ready":     {&held{position: at}, status.Ready},
		"starting":  {&held{notReady: follower.ErrStarting}, status.Starting},
		"replaying": {&held{position: at, notReady: follower.ErrStarting}, status.Replaying},
		"away":      {&held{position: at, notReady: eventlog.ErrUnavailable}, status.Late},
		"lost":      {&held{position: at, notReady: errors.Join(gap, errors.New("trust"))}, status.Stalled},
		"diverged":  {&held{position: follower.Position{Sequence: 40, Tick: 12, Diverged: true}}, status.Late},
		"behind":    {&held{position: follower.Position{Sequence: 30, Tick: 9}}, status.Late},
		"one tick":  {&held{position: follower.Position{Sequence: 39, Tick: 11}}, status.Ready},
	} {
		seen := stands(t)
		seen.Health, seen.Channels, seen.Processes = status.Healthy, seen.Channels[1:], seen.Processes[1:]
		seen.Channels[0].InSet = false
		s := statusOf(t, says(seen), c.held)
		own := s.Processes[len(s.Processes)-1]
		if own.Name != status.Reducer || own.State != c.want {
			t.Errorf("%s: %+v, want %s", name, own, c.want)
		}
		if (s.Health == status.Healthy) != (c.want == status.Ready) {
			t.Errorf("%s: %s", name, s.Health)
		}
	}
}

// TestStatusOfTheSet: what is served at the newest tick is held against what the
// log says of it.
func TestStatusOfTheSet(t *testing.T) {
	set := setOf(t, release(t, fleetsim.Fleet{Hosts: 4, Channels: 1, Commit: "aaaa", SignedAt: epoch}))
	at := follower.Position{Sequence: 40, Tick: 12}
	seen := stands(t)
	seen.Channels[0] = status.Channel{Name: "channel-000", State: view.Fresh, InSet: true}
	s := statusOf(t, says(seen), &held{state: fold.State{Set: set}, position: at})
	if own := set.Digest(); !s.Verified || s.SetDigest == nil || *s.SetDigest != own {
		t.Errorf("set %v, verified %t", s.SetDigest, s.Verified)
	}
	if taken, refused := s.Channels[0], s.Channels[1]; taken.State != view.Fresh || !taken.InSet || refused.State != view.Rejected || refused.InSet || s.Health != status.Degraded {
		t.Errorf("%s: %+v, %+v", s.Health, taken, refused)
	}
	at.Sequence-- // another tick's set cannot be held against it
	s = statusOf(t, says(seen), &held{state: fold.State{Set: set}, position: at})
	if s.Verified || s.Channels[1].State != view.Fresh {
		t.Errorf("verified %t: %+v", s.Verified, s.Channels[1])
	}
}

// TestStatusWithoutLog: what is served is all that is known then.
func TestStatusWithoutLog(t *testing.T) {
	set := setOf(t, release(t, fleetsim.Fleet{Hosts: 4, Channels: 2, Commit: "aaaa", SignedAt: epoch}))
	h := &held{state: fold.State{Set: set}, position: follower.Position{Sequence: 9, Tick: 3, Time: events.TimeOf(epoch)}}
	away := func(context.Context) (web.Seen, error) { return web.Seen{}, errors.New("broker is away") }
	s := statusOf(t, away, h)
	var words []string
	for _, c := range s.Channels {
		words = append(words, c.Name+" "+string(c.State))
	}
	if diff := cmp.Diff([]string{"channel-000 Expiring", "channel-001 Expiring"}, words); diff != "" {
		t.Errorf("channels (-want +got):\n%s", diff)
	}
	if s.Health == status.Healthy || s.Problems["log"] != "broker is away" || s.Stream != nil {
		t.Errorf("%+v", s)
	}
	_, root := page(t, watched(t, away, h), "/")
	if verdict := text(byID(t, root, "verdict")); !strings.Contains(verdict, "broker is away") && !strings.Contains(verdict, "Expiring") {
		t.Errorf("verdict: %s", verdict)
	}
	if problems := text(byID(t, root, "problems")); !strings.Contains(problems, "log : broker is away") {
		t.Errorf("problems: %s", problems)
	}
}

// happens waits until there is something in the channel.
func happens(t *testing.T, what <-chan struct{}) {
	t.Helper()
	select {
	case <-what:
	case <-time.After(10 * time.Second):
		t.Fatal("nobody looks")
	}
}

// looking is a log that is slow to look at.
type looking struct {
	looks         atomic.Int32
	begun, answer chan struct{}
	seen          web.Seen
	failed        error
	takes         func() // what a look does to the clock; nil: nothing
}

func (l *looking) look(ctx context.Context) (web.Seen, error) {
	l.looks.Add(1)
	l.begun <- struct{}{}
	select {
	case <-l.answer:
		if l.takes != nil {
			l.takes()
		}
		return l.seen, l.failed
	case <-ctx.Done():
		return web.Seen{}, ctx.Err()
	}
}

// TestLooksAreShared: many viewers cost the broker one look, a failure too, and
// one who leaves spoils it for nobody.
func TestLooksAreShared(t *testing.T) {
	for name, failed := range map[string]error{"seen": nil, "failed": errors.New("broker is away")} {
		var now atomic.Int64
		l := &looking{begun: make(chan struct{}, 100), answer: make(chan struct{}), seen: stands(t), failed: failed}
		s := server(&held{}, epoch)
		s.Clock, s.Look = func() time.Time { return epoch.Add(time.Duration(now.Load())) }, l.look
		handler := s.Handler(http.NotFoundHandler())
		serve := func(ctx context.Context) string { return serveOnce(t, handler, ctx, "/v1/status") }

		leaving, leave := context.WithCancel(t.Context())
		left := make(chan struct{})
		go func() { serve(leaving); close(left) }()
		happens(t, l.begun)
		leave()
		<-left
		var group sync.WaitGroup
		for range 50 {
			group.Go(func() { serve(t.Context()) })
		}
		happens(t, l.begun)
		close(l.answer)
		group.Wait()
		if n := l.looks.Load(); n != 2 { // one is of him who left
			t.Errorf("%s: %d looks", name, n)
		}
		now.Add(int64(999 * time.Millisecond))
		serve(t.Context())
		if n := l.looks.Load(); n != 2 {
			t.Errorf("%s: %d looks within a second", name, n)
		}
		now.Add(int64(5 * time.Second))
		serve(t.Context())
		if n := l.looks.Load(); n != 3 {
			t.Errorf("%s: %d looks after it", name, n)
		}
		l.takes = func() { now.Add(int64(8 * time.Second)) }
		for _, later := range []time.Duration{8 * time.Second, 4 * time.Second} {
			now.Add(int64(later))
			serve(t.Context())
		}
		if n := l.looks.Load(); n != 4 { // what took eight seconds is good for as long
			t.Errorf("%s: %d looks, of which one took long", name, n)
		}
	}
}
