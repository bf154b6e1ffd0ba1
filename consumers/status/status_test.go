package status_test

import (
	"bytes"
	"errors"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"fleetlog/consumers/status"
	"fleetlog/consumers/view"
	"fleetlog/events"
	"fleetlog/internal/fleetsim"
	"fleetlog/manifest"
	"fleetlog/producers/producertest"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"
)

// away is what a source serves that cannot be reached.
var away = fleetsim.Release{}

// TestInOrder: a fleet in order is healthy, and what that costs does not grow
// with the log.
func TestInOrder(t *testing.T) {
	s := newScene(t)
	var reads []uint64
	for _, ticks := range []int{400, 1600} {
		l := s.log(producertest.Past{Ticks: ticks, Restate: 12 * time.Minute, Serve: func(number int, at time.Time) (fs.FS, error) {
			if number%40 != 1 {
				return nil, nil
			}
			return s.release(number, at), nil
		}})
		r := l.reader()
		before := s.nc.Stats().OutMsgs
		got, err := r.Status(t.Context(), l.last().Head.Time.Time().Add(time.Second))
		must(t, err)
		reads = append(reads, s.nc.Stats().OutMsgs-before)
		if got.Health != status.Healthy || !got.Verified || len(got.Outages) > 0 || len(got.Problems) > 0 {
			t.Errorf("%+v", got)
		}
		r.Recent, r.Outages = 0, 0
		before = s.nc.Stats().OutMsgs
		_, err = r.Status(t.Context(), l.last().Head.Time.Time())
		must(t, err)
		reads = append(reads, s.nc.Stats().OutMsgs-before)
		for i, c := range got.Channels {
			if c.State != view.Fresh || !c.InSet || c.Name != fleetsim.ChannelName(i) || c.Since != nil || *c.ExpiresInSeconds+*c.AgeSeconds != int64(window) {
				t.Errorf("channel %+v", c)
			}
		}
		if len(got.Channels) != 2 || len(got.Recent) != 3 || got.Recent[0].Tick != uint64(ticks-39) || got.Stream.LastSequence != l.last().Head.Seq {
			t.Errorf("%d channels, changed at %v, stream %+v", len(got.Channels), got.Recent, got.Stream)
		}
	}
	if reads[0] != reads[2] || reads[1] != reads[3] || reads[0] > 60 || reads[1] > 20 {
		t.Errorf("%v requests: want as many for the longer log, and few", reads)
	}
	t.Logf("requests: %v", reads)
}

// TestNoTick: a log without ticks is not an error, and not in order.
func TestNoTick(t *testing.T) {
	got := newScene(t).log(producertest.Past{}).status(0)
	if got.Health != status.Unknown || got.Resolved != nil || got.Problems["log"] == "" || got.Stream == nil {
		t.Errorf("%+v", got)
	}
}

// TestAway: while the source is away the last success keeps its time, the last
// attempt moves, and channels stand by their windows.
func TestAway(t *testing.T) {
	s := newScene(t)
	l := s.log(producertest.Past{Ticks: 400, Restate: time.Hour, Serve: func(number int, at time.Time) (fs.FS, error) {
		switch number {
		case 1:
			return s.release(1, at), nil
		case 31:
			return away, nil
		}
		return nil, nil
	}})
	got := l.status(time.Second)
	poller := got.Processes[0]
	if got.Health != status.Degraded || poller.State != status.Late || *poller.LastAttempt != l.at(400) || *poller.LastSuccess != l.at(30) {
		t.Errorf("%s %+v", got.Health, poller)
	}
	if poller.Reason != events.Unreachable || !strings.HasPrefix(poller.Note, "Unreachable x370 since "+l.at(31).String()) {
		t.Errorf("%+v", poller)
	}
	if got.Signed.State != view.Rejected || got.Signed.Since.Tick != 31 || got.Signed.Earlier {
		t.Errorf("fleet %+v", got.Signed)
	}
	for _, c := range got.Channels {
		if c.State != view.Expiring || c.Since != nil {
			t.Errorf("%+v", c)
		}
	}
	want := []status.Outage{{From: l.at(31), Ticks: 370, Skipped: true, Reason: events.Unreachable}}
	if d := cmp.Diff(want, got.Outages); d != "" {
		t.Error(d)
	}
}

// TestRefused: one channel is refused, the other one carried; since when is said.
func TestRefused(t *testing.T) {
	s := newScene(t)
	l := s.log(producertest.Past{Ticks: 300, Restate: time.Hour, Serve: func(number int, at time.Time) (fs.FS, error) {
		switch number {
		case 1:
			return s.release(1, at), nil
		case 50:
			return s.release(2, at, fleetsim.ChannelName(0)), nil
		case 100:
			return s.release(2, begin.Add(49*interval), fleetsim.ChannelName(0), fleetsim.ChannelName(1)), nil
		}
		return nil, nil
	}})
	got := l.status(time.Second)
	missing, carried := got.Channels[0], got.Channels[1]
	if missing.State != view.Missing || missing.Reason != events.Unreachable || missing.InSet || missing.Since.Tick != 50 || missing.RolloutID == "" {
		t.Errorf("%+v", missing)
	}
	if carried.State != view.Fresh || carried.Reason != events.Unreachable || !carried.InSet {
		t.Errorf("%+v", carried)
	}
	poller := got.Processes[0]
	if got.Health != status.Degraded || poller.State != status.Late || *poller.LastSuccess != l.at(300) || !strings.Contains(poller.Note, "1 of 2 channels refused, 1 kept") {
		t.Errorf("%+v", poller)
	}
}

// TestSilent: a poller that stands still, before that late.
func TestSilent(t *testing.T) {
	s := newScene(t)
	l := s.log(producertest.Past{Ticks: 2, Serve: func(_ int, at time.Time) (fs.FS, error) { return s.release(1, at), nil }})
	for after, want := range map[time.Duration]status.ProcessState{
		2 * interval: status.Ready, 2*interval + time.Second: status.Late, 3*interval + time.Second: status.Stalled,
	} {
		got := l.status(after)
		if got.Processes[0].State != want || (got.Health == status.Healthy) != (want == status.Ready) || (len(got.Outages) == 1) != (want != status.Ready) {
			t.Errorf("after %s: %s %+v %+v", after, got.Health, got.Processes[0], got.Outages)
		}
	}
	got := l.status(time.Duration(window)*time.Second + 2*time.Minute)
	if got.Channels[0].State != view.Expired || got.Channels[0].Reason != "Stale" || *got.Channels[0].ExpiresInSeconds >= 0 {
		t.Errorf("%+v", got.Channels[0])
	}
}

// TestFleetRefused: a fleet that came and was refused leaves its channels in force,
// and says so of each.
func TestFleetRefused(t *testing.T) {
	s := newScene(t)
	l := s.log(producertest.Past{Ticks: 3, Serve: func(number int, at time.Time) (fs.FS, error) {
		release := s.release(1, at)
		if number > 1 {
			release["fleet.resolved.json"].Data = append(release["fleet.resolved.json"].Data, '\n', 'x')
		}
		return release, nil
	}})
	got := l.status(time.Second)
	if got.Signed.State != view.Rejected || got.Signed.Since.Tick != 2 || !got.Signed.InSet || got.Health != status.Degraded {
		t.Errorf("%+v", got.Signed)
	}
	for _, c := range got.Channels {
		if c.State != view.Rejected || !c.InSet || c.SHA256 == nil {
			t.Errorf("%+v", c)
		}
	}
}

// TestStreams: a stream that is nearly full, or would lose history, is not in order.
func TestStreams(t *testing.T) {
	s := newScene(t)
	l := s.log(producertest.Past{Ticks: 1, Serve: func(_ int, at time.Time) (fs.FS, error) { return s.release(1, at), nil }})
	js, err := jetstream.New(s.nc)
	must(t, err)
	stream, err := js.Stream(t.Context(), l.log.Fleet().ArtifactsStream())
	must(t, err)
	config := stream.CachedInfo().Config
	used := int64(stream.CachedInfo().State.Bytes)
	for _, c := range []struct {
		limit int64
		age   time.Duration
		state status.ProcessState
		why   events.Reason
	}{
		{used * 100 / 70, 0, status.Ready, ""}, {used * 100 / 81, 0, status.Late, ""}, {used * 2, 24 * time.Hour, status.Late, status.StreamConfigDrift},
	} {
		config.MaxBytes, config.MaxAge = c.limit, c.age
		_, err := js.UpdateStream(t.Context(), config)
		must(t, err)
		got := l.status(0)
		if p := got.Processes[1]; p.Name != status.Broker || p.State != c.state || p.Reason != c.why || (got.Health == status.Healthy) != (c.state == status.Ready) {
			t.Errorf("limit %d of %d, age %s: %s %+v", c.limit, used, c.age, got.Health, p)
		}
	}
}

// TestOwnTrust: what this program refuses is refused by name, although the writer
// took it.
func TestOwnTrust(t *testing.T) {
	s := newScene(t)
	l := s.log(producertest.Past{Ticks: 1, Serve: func(_ int, at time.Time) (fs.FS, error) { return s.release(1, at), nil }})
	r := l.reader()
	other, err := manifest.ParseTrust(fleetsim.NewEd25519Signer(2).Trust())
	must(t, err)
	r.Past.Policy.Trust = other
	got, err := r.Status(t.Context(), begin)
	must(t, err)
	if got.Health != status.Degraded || got.Signed.State != view.Rejected || got.Signed.Reason != "BadSignature" || got.SetDigest != nil {
		t.Errorf("%+v", got.Signed)
	}
	for _, c := range got.Channels {
		if c.State != view.Rejected || c.Reason != "BadSignature" || c.InSet {
			t.Errorf("%+v", c)
		}
	}
}

// TestPastIsTold compares the outages, changes and last success of random logs
// with what was written.
func TestPastIsTold(t *testing.T) {
	s := newScene(t)
	for seed := range uint64(6) {
		random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // a test's
		silence := map[int]time.Duration{}
		for range random.IntN(3) {
			silence[2+random.IntN(398)] = time.Duration(3+random.IntN(60)) * interval
		}
		l := s.log(producertest.Past{
			Ticks: 400, Restate: 20 * time.Minute,
			Silence: func(number int) time.Duration { return silence[number] },
			Serve: func(number int, at time.Time) (fs.FS, error) {
				switch n := random.IntN(60); {
				case n == 0 || number == 1:
					return s.release(number, at), nil
				case n == 1:
					return away, nil
				}
				return nil, nil
			},
		})
		r := l.reader()
		r.Back, r.Outages, r.Recent = 400, 400, 400
		got, err := r.Status(t.Context(), l.last().Head.Time.Time())
		must(t, err)
		outages, changed := l.model()
		if d := cmp.Diff(outages, got.Outages); d != "" {
			t.Errorf("seed %d: %s", seed, d)
		}
		var numbers []uint64
		for _, c := range got.Recent {
			numbers = append(numbers, c.Tick)
		}
		if d := cmp.Diff(changed, numbers); d != "" {
			t.Errorf("seed %d: %s", seed, d)
		}
		for _, tick := range slices.Backward(l.ticks) {
			if tick.Completed.Outcome == events.Verified {
				if *got.Processes[0].LastSuccess != tick.Head.Time {
					t.Errorf("seed %d: last success %s, want %s", seed, got.Processes[0].LastSuccess, tick.Head.Time)
				}
				break
			}
		}
	}
}

// model are the outages and the changes, newest first, tick by tick.
func (l *told) model() (outages []status.Outage, changed []uint64) {
	outages = []status.Outage{}
	var run *status.Outage
	for i, tick := range l.ticks {
		at := tick.Head.Time
		if i > 0 && at.Time().Sub(l.at(i).Time()) > 2*interval {
			outages = append(outages, status.Outage{From: l.at(i), Until: &at, Ticks: uint64(at.Time().Sub(l.at(i).Time())/interval) - 1})
		}
		if tick.Completed.Stated == events.Changed {
			changed = append(changed, tick.Head.Number)
		}
		if tick.Completed.Outcome == events.Verified {
			if run != nil {
				run.Until = &at
				outages = append(outages, *run)
				run = nil
			}
			continue
		}
		if run == nil {
			run = &status.Outage{From: at, Skipped: true, Reason: events.Unreachable}
		}
		run.Ticks++
	}
	if run != nil {
		outages = append(outages, *run)
	}
	slices.SortStableFunc(outages, func(a, b status.Outage) int { return int(b.From - a.From) })
	slices.Reverse(changed)
	return outages, changed
}

// TestOfServed: a reducer's set without its log.
func TestOfServed(t *testing.T) {
	s := newScene(t)
	l := s.log(producertest.Past{Ticks: 1, Serve: func(_ int, at time.Time) (fs.FS, error) { return s.release(1, at), nil }})
	set, err := l.reader().Past.Set(t.Context(), l.last())
	must(t, err)
	for after, want := range map[time.Duration]status.Health{time.Minute: status.Unknown, 10 * time.Hour: status.Degraded} {
		got := status.OfServed("prod", set, begin.Add(after), errors.New("no broker"))
		if got.Health != want || got.Stream != nil || got.Problems["log"] != "no broker" || len(got.Channels) != 2 || !got.Channels[0].InSet {
			t.Errorf("%+v", got)
		}
		var text bytes.Buffer
		must(t, got.Table(&text))
		if !strings.Contains(text.String(), "not known: log: no broker") {
			t.Error(text.String())
		}
	}
}
