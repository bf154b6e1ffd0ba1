package view_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"fleetlog/consumers/view"
	"fleetlog/events"
	"fleetlog/internal/fleetsim"
	"fleetlog/manifest"
	"fleetlog/producers"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
)

var (
	epoch  = time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	signer = fleetsim.NewEd25519Signer(1)
	policy = manifest.Policy{Window: 3600}
	at     = view.Resolved{Seq: 9, Tick: 3, Time: events.TimeOf(epoch.Add(time.Minute))}
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// polled is a release and what a poller states about it.
func polled(t testing.TB) (fleetsim.Release, *producers.Result) {
	t.Helper()
	f := fleetsim.Fleet{Hosts: 4, Channels: 2, Idle: 1, Commit: "0a1b2c3d", SignedAt: epoch.Add(1500 * time.Microsecond)}
	release, err := f.Sign(signer)
	must(t, err)
	poll := producers.Poll{
		Source: producers.NewDirectory(release), Window: policy.Window, Concurrency: 1,
		Trust: func() ([]byte, error) { return signer.Trust(), nil },
	}
	return release, poll.Tick(t.Context(), epoch.Add(time.Minute), producers.Memory{})
}

// golden is the JSON of one set, and goldenTable its table.
const golden = `{
	"setDigest": "0bac0fa2e57f2d21708be56045e643f377c472ab68afd8219819c38f81a009be",
	"fleet": {
		"fleetHash": "0ff68672fcfe228d5aa5fb5bc58b60dd67f0383e9b9827e0f20c0a9cd833737b",
		"sha256": "0ff68672fcfe228d5aa5fb5bc58b60dd67f0383e9b9827e0f20c0a9cd833737b",
		"signedAt": "2026-05-01T00:00:00.001500Z",
		"freshUntil": "2026-05-01T01:00:00.001500Z",
		"ciCommit": "0a1b2c3d",
		"hosts": 4,
		"channels": 3,
		"key": "iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w="
	},
	"rollouts": {
		"channel-000": {
			"rolloutId": "channel-000@0a1b2c3d",
			"manifestHash": "ff960615d57a4e875222ecb96446c37abc5500dff95d8161dc8f86c366952b94",
			"sha256": "ff960615d57a4e875222ecb96446c37abc5500dff95d8161dc8f86c366952b94",
			"signedAt": "2026-05-01T00:00:00.001500Z",
			"freshUntil": "2026-05-01T01:00:00.001500Z",
			"channelRef": "0a1b2c3d",
			"hosts": 2,
			"key": "iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w="
		},
		"channel-001": {
			"rolloutId": "channel-001@0a1b2c3d",
			"manifestHash": "ab7e2b6d54770c8ffbef09eded1a299a13d60c0bccfe88362237d8c65d288dd5",
			"sha256": "ab7e2b6d54770c8ffbef09eded1a299a13d60c0bccfe88362237d8c65d288dd5",
			"signedAt": "2026-05-01T00:00:00.001500Z",
			"freshUntil": "2026-05-01T01:00:00.001500Z",
			"channelRef": "0a1b2c3d",
			"hosts": 2,
			"key": "iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w="
		}
	},
	"without": [
		"gone"
	],
	"resolved": {
		"seq": 9,
		"tick": 3,
		"time": "2026-05-01T00:01:00.000Z"
	},
	"verified": true,
	"stale": false
}
`

const goldenTable = `SET     0bac0fa2e57f2d21708be56045e643f377c472ab68afd8219819c38f81a009be
FLEET   0ff68672fcfe228d5aa5fb5bc58b60dd67f0383e9b9827e0f20c0a9cd833737b
SIGNED  2026-05-01T00:00:00.001500Z by iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w=
HOSTS   4 in 3 channels

CHANNEL        ROLLOUT               HOSTS  SIGNED
"channel-000"  channel-000@0a1b2c3d  2      2026-05-01T00:00:00.001500Z
"channel-001"  channel-001@0a1b2c3d  2      2026-05-01T00:00:00.001500Z
"gone"         not covered by trust any more

as of seq:9 tick:3 2026-05-01T00:01:00.000Z (verified under the trust file given)
`

func text(t testing.TB, v view.Set) string {
	t.Helper()
	data, err := json.Marshal(v, json.Deterministic(true), jsontext.Multiline(true))
	must(t, err)
	return string(data) + "\n"
}

func table(t testing.TB, v view.Set) string {
	t.Helper()
	var b bytes.Buffer
	must(t, v.Table(&b))
	return b.String()
}

func TestGolden(t *testing.T) {
	_, result := polled(t)
	v := view.Of(result.Memory.Set, []string{"gone"}, at, policy)
	if diff := cmp.Diff(golden, text(t, v)); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(goldenTable, table(t, v)); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

// TestNoSet is shown as none, with the point all the same.
func TestNoSet(t *testing.T) {
	v := view.Of(nil, nil, at, policy)
	want := "no set\n\nas of seq:9 tick:3 2026-05-01T00:01:00.000Z (verified under the trust file given)\n"
	if diff := cmp.Diff(want, table(t, v)); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
	if v.Judge(epoch.AddDate(9, 0, 0)); v.Stale {
		t.Error("no set is stale")
	}
}

// TestThreeWays: the set that was verified, the one that the log states, and the
// one that files say, are the same but for what only verification can tell.
func TestThreeWays(t *testing.T) {
	release, result := polled(t)
	verified := view.Of(result.Memory.Set, nil, at, policy)

	tick := &events.Tick{
		Completed: &events.TickCompleted{Set: result.Reference()},
		Head:      events.Head{Seq: at.Seq, Number: at.Tick, Time: at.Time},
	}
	said := view.Said(tick, result.Findings)
	if said.Verified {
		t.Error("what the log states is not verified")
	}
	said.Verified = true
	if diff := cmp.Diff(text(t, verified), text(t, said)); diff != "" {
		t.Errorf("set (-verified +stated):\n%s", diff)
	}

	files := view.Set{SetDigest: verified.SetDigest, Rollouts: map[string]view.Rollout{}, Resolved: at, Verified: true}
	must(t, files.AddFleet(release["fleet.resolved.json"].Data, policy.Window))
	for channel, r := range verified.Rollouts {
		must(t, files.AddRollout(channel, r.RolloutID, release["rollouts/"+r.RolloutID+".json"].Data, policy.Window))
	}
	keyless := view.Of(result.Memory.Set, nil, at, policy)
	keyless.Fleet.Key = ""
	for channel, r := range keyless.Rollouts {
		r.Key = ""
		keyless.Rollouts[channel] = r
	}
	if diff := cmp.Diff(text(t, keyless), text(t, files)); diff != "" {
		t.Errorf("set (-verified +files):\n%s", diff)
	}
}

// TestSaidWithout leaves out what trust has taken since.
func TestSaidWithout(t *testing.T) {
	_, result := polled(t)
	ref := result.Reference()
	ref.Without = []string{fleetsim.ChannelName(1)}
	tick := &events.Tick{Completed: &events.TickCompleted{Set: ref}}
	v := view.Said(tick, result.Findings)
	if _, ok := v.Rollouts[fleetsim.ChannelName(1)]; ok || len(v.Rollouts) != 1 {
		t.Errorf("shows %v", v.Rollouts)
	}
	if got := table(t, v); !strings.Contains(got, `"channel-001"  not covered by trust any more`) || !strings.Contains(got, "not verified") {
		t.Errorf("table:\n%s", got)
	}
	tick.Completed.Set = nil
	if v := view.Said(tick, nil); v.Fleet != nil || v.SetDigest != nil {
		t.Errorf("shows %+v where the log has no set", v)
	}
}

// TestJudge: a set is stale once its fleet or any manifest is past its window
// and a minute.
func TestJudge(t *testing.T) {
	_, result := polled(t)
	signedAt := result.Memory.Set.Fleet().SignedAt().Time()
	limit := signedAt.Add(time.Hour + time.Minute)
	for _, c := range []struct {
		name   string
		now    time.Time
		change func(*view.Set)
		stale  bool
	}{
		{"at the limit", limit, func(*view.Set) {}, false},
		{"behind it", limit.Add(time.Nanosecond), func(*view.Set) {}, true},
		{"a fleet without an end", limit.AddDate(1, 0, 0), func(v *view.Set) { v.Fleet.FreshUntil, v.Rollouts = nil, nil }, false},
		{"one manifest alone", limit.Add(time.Second), func(v *view.Set) { v.Fleet.FreshUntil = nil }, true},
		{"the fleet alone", limit.Add(time.Second), func(v *view.Set) { v.Rollouts = nil }, true},
	} {
		v := view.Of(result.Memory.Set, nil, at, policy)
		c.change(&v)
		if v.Judge(c.now); v.Stale != c.stale {
			t.Errorf("%s: stale %v, want %v", c.name, v.Stale, c.stale)
		}
		if v.Fleet != nil && strings.Contains(table(t, v), "; STALE)") != c.stale {
			t.Errorf("%s: table:\n%s", c.name, table(t, v))
		}
	}
	v := view.Of(result.Memory.Set, nil, at, manifest.Policy{Window: manifest.Unlimited})
	if v.Judge(epoch.AddDate(5000, 0, 0)); v.Stale || v.Fleet.FreshUntil != nil {
		t.Error("an unlimited window ends")
	}
}
