package fleetlog_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/broker"
	"fleetlog/internal/broker/brokertest"
	"fleetlog/internal/fleetsim"
	"fleetlog/manifest"
	"fleetlog/producers"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
)

// memoryFaults are about what was accepted before, and about the clock.
func memoryFaults() []fault {
	older := func(s *scene) {
		before := s.fleet
		before.SignedAt = s.fleet.SignedAt.Add(-time.Minute)
		s.plane.SetRelease(s.sign(before))
	}
	return []fault{
		{"memory: an older release", older, []string{"FleetRejected floor Rollback"}, kept},
		{"memory: an older release, after a restart", func(s *scene) {
			older(s)
			s.reconnect()
		}, []string{"FleetRejected floor Rollback"}, kept},
		{"memory: another release of the same moment", func(s *scene) {
			other := s.fleet
			other.Closures = 1
			s.plane.SetRelease(s.sign(other))
			s.reconnect()
		}, []string{"FleetRejected floor Equivocation"}, kept},
		{"memory: a release from the future", func(s *scene) {
			next := s.fleet
			next.SignedAt = s.clock().Add(2 * time.Minute).Truncate(time.Millisecond)
			s.plane.SetRelease(s.sign(next))
		}, []string{"FleetRejected verify FutureDated"}, kept},
		{"memory: an old release goes stale", func(s *scene) { s.ahead.Store(int64(52 * time.Minute)) },
			[]string{"FleetRejected verify Stale"}, kept},
		{"memory: a clock set back does not make it fresh again", func(s *scene) {
			s.ahead.Store(int64(52 * time.Minute))
			if got := said(s.tick()); !slices.Equal(got, []string{"FleetRejected verify Stale"}) {
				s.t.Fatalf("with the clock ahead: %q", got)
			}
			s.ahead.Store(0)
			s.reconnect()
			if tick := s.tick(); len(tick.Findings) != 0 { // Stale still, and nothing new
				s.t.Fatalf("with the clock set back: %q", said(tick))
			}
			s.config.Terms.RestateEvery = 0
			s.reconnect()
		}, []string{"FleetRejected verify Stale"}, func(before fleetsim.Fleet, s *scene) string {
			s.config.Terms.RestateEvery = time.Hour
			s.ahead.Store(int64(52 * time.Minute)) // or the next release would be one of the past
			return kept(before, s)
		}},
	}
}

// unrecorded polls once and demands that nothing is written, for that reason.
func (s *scene) unrecorded(want error) {
	s.t.Helper()
	before, err := s.log.LastSequence(s.t.Context())
	s.must(err)
	if _, err := s.once(); !errors.Is(err, want) {
		s.t.Errorf("error %v, want %v", err, want)
	}
	if after, err := s.log.LastSequence(s.t.Context()); err != nil || after != before {
		s.t.Errorf("the log ends at %d, before it was %d (%v)", after, before, err)
	}
}

// notReady runs the poller until it says what it is not ready for, which must be
// that, and demands that nothing is written.
func (s *scene) notReady(want error) {
	s.t.Helper()
	before, err := s.log.LastSequence(s.t.Context())
	s.must(err)
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	told := make(chan error, 1)
	s.config.Ready = func(err error) {
		select {
		case told <- err:
		default:
		}
	}
	ended := make(chan error, 1)
	go func() { ended <- producers.NewPoller(s.config).Run(ctx) }()
	if err := <-told; !errors.Is(err, want) {
		s.t.Errorf("the poller says %v, want %v", err, want)
	}
	cancel()
	s.must(<-ended)
	if after, err := s.log.LastSequence(s.t.Context()); err != nil || after != before {
		s.t.Errorf("the log ends at %d, before it was %d (%v)", after, before, err)
	}
}

// TestClockAheadDoesNotPoisonTheLog puts the poller's clock forward, and back.
func TestClockAheadDoesNotPoisonTheLog(t *testing.T) {
	s := newScene(t, brokertest.Start(t), "prod")
	s.config.MaxClockSkew = time.Minute
	s.tick()
	s.ahead.Store(int64(10 * time.Minute))
	s.unrecorded(producers.ErrClockSkew)
	s.ahead.Store(int64(-10 * time.Minute))
	s.unrecorded(producers.ErrClockSkew)
	s.ahead.Store(0)
	tick := s.tick()
	if tick.Head.Number != 2 {
		t.Errorf("tick %d, want 2", tick.Head.Number)
	}
	if got, want := s.held(tick), holding(s.fleet, c0, c1); got != want {
		t.Errorf("held is %s, want %s", got, want)
	}
}

// TestHostileChannelNames serves a fleet whose channels have names that no file,
// no URL or no subject can have. Each is refused by itself, before any request.
func TestHostileChannelNames(t *testing.T) {
	s := newScene(t, brokertest.Start(t), "prod")
	names := []string{"..", ".", "a/b", "*", ">", "a b", " ", "a\x00b", "a@b", "\u202e", "", strings.Repeat("x", 4000), strings.Repeat("é", 2048)}
	release := withChannels(t, s.fleet, names...)
	var mu sync.Mutex
	var asked []string
	s.plane.SetIntercept(func(_ http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, r.URL.Path)
		return false
	})
	s.plane.SetRelease(release)
	tick := s.tick()
	var want []string
	for _, name := range names {
		if len(name) < 4000 || name[0] != 'x' {
			want = append(want, fmt.Sprintf("RolloutRejected %q identity IdentityUnservable", name))
		}
	}
	long := strings.Repeat("x", 4000) // a name that could be a file's, whose manifest is served
	slices.Sort(want)
	if diff := cmp.Diff(want, said(tick)); diff != "" {
		t.Errorf("the tick says (-want +got):\n%s", diff)
	}
	if got, want := s.held(tick), holding(s.fleet, c0, c1, long); got != want {
		t.Errorf("held is %.200s, want %.200s", got, want)
	}
	mu.Lock()
	paths := slices.Clone(asked)
	mu.Unlock()
	for _, path := range paths {
		if !strings.HasPrefix(path, fleetPath) && !strings.HasPrefix(path, "/v1/rollouts/channel-") && !strings.HasPrefix(path, "/v1/rollouts/xxxx") {
			t.Errorf("asked for %q", path)
		}
	}

	s.plane.SetRelease(withChannels(t, s.fleet, strings.Repeat("x", 4097)))
	s.fleet.SignedAt = s.fleet.SignedAt.Add(time.Second)
	s.plane.SetRelease(withChannels(t, s.fleet, strings.Repeat("x", 4097)))
	if got := said(s.tick()); !slices.Equal(got, []string{"FleetRejected verify Projection"}) {
		t.Errorf("a name of 4,097 bytes: %.300q", got)
	}
}

// withChannels signs the fleet with further channels of one host each, and those
// of their manifests that a file can hold.
func withChannels(t *testing.T, f fleetsim.Fleet, names ...string) fleetsim.Release {
	t.Helper()
	plain, err := f.Sign(signerA)
	if err != nil {
		t.Fatal(err)
	}
	var fleet map[string]any
	if err := json.Unmarshal(plain["fleet.resolved.json"].Data, &fleet); err != nil {
		t.Fatal(err)
	}
	hosts, channels := fleet["hosts"].(map[string]any), fleet["channels"].(map[string]any)
	for i, name := range names {
		channels[name] = channels[c0]
		hosts[fmt.Sprintf("extra-%d", i)] = map[string]any{
			"platform": "x86_64-linux", "tags": []any{}, "channel": name, "closureHash": fmt.Sprintf("closure-%d", i), "pubkey": nil,
		}
	}
	return signWhole(t, fleet, f.SignedAt)
}

// signWhole signs a fleet and the manifests that it projects to.
func signWhole(t *testing.T, fleet map[string]any, now time.Time) fleetsim.Release {
	t.Helper()
	body, err := json.Marshal(fleet, json.Deterministic(true))
	if err != nil {
		t.Fatal(err)
	}
	release := fleetsim.Release{}
	add := func(name string, body []byte) manifest.Received {
		signed, err := signerA.Sign(body)
		if err != nil {
			t.Fatal(err)
		}
		release[name], release[name+".sig"] = &fstest.MapFile{Data: signed.Body}, &fstest.MapFile{Data: signed.Signature}
		return signed
	}
	received := add("fleet.resolved.json", body)
	trust, err := manifest.ParseTrust(signerA.Trust())
	if err != nil {
		t.Fatal(err)
	}
	verified, err := manifest.VerifyFleet(received, manifest.Policy{Trust: trust, Now: now, Window: window})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range manifest.Project(verified, manifest.Composite) {
		if p.Err == nil && !p.Idle && p.ID.CheckName() == nil {
			add("rollouts/"+p.ID.String()+".json", p.Manifest())
		}
	}
	return release
}

// TestGarbageDoesNotGrowTheLog lets the control plane answer something else, with
// another reason, in every tick of a minute.
func TestGarbageDoesNotGrowTheLog(t *testing.T) {
	s := newScene(t, brokertest.Start(t), "prod")
	s.tick()
	kinds := []http.HandlerFunc{
		status(http.StatusBadGateway), status(http.StatusNoContent),
		func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintf(w, "%q", rand.Text()) },
		func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(rand.Text())) },
	}
	last := uint64(0)
	for n := range 12 {
		s.on(fleetPath, kinds[n%len(kinds)])
		s.ahead.Store(int64(time.Duration(n) * 4 * time.Second))
		tick := s.tick()
		if n > 0 && tick.Head.Seq != last+1 {
			t.Errorf("tick %d added %d messages", n, tick.Head.Seq-last)
		}
		last = tick.Head.Seq
	}
}

// TestSlowChannels serves many channels of which most never answer: the others
// are verified, and the tick is recorded in its time all the same.
func TestSlowChannels(t *testing.T) {
	s := newScene(t, brokertest.Start(t), "prod")
	f := s.fleet
	f.Channels, f.Hosts = 40, 40
	s.publish(f)
	s.plane.SetIntercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasPrefix(r.URL.Path, "/v1/rollouts/channel-0") && !strings.HasPrefix(r.URL.Path, rolloutPath) {
			<-r.Context().Done()
			return true
		}
		return false
	})
	s.config.TickTimeout = 3 * requestTimeout
	tick := s.tick()
	counts := tick.Completed.Counts
	if counts.Verified != 1 || counts.Rejected != 39 {
		t.Errorf("%d channels verified and %d rejected, want 1 and 39", counts.Verified, counts.Rejected)
	}
	if got, want := s.held(tick), holding(f, c0); got != want {
		t.Errorf("held is %s, want %s", got, want)
	}
	for _, f := range tick.Findings {
		if r, ok := f.(*events.RolloutRejected); ok && r.Reason != events.Timeout {
			t.Errorf("channel %s: %s", r.Channel, r.Reason)
		}
	}
}

// TestManyChannels records a fleet of 10,000 channels where the server takes such
// a batch, and nothing at all where it does not.
func TestManyChannels(t *testing.T) {
	f := fleetsim.Fleet{Hosts: 10_000, Channels: 10_000, Commit: "aaaa", SignedAt: time.Now().Add(-time.Minute).Truncate(time.Millisecond)}
	release, err := f.Sign(signerA)
	if err != nil {
		t.Fatal(err)
	}
	for limit, want := range map[int]error{broker.DefaultMaxBatch: nil, 1000: eventlog.ErrBatchTooLarge} {
		t.Run(strconv.Itoa(limit), func(t *testing.T) {
			s := newScene(t, brokertest.Start(t, func(c *broker.Config) { c.MaxBatch = limit }), "prod")
			s.config.Poll.Source = producers.NewDirectory(release)
			s.config.TickTimeout, s.config.Poll.Concurrency = 2*time.Minute, 16
			if want != nil {
				s.notReady(want)
				return
			}
			tick := s.tick()
			if n := tick.Completed.Counts.Verified; n != f.Channels {
				t.Errorf("%d channels verified, want %d", n, f.Channels)
			}
		})
	}
}

// TestOneLinePerChange counts the poller's lines over ticks that change nothing.
func TestOneLinePerChange(t *testing.T) {
	s := newScene(t, brokertest.Start(t), "prod")
	lines := func() int { return len(s.lines.AllEntries()) }
	for range 5 {
		s.tick()
	}
	if got := lines(); got != 1 {
		t.Errorf("%d lines about 5 equal ticks, want 1", got)
	}
	s.on(fleetPath, status(http.StatusBadGateway))
	for range 5 {
		s.tick()
	}
	if got := lines(); got != 3 { // the outcome, and the reason
		t.Errorf("%d lines after 5 equal refusals, want 3", got)
	}
}
