package manifest

import (
	"bytes"
	"io/fs"
	"maps"
	"path"
	"slices"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
)

type channelCase struct {
	Result    string  `json:"result"`
	RolloutID string  `json:"rolloutId"`
	Bytes     int     `json:"bytes"`
	Manifest  *string `json:"manifest"`
}

type projectionCase struct {
	ID        string                 `json:"id"`
	Fleet     string                 `json:"fleet"`
	FleetHash Digest                 `json:"fleetHash"`
	Channels  map[string]channelCase `json:"channels"`
}

func TestCorpusProjection(t *testing.T) {
	files := corpusFS(t)
	results := make(map[string]int)
	cases := lines[projectionCase](t, readFile(t, files, "projection/cases.jsonl"))
	for _, c := range cases {
		c.check(t, files, results)
	}
	t.Logf("%d fleets projected as the producer does: %v", len(cases), results)
	want := map[string]int{"error": 2, "manifest": 45, "none": 44}
	if len(cases) != 42 || !maps.Equal(results, want) {
		t.Errorf("%d fleets with channel results %v, the corpus has 42 with %v", len(cases), results, want)
	}
}

// check projects the fleet and counts the channels that came out as wanted.
func (c projectionCase) check(t *testing.T, files fs.FS, results map[string]int) {
	t.Helper()
	canonical, err := Canonicalize(readFile(t, files, c.Fleet))
	if err != nil {
		t.Fatal(err)
	}
	if Sum(canonical) != c.FleetHash {
		t.Errorf("%s: fleet hash %s, want %s", c.ID, Sum(canonical), c.FleetHash)
	}
	fleet, rejection := decode(canonical, readFleet)
	if rejection != nil {
		t.Fatalf("%s: %v", c.ID, rejection)
	}
	var names []string
	for _, p := range project(fleet, c.FleetHash, ContentHash) {
		names = append(names, p.Channel)
		want, ok := c.Channels[p.Channel]
		if !ok { // the producer stopped before it came to this channel
			continue
		}
		got := resultOf(p)
		if want.Manifest != nil && !bytes.Equal(p.Manifest(), readFile(t, files, *want.Manifest)) {
			t.Errorf("%s: channel %q: manifest differs: %s", c.ID, p.Channel, p.Manifest())
		}
		want.Manifest = nil
		if got != want {
			t.Errorf("%s: channel %q: got %+v, want %+v", c.ID, p.Channel, got, want)
			continue
		}
		results[got.Result]++
	}
	if !slices.IsSorted(names) {
		t.Errorf("%s: channels out of order: %q", c.ID, names)
	}
	for name := range c.Channels {
		if !slices.Contains(names, name) {
			t.Errorf("%s: channel %q is not projected", c.ID, name)
		}
	}
}

func resultOf(p Projection) channelCase {
	switch {
	case p.Err != nil:
		return channelCase{Result: "error"}
	case p.Idle:
		return channelCase{Result: "none"}
	}
	return channelCase{Result: "manifest", RolloutID: p.ID.String(), Bytes: len(p.Manifest())}
}

func TestCorpusReleases(t *testing.T) {
	files := corpusFS(t)
	entries, err := fs.ReadDir(files, "releases")
	if err != nil {
		t.Fatal(err)
	}
	manifests := 0
	for _, e := range entries {
		t.Run(e.Name(), func(t *testing.T) { manifests += checkRelease(t, files, e.Name()) })
	}
	t.Logf("%d releases, %d manifests verified and projected", len(entries), manifests)
	if len(entries) != 18 || manifests != 54 {
		t.Errorf("%d releases with %d manifests, the corpus has 18 with 54", len(entries), manifests)
	}
}

// release is a release directory of the corpus, its fleet verified.
type release struct {
	Scheme Scheme    `json:"scheme"`
	Now    time.Time `json:"now"`

	files  fs.FS
	dir    string
	policy Policy
	fleet  Verified[Fleet]
}

func openRelease(t *testing.T, files fs.FS, name string) release {
	t.Helper()
	r := release{files: files, dir: path.Join("releases", name)}
	if err := json.Unmarshal(readFile(t, files, r.dir+"/release.json"), &r); err != nil {
		t.Fatal(err)
	}
	trust, err := ParseTrust(readFile(t, files, r.dir+"/trust.json"))
	if err != nil {
		t.Fatal(err)
	}
	r.policy = Policy{trust, r.Now, 3600, nil}
	if r.fleet, err = VerifyFleet(r.pair(t, "fleet.resolved.json"), r.policy); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r release) pair(t *testing.T, name string) Received {
	t.Helper()
	file := path.Join(r.dir, "releases", name)
	return Received{readFile(t, r.files, file), readFile(t, r.files, file+".sig")}
}

// received are the manifests of all channels that have one.
func (r release) received(t *testing.T) map[string]Received {
	t.Helper()
	all := make(map[string]Received)
	for _, p := range Project(r.fleet, r.Scheme) {
		if p.Err == nil && !p.Idle {
			all[p.Channel] = r.pair(t, "rollouts/"+p.ID.String()+".json")
		}
	}
	return all
}

func checkRelease(t *testing.T, files fs.FS, name string) (manifests int) {
	r := openRelease(t, files, name)
	if got := SchemeOf(r.fleet.Value()); got != r.Scheme {
		t.Errorf("scheme %s, want %s", got, r.Scheme)
	}
	checkProjections(t, r)
	received := r.received(t)
	set, refused, err := Assemble(r.fleet.Received(), received, "", r.policy)
	if err != nil || len(refused) > 0 || len(set.Rollouts()) != len(received) {
		t.Fatalf("assemble: %v, refused %v", err, refused)
	}
	again, err := NewSet(set.Fleet(), set.Rollouts(), r.Scheme)
	if err != nil || again.Digest() != set.Digest() {
		t.Errorf("set made of its own parts: %v", err)
	}
	for _, rollout := range set.Rollouts() {
		found, ok := set.Rollout(rollout.Value().Channel)
		if !ok || found.Hash() != rollout.Hash() {
			t.Errorf("channel %s is not found in the set", rollout.Value().Channel)
		}
	}
	return len(received)
}

// checkProjections compares with projection.json: what the producer emitted.
func checkProjections(t *testing.T, r release) {
	t.Helper()
	type emitted struct {
		RolloutID string `json:"rolloutId"`
		SHA256    Digest `json:"sha256"`
		Bytes     int    `json:"bytes"`
		Hosts     int    `json:"hosts"`
	}
	var want struct {
		FleetHash Digest              `json:"fleetResolvedHash"`
		Channels  map[string]*emitted `json:"channels"`
	}
	if err := json.Unmarshal(readFile(t, r.files, r.dir+"/projection.json"), &want); err != nil {
		t.Fatal(err)
	}
	if r.fleet.Hash() != want.FleetHash {
		t.Errorf("fleet hash %s, want %s", r.fleet.Hash(), want.FleetHash)
	}
	got := make(map[string]*emitted)
	for _, p := range Project(r.fleet, r.Scheme) {
		got[p.Channel] = nil
		if p.Err != nil {
			t.Errorf("channel %s: %v", p.Channel, p.Err)
		} else if !p.Idle {
			made := p.Manifest()
			got[p.Channel] = &emitted{p.ID.String(), Sum(made), len(made), len(p.HostSet)}
		}
	}
	if diff := cmp.Diff(want.Channels, got); diff != "" {
		t.Errorf("projection (-want +got):\n%s", diff)
	}
}
