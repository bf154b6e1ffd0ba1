package manifest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestProject(t *testing.T) {
	body := strings.Replace(twoChannels, `"edge":{"rolloutPolicy":"all"`, `"edge":{"rolloutPolicy":"gone"`, 1)
	projections := Project(verifiedFleet(t, alice, body), Composite)
	if len(projections) != 3 {
		t.Fatalf("%d projections, want 3", len(projections))
	}
	edge, idle, stable := projections[0], projections[1], projections[2]
	wantKind(t, edge.Err, KindProjection)
	if edge.Channel != "edge" || edge.Idle || edge.HostSet != nil || !edge.ID.IsZero() {
		t.Errorf("channel without its policy: %+v", edge)
	}
	if idle.Channel != "idle" || !idle.Idle || idle.Err != nil || !idle.ID.IsZero() {
		t.Errorf("channel without hosts: %+v", idle)
	}
	hosts := []HostWave{{"b", 0, "closure-b"}, {"c", 1, "closure-c"}}
	if diff := cmp.Diff(hosts, stable.HostSet); diff != "" || stable.Err != nil || stable.Idle {
		t.Errorf("hosts (-want +got):\n%s", diff)
	}
	if stable.ID != CompositeID("stable", "0123456789abcdef") {
		t.Errorf("id %s", stable.ID)
	}
	if id := Project(verifiedFleet(t, alice, body), ContentHash)[2].ID; id != ContentHashID(Sum(stable.Manifest())) {
		t.Errorf("content hash id %s", id)
	}
}

func TestProjectedManifest(t *testing.T) {
	fleet := verifiedFleet(t, alice, twoChannels)
	want := `{"channel":"edge","channelRef":"0123456789abcdef","displayName":"edge@01234567","disruptionBudgets":[],` +
		`"fleetResolvedHash":"` + fleet.Hash().String() + `","healthGate":{},` +
		`"hostSet":[{"hostname":"a","targetClosure":"closure-a","waveIndex":0}],` +
		`"meta":{"ciCommit":"0123456789abcdef","schemaVersion":1,"signatureAlgorithm":"ed25519","signedAt":"2026-01-01T00:00:00Z"},` +
		`"schemaVersion":1}`
	if diff := cmp.Diff(want, projected(fleet)["edge"]); diff != "" {
		t.Errorf("manifest (-want +got):\n%s", diff)
	}
}

func TestSelector(t *testing.T) {
	stable, edge := "stable", "edge"
	host := Host{Name: "a", Channel: stable, Tags: []string{"x", "y"}}
	for _, c := range []struct {
		name     string
		selector Selector
		want     bool
	}{
		{"empty", Selector{}, false},
		{"all", Selector{All: true}, true},
		{"name", Selector{Hosts: []string{"b", "a"}}, true},
		{"other name", Selector{Hosts: []string{"b"}}, false},
		{"channel", Selector{Channel: &stable}, true},
		{"other channel", Selector{Channel: &edge}, false},
		{"every tag", Selector{Tags: []string{"y", "x"}}, true},
		{"not every tag", Selector{Tags: []string{"x", "z"}}, false},
		{"any tag", Selector{TagsAny: []string{"z", "x"}}, true},
		{"no tag", Selector{TagsAny: []string{"z"}}, false},
		{"one clause of several", Selector{Channel: &edge, Tags: []string{"z"}, TagsAny: []string{"x"}}, true},
	} {
		if got := c.selector.matches(host); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestHostSetDigest(t *testing.T) {
	hosts := []HostWave{{"b", 1, "closure-b"}, {"ä\"", 0, ""}}
	want := Sum([]byte(`[{"hostname":"b","targetClosure":"closure-b","waveIndex":1},{"hostname":"ä\"","targetClosure":"","waveIndex":0}]`))
	if got := HostSetDigest(hosts); got != want {
		t.Errorf("digest %s, want %s", got, want)
	}
	if HostSetDigest(nil) != Sum([]byte("[]")) {
		t.Error("digest of no hosts is not that of the empty list")
	}
	hosts[0], hosts[1] = hosts[1], hosts[0]
	if HostSetDigest(hosts) == want {
		t.Error("the order does not count")
	}
}

func TestSchemeOf(t *testing.T) {
	if got := SchemeOf(verifiedFleet(t, alice, twoChannels).Value()); got != Composite {
		t.Errorf("hosts with platform: %s", got)
	}
	older := strings.ReplaceAll(twoChannels, "platform", "system")
	if got := SchemeOf(verifiedFleet(t, alice, older).Value()); got != ContentHash {
		t.Errorf("hosts with system: %s", got)
	}
	if got := SchemeOf(&Fleet{}); got != ContentHash {
		t.Errorf("no hosts: %s", got)
	}
}
