package producers_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fleetlog/events"
	"fleetlog/internal/broker/brokertest"
	"fleetlog/internal/fleetsim"
	"fleetlog/manifest"
	"fleetlog/producers"

	"github.com/google/go-cmp/cmp"
)

// TestUnservableIsNeverCarried: a control plane that does not know the shape of
// an id will not serve it tomorrow either. Any other answer may pass.
func TestUnservableIsNeverCarried(t *testing.T) {
	f := fleet()
	f.Commit = "NotHex"
	release := sign(t, f)
	p := startPlane(t)
	p.SetRelease(release)
	var status atomic.Int64
	p.SetIntercept(func(w http.ResponseWriter, r *http.Request) bool {
		id, ok := strings.CutPrefix(r.URL.Path, "/v1/rollouts/")
		if !ok {
			return false
		}
		name := "rollouts/" + strings.TrimSuffix(id, "/sig") + ".json"
		if strings.HasSuffix(id, "/sig") {
			name += ".sig"
		}
		if code := int(status.Load()); code != http.StatusOK {
			w.WriteHeader(code)
			return true
		}
		_, _ = w.Write(release[name].Data)
		return true
	})
	s := newStation(nil)
	s.poll.Source = p.source(t, p.files, 10*time.Second)
	tick := func(code int64, want ...string) {
		t.Helper()
		status.Store(code)
		r := s.poll.Tick(t.Context(), signedAt.Add(time.Minute), s.memory)
		wantSaid(t, r, append([]string{"fleet", c2 + " idle"}, want...)...)
		if code == http.StatusOK {
			s.memory = r.Memory
		}
	}
	tick(http.StatusOK, c0, c1)
	tick(http.StatusInternalServerError, c0+" HTTPStatus", c1+" HTTPStatus")
	tick(http.StatusServiceUnavailable, c0+" Unavailable", c1+" Unavailable")
	tick(http.StatusNotFound, c0+" fetch IdentityUnservable", c1+" fetch IdentityUnservable")
	s.memory = producers.Memory{}
	tick(http.StatusInternalServerError, c0+" fetch HTTPStatus", c1+" fetch HTTPStatus")
}

// TestFleetWithoutCommit has the ids channel@, which no control plane serves and
// a release directory does.
func TestFleetWithoutCommit(t *testing.T) {
	f := fleet()
	f.Commit = ""
	release := sign(t, f)
	wantSaid(t, newStation(release).tick(t, time.Minute), allVerified...)
	p := startPlane(t)
	p.SetRelease(release)
	var asked atomic.Int64
	p.SetIntercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasPrefix(r.URL.Path, "/v1/rollouts/") {
			asked.Add(1)
		}
		return false
	})
	s := newStation(nil)
	s.poll.Source = p.source(t, p.files, 10*time.Second)
	wantSaid(t, s.tick(t, time.Minute), "fleet", c0+" identity IdentityUnservable", c1+" identity IdentityUnservable", c2+" idle")
	if asked.Load() > 0 {
		t.Errorf("%d requests for what is never served", asked.Load())
	}
}

// trustOf is a trust file with these keys: current, previous and successor.
func trustOf(t testing.TB, keys ...*fleetsim.Signer) []byte {
	t.Helper()
	members := []string{`"retireAt":"2100-01-01T00:00:00Z"`}
	for i, key := range keys {
		trust, err := manifest.ParseTrust(key.Trust())
		if err != nil {
			t.Fatal(err)
		}
		k := trust.Keys(signedAt)[0]
		members = append(members, fmt.Sprintf(`%q:{"algorithm":%q,"public":%q}`, []string{"current", "previous", "successor"}[i], k.Algorithm, k.Public))
	}
	return fmt.Appendf(nil, `{"schemaVersion":1,"ciReleaseKey":{%s}}`, strings.Join(members, ","))
}

// resigned is the release with some files signed by another key.
func resigned(t testing.TB, release fleetsim.Release, by *fleetsim.Signer, names ...string) fleetsim.Release {
	t.Helper()
	for _, name := range names {
		r, err := by.Sign(release[name].Data)
		if err != nil {
			t.Fatal(err)
		}
		release = edit(release, name+".sig", r.Signature)
	}
	return release
}

// TestTrustTakesOneAfterTheOther, and gives one back, which stays out until the
// next verified tick.
func TestTrustTakesOneAfterTheOther(t *testing.T) {
	two, three := fleetsim.NewEd25519Signer(2), fleetsim.NewEd25519Signer(3)
	release := sign(t, fleet())
	release = resigned(t, resigned(t, release, two, rolloutFile(t, release, c0)), three, rolloutFile(t, release, c1))
	s := newStation(release)
	s.trust = trustOf(t, signer, two, three)
	wantSaid(t, s.tick(t, time.Minute), allVerified...)
	s.release = fleetsim.Release{}
	for _, c := range []struct {
		trust   []byte
		set     string
		without []string
	}{
		{trustOf(t, signer, two, three), "000,001", nil},
		{trustOf(t, signer, three), "001", []string{c0}},
		{trustOf(t, signer, two, three), "001", []string{c0}},
		{trustOf(t, signer), "", []string{c0, c1}},
		{trustOf(t, signer, two, three), "", []string{c0, c1}},
		{trustOf(t, two), "none", nil},
		{trustOf(t, signer, two, three), "none", nil},
	} {
		s.trust = c.trust
		r := s.tick(t, 2*time.Minute)
		wantSet(t, r, c.set)
		if diff := cmp.Diff(c.without, r.Memory.Without); diff != "" {
			t.Errorf("without (-want +got):\n%s", diff)
		}
	}
	s.release = release
	wantSaid(t, s.tick(t, 3*time.Minute), allVerified...)
}

// TestCarriedFromASetThatTrustTook: the fleet is signed anew by another key, its
// bytes are the same, and one manifest cannot be fetched.
func TestCarriedFromASetThatTrustTook(t *testing.T) {
	two := fleetsim.NewEd25519Signer(2)
	release := sign(t, fleet())
	name := rolloutFile(t, release, c0)
	release = resigned(t, release, two, name, rolloutFile(t, release, c1))
	s := newStation(release)
	s.trust = trustOf(t, signer, two)
	wantSaid(t, s.tick(t, time.Minute), allVerified...)
	s.trust = trustOf(t, two)
	s.release = edit(resigned(t, release, two, "fleet.resolved.json"), name, nil)
	r := s.tick(t, 2*time.Minute)
	wantSaid(t, r, "fleet", c0+" Unreachable", c1, c2+" idle")
	wantSet(t, r, "000,001")
}

// TestArtifactsAreStoredOnce over skipped ticks and restarts: a later statement
// names the parts that an earlier one has stored.
func TestArtifactsAreStoredOnce(t *testing.T) {
	w := writerKey(t, 1)
	log := newLog(t, brokertest.Start(t), w)
	release := sign(t, fleet())
	parts := func(tick *events.Tick) (all [][]uint64) {
		for _, f := range tick.Findings {
			if a := events.ArtifactOf(f); a != nil {
				all = append(all, a.Parts)
			}
		}
		return all
	}
	first := parts(log.once(t, log.config(producers.NewDirectory(release), w)))
	log.once(t, log.config(producers.NewDirectory(fleetsim.Release{}), w))
	again := parts(log.once(t, log.config(producers.NewDirectory(release), w)))
	if diff := cmp.Diff(first, again); diff != "" || len(first) != 3 {
		t.Errorf("parts (-first +again):\n%s", diff)
	}
	if slices.ContainsFunc(first, func(p []uint64) bool { return len(p) == 0 }) {
		t.Errorf("parts %v", first)
	}
}
