package manifest

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// parts are the fleet of twoChannels and its manifests, edge's signed by bob.
func parts(t testing.TB) (fleet Verified[Fleet], edge, stable Verified[Rollout]) {
	t.Helper()
	fleet = verifiedFleet(t, alice, twoChannels)
	manifests := projected(fleet)
	return fleet, verifiedRollout(t, bob, manifests["edge"]), verifiedRollout(t, alice, manifests["stable"])
}

func TestSet(t *testing.T) {
	fleet, edge, stable := parts(t)
	set, err := NewSet(fleet, []Verified[Rollout]{stable, edge}, "")
	if err != nil {
		t.Fatal(err)
	}
	want := Sum([]byte(`{"fleet":"` + fleet.Hash().String() + `","rollouts":{"edge":"` + edge.Hash().String() +
		`","stable":"` + stable.Hash().String() + `"}}`))
	if set.Digest() != want || set.Scheme() != Composite || set.Fleet().Hash() != fleet.Hash() {
		t.Errorf("digest %s, want %s; scheme %s", set.Digest(), want, set.Scheme())
	}
	if got := set.Rollouts(); len(got) != 2 || got[0].Hash() != edge.Hash() || got[1].Hash() != stable.Hash() {
		t.Errorf("%d rollouts, or out of order", len(got))
	}
	set.Rollouts()[0] = stable
	if got, ok := set.Rollout("edge"); !ok || got.Hash() != edge.Hash() {
		t.Error("a caller changed the set")
	}
	if _, ok := set.Rollout("idle"); ok {
		t.Error("a channel without manifest has one")
	}
	if id := set.ID(edge); id != CompositeID("edge", "0123456789abcdef") {
		t.Errorf("id %s", id)
	}
	none, err := NewSet(fleet, nil, Composite)
	if want := Sum([]byte(`{"fleet":"` + fleet.Hash().String() + `","rollouts":{}}`)); err != nil || none.Digest() != want {
		t.Errorf("set without rollouts: %v", err)
	}
}

func TestNewSetAfter(t *testing.T) {
	fleet, edge, stable := parts(t)
	both := []Verified[Rollout]{edge, stable}
	before, err := NewSet(fleet, both, "")
	if err != nil {
		t.Fatal(err)
	}
	anew, resigned, _ := parts(t)
	for _, c := range []struct {
		name     string
		fleet    Verified[Fleet]
		rollouts []Verified[Rollout]
		same     bool
	}{
		{"the same", fleet, both, true},
		{"in other order", fleet, []Verified[Rollout]{stable, edge}, false},
		{"one less", fleet, both[:1], false},
		{"none", fleet, nil, false},
		{"fleet verified anew", anew, both, false},
		{"manifest verified anew", fleet, []Verified[Rollout]{resigned, stable}, false},
	} {
		set, err := NewSetAfter(before, c.fleet, c.rollouts, "")
		if err != nil || (set == before) != c.same {
			t.Errorf("%s: %v, the same set: %v", c.name, err, set == before)
			continue
		}
		if want, err := NewSet(c.fleet, c.rollouts, ""); err != nil || set.Digest() != want.Digest() {
			t.Errorf("%s: %v, or not the set that it is without one before", c.name, err)
		}
	}
	if set, err := NewSetAfter(before, fleet, both, ContentHash); err != nil || set.Scheme() != ContentHash {
		t.Errorf("with ids of another scheme: %v, or the same set", err)
	}
}

func TestNewSetRefuses(t *testing.T) {
	fleet, edge, stable := parts(t)
	other := verifiedRollout(t, alice, strings.Replace(projected(fleet)["edge"], `"channel":"edge"`, `"channel":"nowhere"`, 1))
	idle := verifiedRollout(t, alice, strings.Replace(projected(fleet)["edge"], `"channel":"edge"`, `"channel":"idle"`, 1))
	for _, c := range []struct {
		name     string
		fleet    Verified[Fleet]
		rollouts []Verified[Rollout]
		scheme   Scheme
	}{
		{"no fleet", Verified[Fleet]{}, nil, ""},
		{"empty manifest", fleet, []Verified[Rollout]{{}}, ""},
		{"channel twice", fleet, []Verified[Rollout]{edge, stable, edge}, ""},
		{"channel unknown", fleet, []Verified[Rollout]{other}, ""},
		{"channel idle", fleet, []Verified[Rollout]{idle}, ""},
		{"manifest of another fleet", verifiedFleet(t, alice, twoChannels[:len(twoChannels)-1]+`,"x":1}`), []Verified[Rollout]{edge}, ""},
		{"manifest of another commit", verifiedFleet(t, alice, strings.Replace(twoChannels, "0123", "4567", 1)), []Verified[Rollout]{edge}, ""},
	} {
		if set, err := NewSet(c.fleet, c.rollouts, c.scheme); err == nil || set != nil {
			t.Errorf("%s: accepted", c.name)
		}
	}
}

func TestCrossCheck(t *testing.T) {
	fleet, edge, _ := parts(t)
	body, projection := projected(fleet)["edge"], Project(fleet, Composite)[0]
	if err := CrossCheck(fleet, projection, edge); err != nil {
		t.Errorf("own manifest: %v", err)
	}
	anotherHash, hash := strings.Repeat("0", 64), fleet.Hash().String()
	otherHosts := []HostWave{{"a", 7, "closure-a"}}
	for _, c := range []struct {
		name, old, changed string
		want               CrossCheckError
	}{
		{"other fleet hash", hash, anotherHash, CrossCheckError{CheckFleetHash, fleet.Hash(), Digest{}}},
		{"no hash at all", hash, "none", CrossCheckError{CheckFleetHash, fleet.Hash(), Sum([]byte("none"))}},
		{"upper case", hash, strings.ToUpper(hash), CrossCheckError{CheckFleetHash, fleet.Hash(), Sum([]byte(strings.ToUpper(hash)))}},
		{"other wave", `"waveIndex":0`, `"waveIndex":7`, CrossCheckError{CheckHostSet, HostSetDigest(projection.HostSet), HostSetDigest(otherHosts)}},
		{"no hosts", `{"hostname":"a","targetClosure":"closure-a","waveIndex":0}`, ``, CrossCheckError{CheckHostSet, HostSetDigest(projection.HostSet), HostSetDigest(nil)}},
	} {
		err := CrossCheck(fleet, projection, verifiedRollout(t, alice, strings.Replace(body, c.old, c.changed, 1)))
		var got *CrossCheckError
		if !errors.As(err, &got) || *got != c.want {
			t.Errorf("%s: %v, want %v", c.name, err, &c.want)
		}
	}
	both := strings.NewReplacer(hash, anotherHash, `"waveIndex":0`, `"waveIndex":7`).Replace(body)
	var got *CrossCheckError
	if err := CrossCheck(fleet, projection, verifiedRollout(t, alice, both)); !errors.As(err, &got) || got.Check != CheckFleetHash {
		t.Errorf("both differ: %v, want the fleet hash told first", err)
	}
}

// The same commit signed twice: ids are equal, manifests do not fit the other fleet.
func TestCrossCheckResigned(t *testing.T) {
	files := corpusFS(t)
	first, second := openRelease(t, files, "resigned-1-composite"), openRelease(t, files, "resigned-2-composite")
	policy := second.policy
	policy.Window = Unlimited
	set, refused, err := Assemble(second.fleet.Received(), first.received(t), "", policy)
	if err != nil || len(refused) == 0 || len(set.Rollouts()) != 0 {
		t.Fatalf("assembled %v, refused %v", err, refused)
	}
	for channel, err := range refused {
		var cross *CrossCheckError
		if !errors.As(err, &cross) || cross.Expected != second.fleet.Hash() || cross.Actual != first.fleet.Hash() {
			t.Errorf("channel %s: %v", channel, err)
		}
	}
}

func TestAssembleNamesWhatItRefuses(t *testing.T) {
	fleet := verifiedFleet(t, alice, twoChannels)
	manifests, policy := projected(fleet), Policy{trusting(t, alice.slot("current")), signedAt, 3600, nil}
	good := alice.sign(t, manifests["stable"])
	set, refused, err := Assemble(fleet.Received(), map[string]Received{
		"stable": good, "edge": {good.Body, make([]byte, SignatureSize)}, "idle": good, "nowhere": good,
	}, "", policy)
	if err != nil || len(set.Rollouts()) != 1 || len(refused) != 3 {
		t.Fatalf("refused %v, %v", refused, err)
	}
	wantKind(t, refused["edge"], KindBadSignature)
	for _, channel := range []string{"idle", "nowhere"} {
		if !errors.Is(refused[channel], errNoManifest) {
			t.Errorf("channel %s: %v", channel, refused[channel])
		}
	}
	_, _, err = Assemble(Received{fleet.Received().Body, nil}, nil, "", policy)
	wantKind(t, err, KindBadSignature)
	_, refused, err = Assemble(fleet.Received(), map[string]Received{"edge": good}, "", policy)
	if err != nil {
		t.Fatal(err)
	}
	wantKind(t, refused["edge"], KindMismatch)
}

func TestSetReverify(t *testing.T) {
	fleet, edge, stable := parts(t)
	set, err := NewSet(fleet, []Verified[Rollout]{edge, stable}, "")
	if err != nil {
		t.Fatal(err)
	}
	alone, err := NewSet(fleet, []Verified[Rollout]{stable}, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		trust   *Trust
		kept    *Set
		without []string
	}{
		{"both keys", trusting(t, alice.slot("current"), bob.slot("previous")), set, nil},
		{"alice's key", trusting(t, alice.slot("current")), alone, []string{"edge"}},
		{"bob's key", trusting(t, bob.slot("current")), nil, nil},
		{"all signed too early", trusting(t, alice.slot("current"), `"rejectBefore":"2027-01-01T00:00:00Z"`), nil, nil},
	} {
		kept, without := set.Reverify(c.trust, signedAt)
		if (kept == nil) != (c.kept == nil) || kept != nil && kept.Digest() != c.kept.Digest() || !slices.Equal(without, c.without) {
			t.Errorf("%s: kept %v, without %q", c.name, kept != nil, without)
		}
	}
}
