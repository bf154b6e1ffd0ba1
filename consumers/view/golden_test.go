package view_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fleetlog/consumers/view"
	"fleetlog/events"
	"fleetlog/internal/fleetsim"
	"fleetlog/manifest"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files of testdata anew")

// hold compares an answer with the golden file of that name.
func hold(t *testing.T, name string, answer []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		must(t, os.WriteFile(file, answer, 0o644))
	}
	kept, err := os.ReadFile(file)
	must(t, err)
	if diff := cmp.Diff(strings.Split(string(kept), "\n"), strings.Split(string(answer), "\n")); diff != "" {
		t.Errorf("%s (-kept +made):\n%s", name, diff)
	}
}

// holdBoth does so with the table and the JSON of one answer.
func holdBoth(t *testing.T, name string, answer any, table func(io.Writer) error) {
	t.Helper()
	var b bytes.Buffer
	must(t, table(&b))
	hold(t, name+".txt", b.Bytes())
	data, err := json.Marshal(answer, json.Deterministic(true), jsontext.Multiline(true))
	must(t, err)
	hold(t, name+".json", append(data, '\n'))
}

// moment is the n-th tick of the golden past.
func moment(n uint64) view.Resolved {
	return view.Resolved{Seq: 5 * n, Tick: n, Time: events.TimeOf(epoch.Add(time.Duration(n) * 30 * time.Second))}
}

func instant(n uint64) manifest.Instant {
	return manifest.InstantOf(epoch.Add(time.Duration(n) * time.Minute))
}

// setOf has the fleet and channels of these versions.
func setOf(n uint64, fleet string, channels map[string]string) view.Set {
	end := instant(n + 60)
	s := view.Set{Rollouts: map[string]view.Rollout{}, Resolved: moment(n), Verified: true}
	if fleet == "" {
		return s
	}
	digest := manifest.Sum(fmt.Append(nil, fleet, channels))
	s.SetDigest = &digest
	s.Fleet = &view.Fleet{
		FleetHash: manifest.Sum([]byte(fleet)), SignedAt: instant(n), FreshUntil: &end, CICommit: &fleet, Key: "key-of-the-fleet",
	}
	for name, ref := range channels {
		s.Rollouts[name] = view.Rollout{
			RolloutID: name + "@" + ref, ManifestHash: manifest.Sum([]byte(name + ref)), SignedAt: instant(n), FreshUntil: &end,
			ChannelRef: ref, Key: "key-of-" + name,
		}
	}
	return s
}

// step is one tick of the golden history.
type step struct {
	set      view.Set
	findings []events.Finding
}

func goldenSteps() []step {
	fetched := &events.FleetFetched{}
	verified := func(channel string) *events.RolloutVerified { return &events.RolloutVerified{Channel: channel} }
	carried := verified("edge")
	carried.Carried = events.Timeout
	id := "stable@c2"
	one, two := map[string]string{"edge": "c1", "stable": "c1"}, map[string]string{"edge": "c2"}
	return []step{
		{setOf(1, "", nil), []events.Finding{&events.FleetRejected{Stage: events.StageFetch, Reason: events.Unavailable, Detail: "status 503"}}},
		{setOf(2, "c1", one), []events.Finding{fetched, verified("edge"), &events.ChannelIdle{Channel: "lab", Reason: events.NoClosure}, verified("stable")}},
		{setOf(2, "c1", one), []events.Finding{fetched, carried, &events.ChannelIdle{Channel: "lab", Reason: events.NoClosure}, verified("stable")}},
		{setOf(4, "c2", two), []events.Finding{fetched, verified("edge"), &events.ChannelIdle{Channel: "lab", Reason: events.Removed},
			&events.CrossCheckFailed{Channel: "stable", Check: events.CheckFleetHash, Expected: manifest.Sum([]byte("c2")), Actual: manifest.Sum([]byte("c1"))}}},
		{setOf(4, "c2", two), []events.Finding{fetched, verified("edge"),
			&events.RolloutRejected{Channel: "stable", RolloutID: &id, Stage: events.StageVerify, Reason: "BadSignature", Detail: "no key in force signed it"}}},
		{setOf(4, "c2", two), []events.Finding{&events.FleetRejected{Stage: events.StageFloor, Reason: events.Rollback}}},
		{setOf(7, "c2", nil), []events.Finding{&events.FleetRejected{Stage: events.StageFloor, Reason: events.Rollback}}},
		{setOf(8, "", nil), []events.Finding{&events.FleetRejected{Stage: events.StageVerify, Reason: events.NoTrustRoots}}},
		{setOf(9, "\x1b[31mred", map[string]string{"odd\n": "c\t3"}), []events.Finding{fetched, verified("odd\n")}},
	}
}

func goldenChanges() []view.Change {
	var all []view.Change
	var before view.Snapshot
	for n, s := range goldenSteps() {
		s.set.Resolved = moment(uint64(n + 1))
		after := before.Next(s.set, s.findings)
		all = append(all, view.Changes(before, after)...)
		before = after
	}
	return all
}

func TestGoldenHistory(t *testing.T) {
	all := goldenChanges()
	since := moment(1)
	holdBoth(t, "history", all, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, view.ChangeHeader)
		for _, c := range all {
			err = errors.Join(err, c.Line(w))
		}
		return errors.Join(err, view.HistoryEnd{Since: &since, Until: moment(9)}.Line(w, uint64(len(all))))
	})
}

// TestNothingChanges between a snapshot and the same one.
func TestNothingChanges(t *testing.T) {
	var before view.Snapshot
	for _, s := range goldenSteps() {
		before = before.Next(s.set, s.findings)
		if changes := view.Changes(before, before); len(changes) != 0 {
			t.Errorf("a snapshot differs from itself: %+v", changes)
		}
	}
}

func TestGoldenHostHistory(t *testing.T) {
	set := setOf(2, "c1", map[string]string{"edge": "c1"})
	told := &view.Told{Channel: "edge", Closure: "0a1b-nixos-system-web-1", Wave: 1}
	next := &view.Told{Channel: "edge", Closure: "2c3d-nixos-system-web-1", Wave: 1}
	all := []view.HostChange{
		{Resolved: moment(2), Host: "web-1", To: told, Rollout: set.RolloutVersion("edge"), Verified: true},
		{Resolved: moment(3), Host: "web-1", From: told, To: told, Rollout: set.RolloutVersion("edge"), Verified: true},
		{Resolved: moment(4), Host: "web-1", From: told, To: next, Rollout: set.RolloutVersion("edge")},
		{Resolved: moment(5), Host: "web-1", From: next},
	}
	holdBoth(t, "host", all, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, view.HostChangeHeader)
		for _, c := range all {
			err = errors.Join(err, c.Line(w))
		}
		return err
	})
}

// contentOf reads a signed release as a verified set.
func contentOf(t *testing.T, f fleetsim.Fleet, n uint64, edit func(set *view.Set, fleet map[string]any)) *view.Content {
	t.Helper()
	release, err := f.Sign(signer)
	must(t, err)
	set := view.Set{Rollouts: map[string]view.Rollout{}, Resolved: moment(n)}
	digest := manifest.Sum(release["fleet.resolved.json"].Data)
	set.SetDigest = &digest
	bodies := map[string][]byte{}
	for i := range f.Channels {
		id := manifest.CompositeID(fleetsim.ChannelName(i), f.Commit).String()
		bodies[fleetsim.ChannelName(i)] = release["rollouts/"+id+".json"].Data
		must(t, set.AddRollout(fleetsim.ChannelName(i), id, bodies[fleetsim.ChannelName(i)], policy.Window))
	}
	var fleet map[string]any
	must(t, json.Unmarshal(release["fleet.resolved.json"].Data, &fleet))
	edit(&set, fleet)
	body, err := json.Marshal(fleet)
	must(t, err)
	must(t, set.AddFleet(body, policy.Window))
	content, err := view.ContentOf(set, body, bodies)
	must(t, err)
	return content
}

func TestGoldenDiff(t *testing.T) {
	f := fleetsim.Fleet{Hosts: 4, Channels: 2, Idle: 1, Commit: "0a1b2c3d", SignedAt: epoch}
	one := contentOf(t, f, 1, func(*view.Set, map[string]any) {})
	f.Hosts, f.Closures, f.Commit, f.SignedAt = 5, 1, "4e5f6071", epoch.Add(time.Minute)
	two := contentOf(t, f, 2, func(set *view.Set, fleet map[string]any) {
		policies := fleet["rolloutPolicies"].(map[string]any)
		policies["staged"].(map[string]any)["onHealthFailure"] = "rollback-and-halt"
		policies["one.go"] = policies["staged"]
		r := set.Rollouts["channel-001"]
		r.Key = "another key"
		set.Rollouts["channel-001"] = r
	})
	d := view.Compare(one, two)
	holdBoth(t, "diff", d, d.Table)
	same := view.Compare(two, two)
	if !same.Same {
		t.Errorf("a set differs from itself: %+v", same)
	}
	holdBoth(t, "diff-same", same, same.Table)
	none, err := view.ContentOf(view.Set{Resolved: moment(3)}, nil, nil)
	must(t, err)
	gone := view.Compare(two, none)
	if gone.Same || len(gone.Channels) != 2 || len(gone.Hosts) != 5 || gone.Fleet.To != nil {
		t.Errorf("from a set to none: %+v", gone)
	}
	if empty := view.Compare(none, none); !empty.Same {
		t.Errorf("none differs from none: %+v", empty)
	}
}

func TestGoldenTrace(t *testing.T) {
	commit, version := "c1", setOf(2, "c1", map[string]string{"edge": "c1"}).RolloutVersion("edge")
	fleet := setOf(2, commit, nil).FleetVersion()
	whole := view.Trace{
		Host: "web-1", Told: &view.Told{Channel: "edge", Closure: "0a1b-nixos-system-web-1", Wave: 1},
		Rollout:  &view.Link{Version: *version, SHA256: manifest.Sum([]byte("r")), Signature: bytes.Repeat([]byte{7}, 64), Algorithm: "ed25519", Seq: 8},
		Fleet:    &view.Link{Version: *fleet, SHA256: manifest.Sum([]byte("f")), Signature: bytes.Repeat([]byte{8}, 64), Algorithm: "ecdsa-p256", Seq: 6},
		Tick:     &view.TickLink{Resolved: moment(2), ID: "01966d7e-0000-7000-8000-000000000001", Digest: manifest.Sum([]byte("t")), Lineage: "0a0a0a0a-1111-4222-8333-444444444444"},
		Resolved: moment(3), Verified: true,
	}
	holdBoth(t, "trace", whole, whole.Table)
	untold := view.Trace{Host: "web\x1b1", Reason: view.Unlisted, Detail: "the fleet has no such host", Fleet: whole.Fleet, Tick: whole.Tick, Resolved: moment(3)}
	holdBoth(t, "trace-untold", untold, untold.Table)
}

func TestGoldenWhy(t *testing.T) {
	cleared := moment(9)
	w := view.Why{
		Channel: "stable", State: view.NotAdvancing, Since: moment(4), Resolved: moment(7), Cleared: &cleared,
		Steps: []view.Step{
			{Event: "FleetFetched", OK: true, Detail: "fleet c2", Since: moment(4), Seq: 16},
			{Event: "CrossCheckFailed", Reason: events.CheckFleetHash, Detail: "the fleet gives c2,\nthe manifest says c1", Since: moment(4), Seq: 18, ClearsWhen: "a manifest that names the fetched fleet is served."},
		},
	}
	holdBoth(t, "why", w, w.Table)
	set := setOf(2, "c1", map[string]string{"stable": "c1"})
	in := view.Why{
		Channel: "stable", State: view.Fresh, InSet: true, Since: moment(2), Rollout: set.RolloutVersion("stable"), Resolved: moment(3), Verified: true,
		Steps: []view.Step{{Event: "FleetFetched", OK: true, Detail: "fleet c1", Since: moment(2), Seq: 6}},
	}
	holdBoth(t, "why-fresh", in, in.Table)
}

func TestGoldenReplay(t *testing.T) {
	digest, other := manifest.Sum([]byte("own")), manifest.Sum([]byte("other"))
	r := view.Replay{SetDigest: &digest, State: &view.Comparison{SetDigest: &other}}
	r.Log.SetDigest = &other
	for n := uint64(1); n <= 6; n++ {
		r.Ticks, r.Folded, r.To = n, n/2, moment(n)
		r.Log.Next(moment(n), n == 3, nil, map[string]error{"edge": errors.New("bad signature: no key")})
		r.State.Next(moment(n), n < 5, errors.New("stale: signed long ago"), nil)
	}
	holdBoth(t, "replay", r, r.Table)
	if r.OK() || r.Log.First.Tick != 4 || r.Log.Differing != 5 || r.State.First.Tick != 5 {
		t.Errorf("the comparisons are %+v and %+v", r.Log, r.State)
	}
	r.State = nil
	r.Log.Next(moment(7), true, nil, nil)
	r.To, r.Ticks = moment(7), 7
	if !r.OK() || r.Log.First != nil || r.Log.Channels != nil {
		t.Errorf("equal at the end: %+v", r.Log)
	}
	holdBoth(t, "replay-equal", r, r.Table)
}

// TestStateOf: three quarters of the window, its end, and a minute of slack.
func TestStateOf(t *testing.T) {
	v := &view.Version{SignedAt: instant(0)}
	end := instant(60)
	for after, want := range map[time.Duration]view.State{
		0: view.Fresh, 45 * time.Minute: view.Fresh, 45*time.Minute + 1: view.Expiring,
		61 * time.Minute: view.Expiring, 61*time.Minute + 1: view.Expired,
	} {
		if got := view.StateOf(v, &end, epoch.Add(after)); got != want {
			t.Errorf("%s after it was signed: %s, want %s", after, got, want)
		}
	}
	if got := view.StateOf(v, nil, epoch.AddDate(100, 0, 0)); got != view.Fresh {
		t.Errorf("without an end: %s", got)
	}
}

// TestConditions: every finding has its word.
func TestConditions(t *testing.T) {
	for want, f := range map[view.State]events.Finding{
		view.Fresh:        &events.RolloutVerified{},
		view.Rejected:     &events.RolloutRejected{Stage: events.StageVerify, Reason: "Stale"},
		view.NotAdvancing: &events.CrossCheckFailed{Check: events.CheckHostSet},
		view.Missing:      &events.RolloutRejected{Stage: events.StageFetch, Reason: events.HTTPStatus},
		view.Unservable:   &events.RolloutRejected{Stage: events.StageFetch, Reason: events.IdentityUnservable},
		view.Empty:        &events.ChannelIdle{Reason: events.NoClosure},
	} {
		if got := view.ConditionOf(f, true); got.State != want || got.OK() != (want == view.Fresh) {
			t.Errorf("%T: %+v, want %s", f, got, want)
		}
	}
	if got := view.ConditionOf(&events.FleetRejected{}, false).State; got != view.Missing {
		t.Errorf("a refused fleet without a set: %s", got)
	}
	if got := view.ConditionOf(&events.FleetRejected{}, true).State; got != view.Rejected {
		t.Errorf("a refused fleet with a set: %s", got)
	}
}

// FuzzParseSet: whatever is read has a point, and is read again as it is shown.
func FuzzParseSet(f *testing.F) {
	f.Add([]byte(golden))
	f.Add([]byte(`{"setDigest":null,"resolved":{"seq":1,"tick":1,"time":"2026-05-01T00:00:00.000Z"}}`))
	f.Add([]byte(`{"resolved":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := view.ParseSet(data)
		if err != nil {
			return
		}
		again, err := view.ParseSet([]byte(text(t, set)))
		if err != nil || set.Resolved.Seq == 0 {
			t.Fatalf("%+v: %v", set, err)
		}
		if diff := cmp.Diff(set.SetDigest, again.SetDigest); diff != "" || set.Resolved != again.Resolved {
			t.Errorf("read again: %s %v", diff, again.Resolved)
		}
	})
}
