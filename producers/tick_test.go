package producers_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"fleetlog/events"
	"fleetlog/internal/fleetsim"
	"fleetlog/manifest"
	"fleetlog/producers"

	"github.com/google/go-cmp/cmp"
)

var (
	signedAt = time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	signer   = fleetsim.NewEd25519Signer(1)
)

// fleet is the release that most tests begin with: two channels with hosts and
// one without.
func fleet() fleetsim.Fleet {
	return fleetsim.Fleet{Hosts: 6, Channels: 2, Idle: 1, Commit: "aaaa", SignedAt: signedAt}
}

func sign(t testing.TB, f fleetsim.Fleet) fleetsim.Release {
	t.Helper()
	release, err := f.Sign(signer)
	if err != nil {
		t.Fatal(err)
	}
	return release
}

// served is a release directory that may change between two reads.
type served struct {
	mu      sync.Mutex
	release fs.FS
	reads   []string
	before  func(name string, nth int) // called ahead of each read with how often the file was read before
}

func (s *served) Open(name string) (fs.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	nth := 0
	for _, read := range s.reads {
		if read == name {
			nth++
		}
	}
	s.reads = append(s.reads, name)
	if s.before != nil {
		s.before(name, nth)
	}
	return s.release.Open(name)
}

// station is a poll over a served directory, and the memory from tick to tick.
type station struct {
	*served
	poll   producers.Poll
	memory producers.Memory
	trust  []byte
}

func newStation(release fs.FS) *station {
	s := &station{served: &served{release: release}, trust: signer.Trust()}
	s.poll = producers.Poll{
		Source: producers.NewDirectory(s.served), Window: 3600, Concurrency: 1,
		Trust: func() ([]byte, error) {
			if s.trust == nil {
				return nil, errors.New("no such file")
			}
			return s.trust, nil
		},
	}
	return s
}

// tick polls at signedAt + after, and remembers.
func (s *station) tick(t testing.TB, after time.Duration) *producers.Result {
	t.Helper()
	r := s.poll.Tick(t.Context(), signedAt.Add(after), s.memory)
	s.memory = r.Memory
	return r
}

// said is the findings in short, sorted by channel: what they are, of what, and
// why.
func said(r *producers.Result) []string {
	var all []string
	for _, f := range r.Findings {
		channel, _ := f.ChannelName()
		switch f := f.(type) {
		case *events.FleetFetched:
			all = append(all, "fleet")
		case *events.FleetRejected:
			all = append(all, fmt.Sprintf("fleet %s %s", f.Stage, f.Reason))
		case *events.RolloutVerified:
			all = append(all, strings.TrimSpace(channel+" "+string(f.Carried)))
		case *events.RolloutRejected:
			all = append(all, fmt.Sprintf("%s %s %s", channel, f.Stage, f.Reason))
		case *events.CrossCheckFailed:
			all = append(all, channel+" "+f.Check)
		case *events.ChannelIdle:
			all = append(all, channel+" idle")
		}
	}
	slices.Sort(all)
	return all
}

func wantSaid(t *testing.T, r *producers.Result, want ...string) {
	t.Helper()
	slices.Sort(want)
	if diff := cmp.Diff(want, said(r)); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
		return
	}
	provoked.of(r.Findings)
}

// channels are the channels of the set, comma-separated; "none" without a set.
func channels(set *manifest.Set) string {
	if set == nil {
		return "none"
	}
	names := []string{}
	for _, r := range set.Rollouts() {
		names = append(names, strings.TrimPrefix(r.Value().Channel, "channel-"))
	}
	return strings.Join(names, ",")
}

func wantSet(t *testing.T, r *producers.Result, want string) {
	t.Helper()
	if got := channels(r.Memory.Set); got != want {
		t.Errorf("set has channels %s, want %s", got, want)
	}
}

const c0, c1, c2 = "channel-000", "channel-001", "channel-002"

var allVerified = []string{"fleet", c0, c1, c2 + " idle"}

// rolloutFile is the manifest of one channel in the release.
func rolloutFile(t testing.TB, release fleetsim.Release, channel string) string {
	t.Helper()
	for name, f := range release {
		if strings.HasPrefix(name, "rollouts/") && strings.HasSuffix(name, ".json") &&
			bytes.Contains(f.Data, []byte(`"channel":"`+channel+`"`)) {
			return name
		}
	}
	t.Fatalf("release has no manifest of %s", channel)
	return ""
}

// edit returns the release with one file replaced, or removed when data is nil.
func edit(release fleetsim.Release, name string, data []byte) fleetsim.Release {
	edited := fleetsim.Release{}
	for n, f := range release {
		edited[n] = f
	}
	delete(edited, name)
	if data != nil {
		f := *release[name]
		f.Data = data
		edited[name] = &f
	}
	return edited
}

func TestTickVerifiesBothRevisions(t *testing.T) {
	for _, older := range []bool{false, true} {
		f := fleet()
		f.Older = older
		s := newStation(sign(t, f))
		r := s.tick(t, time.Minute)
		wantSaid(t, r, allVerified...)
		wantSet(t, r, "000,001")
		if len(r.Artifacts) != 3 {
			t.Errorf("%d artifacts, want those of the fleet and two manifests", len(r.Artifacts))
		}
		if floor := r.Memory.Floor; floor == nil || !floor.SignedAt.Time().Equal(signedAt) {
			t.Errorf("floor %v, want the fleet's signing time", floor)
		}
	}
}

func TestTickRefusesOneChannelAlone(t *testing.T) {
	release := sign(t, fleet())
	name := rolloutFile(t, release, c0)
	tampered := bytes.Replace(release[name].Data, []byte("nixos-system"), []byte("nixos-system-x"), 1)
	otherHosts, err := signer.Sign(bytes.Replace(release[name].Data, []byte("host-000000"), []byte("host-999999"), 1))
	if err != nil {
		t.Fatal(err)
	}
	foreign := edit(edit(release, name, otherHosts.Body), name+".sig", otherHosts.Signature)
	for what, c := range map[string]struct {
		release fleetsim.Release
		want    string
	}{
		"tampered":        {edit(release, name, tampered), c0 + " verify BadSignature"},
		"not JSON":        {edit(release, name, []byte("<html>")), c0 + " verify Parse"},
		"other hosts":     {foreign, c0 + " host-set"},
		"long signature":  {edit(release, name+".sig", make([]byte, 4096)), c0 + " verify BadSignature"},
		"absent manifest": {edit(release, name, nil), c0 + " fetch Unreachable"},
	} {
		t.Run(what, func(t *testing.T) {
			r := newStation(c.release).tick(t, time.Minute)
			wantSaid(t, r, "fleet", c.want, c1, c2+" idle")
			wantSet(t, r, "001")
		})
	}
}

func TestTickKeepsFloor(t *testing.T) {
	f := fleet()
	s := newStation(sign(t, f))
	s.tick(t, time.Minute)

	older := f
	older.SignedAt = signedAt.Add(-time.Second)
	s.release = sign(t, older)
	r := s.tick(t, 2*time.Minute)
	wantSaid(t, r, "fleet floor Rollback")
	wantSet(t, r, "000,001")

	other := f
	other.Closures++
	s.release = sign(t, other)
	r = s.tick(t, 3*time.Minute)
	wantSaid(t, r, "fleet floor Equivocation")
	wantSet(t, r, "000,001")

	s.release = sign(t, f)
	wantSaid(t, s.tick(t, 4*time.Minute), allVerified...)
}

func TestTickCarriesWhatCannotBeFetched(t *testing.T) {
	f := fleet()
	release := sign(t, f)
	name := rolloutFile(t, release, c0)
	s := newStation(release)
	s.tick(t, time.Minute)

	s.release = edit(release, name, nil)
	r := s.tick(t, 2*time.Minute)
	wantSaid(t, r, "fleet", c0+" Unreachable", c1, c2+" idle")
	wantSet(t, r, "000,001")
	r = s.tick(t, 3*time.Minute) // carried from a carried one
	wantSet(t, r, "000,001")

	// The same id, but made from another fleet: it passes the checks no more.
	f.Closures, f.SignedAt = 1, signedAt.Add(time.Minute)
	s.release = edit(sign(t, f), name, nil)
	r = s.tick(t, 4*time.Minute)
	wantSaid(t, r, "fleet", c0+" fetch Unreachable", c1, c2+" idle")
	wantSet(t, r, "001")
}

func TestTickFetchesTornPairOnce(t *testing.T) {
	f := fleet()
	old := sign(t, f)
	f.SignedAt = signedAt.Add(time.Minute)
	next := sign(t, f)
	for _, c := range []struct {
		file  string
		heals bool
		want  []string
	}{
		{"fleet.resolved.json", true, allVerified},
		{"fleet.resolved.json", false, []string{"fleet verify BadSignature"}},
		{rolloutFile(t, next, c0), true, allVerified},
		{rolloutFile(t, next, c0), false, []string{"fleet", c0 + " verify BadSignature", c1, c2 + " idle"}},
	} {
		s := newStation(next)
		torn := edit(next, c.file, old[c.file].Data)
		s.before = func(name string, nth int) {
			s.release = next
			if name == c.file && (nth == 0 || !c.heals) {
				s.release = torn
			}
		}
		wantSaid(t, s.tick(t, 2*time.Minute), c.want...)
		if n := count(s.reads, c.file); n != 2 {
			t.Errorf("%s was read %d times, want 2", c.file, n)
		}
	}
}

func count(all []string, s string) (n int) {
	for _, other := range all {
		if other == s {
			n++
		}
	}
	return n
}

// TestTickSettlesGenerations re-signs a release at the same commit, so that the
// rollout ids stay: fleet and rollouts of different generations must settle
// inside the tick.
func TestTickSettlesGenerations(t *testing.T) {
	f := fleet()
	old := sign(t, f)
	f.SignedAt = signedAt.Add(time.Minute)
	next := sign(t, f)
	const fleetFile = "fleet.resolved.json"

	t.Run("fleet first seen old", func(t *testing.T) {
		s := newStation(next)
		s.before = func(name string, nth int) {
			s.release = next
			if strings.HasPrefix(name, fleetFile) && nth == 0 {
				s.release = old
			}
		}
		r := s.tick(t, 2*time.Minute)
		wantSaid(t, r, allVerified...)
		if got := r.Memory.Set.Fleet().SignedAt().Time(); !got.Equal(f.SignedAt) {
			t.Errorf("set has the fleet signed at %s", got)
		}
	})
	t.Run("one manifest first seen old", func(t *testing.T) {
		s := newStation(next)
		late := rolloutFile(t, next, c1)
		s.before = func(name string, nth int) {
			s.release = next
			if strings.HasPrefix(name, late) && nth == 0 {
				s.release = old
			}
		}
		wantSaid(t, s.tick(t, 2*time.Minute), allVerified...)
		if n := count(s.reads, rolloutFile(t, next, c0)); n != 1 {
			t.Errorf("the manifest that fitted was read %d times, want 1", n)
		}
	})
	t.Run("one manifest stays old", func(t *testing.T) {
		s := newStation(next)
		late := rolloutFile(t, next, c1)
		s.before = func(name string, _ int) {
			s.release = next
			if strings.HasPrefix(name, late) {
				s.release = old
			}
		}
		r := s.tick(t, 2*time.Minute)
		wantSaid(t, r, "fleet", c0, c1+" fleet-hash", c2+" idle")
		wantSet(t, r, "000")
		if n := count(s.reads, fleetFile); n != 2 {
			t.Errorf("fleet was read %d times, want 2", n)
		}
	})
}

func TestTickUnderOtherTrust(t *testing.T) {
	release := sign(t, fleet())
	other := fleetsim.NewEd25519Signer(2)

	t.Run("trust file refused", func(t *testing.T) {
		s := newStation(release)
		s.tick(t, time.Minute)
		for _, broken := range [][]byte{[]byte("{"), nil} {
			s.trust = broken
			r := s.tick(t, 2*time.Minute)
			wantSaid(t, r, "fleet trust TrustInvalid")
			wantSet(t, r, "000,001")
			if !r.Unjudged {
				t.Error("tick claims to have judged")
			}
		}
	})
	t.Run("key replaced", func(t *testing.T) {
		s := newStation(release)
		s.tick(t, time.Minute)
		s.trust = other.Trust()
		r := s.tick(t, 2*time.Minute)
		wantSaid(t, r, "fleet verify BadSignature")
		wantSet(t, r, "none")
	})
	t.Run("one manifest was signed by a key that went", func(t *testing.T) {
		name := rolloutFile(t, release, c0)
		resigned, err := other.Sign(release[name].Data)
		if err != nil {
			t.Fatal(err)
		}
		s := newStation(edit(release, name+".sig", resigned.Signature))
		s.trust = bothKeys(t)
		wantSaid(t, s.tick(t, time.Minute), allVerified...)
		s.trust = signer.Trust()
		s.release = fleetsim.Release{} // nothing comes: what trust took stays out
		r := s.tick(t, 2*time.Minute)
		wantSaid(t, r, "fleet fetch Unreachable")
		wantSet(t, r, "001")
		if diff := cmp.Diff([]string{c0}, r.Memory.Without); diff != "" {
			t.Errorf("without (-want +got):\n%s", diff)
		}
	})
}

// bothKeys is a trust file with the keys of both test signers.
func bothKeys(t testing.TB) []byte {
	t.Helper()
	current, ok := bytes.CutPrefix(signer.Trust(), []byte(`{"ciReleaseKey":{"current":`))
	previous, okPrevious := bytes.CutPrefix(fleetsim.NewEd25519Signer(2).Trust(), []byte(`{"ciReleaseKey":{"current":`))
	if !ok || !okPrevious {
		t.Fatal("trust files have another shape")
	}
	end := []byte(`},"schemaVersion":1}`)
	return fmt.Appendf(nil, `{"ciReleaseKey":{"current":%s,"previous":%s},"schemaVersion":1}`,
		bytes.TrimSuffix(current, end), bytes.TrimSuffix(previous, end))
}

func TestTickJudgesAge(t *testing.T) {
	s := newStation(sign(t, fleet()))
	wantSaid(t, s.tick(t, time.Hour+time.Minute), allVerified...)
	r := s.tick(t, time.Hour+time.Minute+time.Millisecond)
	wantSaid(t, r, "fleet verify Stale")
	wantSet(t, r, "000,001")
	s.memory = producers.Memory{}
	wantSaid(t, s.tick(t, -time.Minute), allVerified...)
	wantSaid(t, s.tick(t, -time.Minute-time.Millisecond), "fleet verify FutureDated")
}

func TestTickThatIsCancelled(t *testing.T) {
	s := newStation(sign(t, fleet()))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := s.poll.Tick(ctx, signedAt, producers.Memory{})
	wantSaid(t, r, "fleet fetch Timeout")
}

func TestTickRefusesNamesThatNoFileCanHave(t *testing.T) {
	release := sign(t, fleet())
	for name, want := range map[string]string{
		"..":                      " identity IdentityUnservable",
		"a/b":                     " identity IdentityUnservable",
		"*":                       " identity IdentityUnservable",
		"a b":                     " identity IdentityUnservable",
		"ü":                       " identity IdentityUnservable",
		strings.Repeat("x", 4096): " fetch Unreachable",
	} {
		body := bytes.ReplaceAll(release["fleet.resolved.json"].Data, []byte(c0), []byte(name))
		received, err := signer.Sign(body)
		if err != nil {
			t.Fatal(err)
		}
		s := newStation(edit(edit(release, "fleet.resolved.json", received.Body), "fleet.resolved.json.sig", received.Signature))
		got := said(s.tick(t, time.Minute))
		if !slices.Contains(got, name+want) {
			t.Errorf("channel %.20q: %.200q, want %q", name, got, want)
		}
	}
	body := bytes.ReplaceAll(release["fleet.resolved.json"].Data, []byte(c0), bytes.Repeat([]byte("x"), 4097))
	received, err := signer.Sign(body)
	if err != nil {
		t.Fatal(err)
	}
	s := newStation(edit(edit(release, "fleet.resolved.json", received.Body), "fleet.resolved.json.sig", received.Signature))
	wantSaid(t, s.tick(t, time.Minute), "fleet verify Projection")
}
