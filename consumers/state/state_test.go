package state_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"fleetlog/consumers/fold"
	"fleetlog/consumers/state"
	"fleetlog/events"
	"fleetlog/internal/fleetsim"
	"fleetlog/manifest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var (
	epoch   = time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	signer  = fleetsim.NewEd25519Signer(1)
	another = fleetsim.NewEd25519Signer(2)
)

const window = manifest.Window(3600)

var byInstant = cmpopts.EquateComparable(manifest.Instant{})

func trustOf(t testing.TB, s *fleetsim.Signer) *manifest.Trust {
	t.Helper()
	trust, err := manifest.ParseTrust(s.Trust())
	if err != nil {
		t.Fatal(err)
	}
	return trust
}

func rules(t testing.TB) fold.Rules {
	t.Helper()
	return fold.Rules{Trust: trustOf(t, signer), Window: window}
}

func fleet(n int) fleetsim.Fleet {
	return fleetsim.Fleet{
		Hosts: 6, Channels: 3, Closures: n, Commit: "aaaa", SignedAt: epoch.Add(time.Duration(n) * time.Minute),
	}
}

// stateOf is what a reducer holds behind a tick that states the fleet.
func stateOf(t testing.TB, f fleetsim.Fleet) fold.State {
	t.Helper()
	return assemble(t, f, trustOf(t, signer), func(map[string]manifest.Received) {})
}

// assemble is [stateOf] under the trust, with what is done to the manifests.
func assemble(t testing.TB, f fleetsim.Fleet, trust *manifest.Trust, change func(map[string]manifest.Received)) fold.State {
	t.Helper()
	release, err := f.Sign(signer)
	if err != nil {
		t.Fatal(err)
	}
	pair := func(name string) manifest.Received {
		return manifest.Received{Body: release[name].Data, Signature: release[name+".sig"].Data}
	}
	policy := manifest.Policy{Trust: trust, Now: f.SignedAt, Window: window}
	verified, err := manifest.VerifyFleet(pair("fleet.resolved.json"), policy)
	if err != nil {
		t.Fatal(err)
	}
	rollouts := make(map[string]manifest.Received)
	for _, p := range manifest.Project(verified, manifest.SchemeOf(verified.Value())) {
		if !p.Idle {
			rollouts[p.Channel] = pair("rollouts/" + p.ID.String() + ".json")
		}
	}
	change(rollouts)
	set, refused, err := manifest.Assemble(verified.Received(), rollouts, "", policy)
	if err != nil || len(refused) > 0 {
		t.Fatal(err, refused)
	}
	return fold.State{
		Set: set, Stated: events.TimeOf(f.SignedAt),
		Floor:  fold.Floor{SignedAt: verified.SignedAt(), FleetHash: verified.Hash()},
		Source: fold.Source{Tick: "018f0000-0000-7000-8000-000000000001", Number: 1, FirstSeq: 2, LastSeq: 5},
	}
}

// checkpointAt is the checkpoint of a tick, c with its position changed.
func checkpointAt(t testing.TB, c state.Checkpoint, number uint64) state.Checkpoint {
	t.Helper()
	c.Lineage, c.Stream = "9b1c2d3e-4f50-4a61-8b72-93a4b5c6d7e8", "nixfleet-prod-events"
	c.Writers = []events.PublicKey{{1}}
	c.Sequence, c.Tick, c.Time = 1+number, number, events.TimeOf(epoch)
	c.EventID, c.EventDigest = fmt.Sprintf("tick.%d", number), manifest.Sum([]byte{byte(number)})
	c.TrustDigest, c.Window = trustOf(t, signer).Digest(), window
	return c
}

func open(t testing.TB, path string) *state.Directory {
	t.Helper()
	d, err := state.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func save(t testing.TB, d *state.Directory, c state.Checkpoint, s fold.State) state.Checkpoint {
	t.Helper()
	saved, err := d.Save(c, s)
	if err != nil {
		t.Fatal(err)
	}
	return saved
}

// wantLoaded loads and demands exactly the state s at the tick.
func wantLoaded(t testing.TB, path string, number uint64, s fold.State) state.Checkpoint {
	t.Helper()
	c, loaded, err := state.View(path).Load(rules(t))
	if err != nil {
		t.Fatal(err)
	}
	if c == nil || c.Tick != number {
		t.Fatalf("checkpoint %+v, want tick %d", c, number)
	}
	if diff := cmp.Diff(describe(s), describe(loaded)); diff != "" {
		t.Errorf("state (-saved +loaded):\n%s", diff)
	}
	return *c
}

// describe is everything that a state says.
func describe(s fold.State) []string {
	said := []string{fmt.Sprint(s.Without, s.Floor, s.Stated, s.Source)}
	if s.Set == nil {
		return append(said, "none")
	}
	said = append(said, s.Set.Digest().String(), fmt.Sprintf("%x", s.Set.Fleet().Received()))
	for _, r := range s.Set.Rollouts() {
		said = append(said, fmt.Sprintf("%s %x", s.Set.ID(r), r.Received()))
	}
	return said
}

// whole reads `current` as any program may that knows releases, and returns the
// digest of the set that it holds; "none" when it is not there. Anything but one
// whole set ends the test.
func whole(t testing.TB, current string) string {
	t.Helper()
	target, err := filepath.EvalSymlinks(current)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(current); err == nil {
			t.Fatal("current names nothing")
		}
		return "none"
	}
	if err != nil {
		t.Fatal(err)
	}
	pair := func(name string) manifest.Received {
		body, err := os.ReadFile(filepath.Join(target, name))
		if err != nil {
			t.Fatal(err)
		}
		signature, err := os.ReadFile(filepath.Join(target, name+".sig"))
		if err != nil {
			t.Fatal(err)
		}
		return manifest.Received{Body: body, Signature: signature}
	}
	policy := manifest.Policy{Trust: trustOf(t, signer), Now: epoch.Add(time.Hour), Window: manifest.Unlimited}
	verified, err := manifest.VerifyFleet(pair("fleet.resolved.json"), policy)
	if err != nil {
		t.Fatal(err)
	}
	rollouts := make(map[string]manifest.Received)
	for _, p := range manifest.Project(verified, manifest.SchemeOf(verified.Value())) {
		rollouts[p.Channel] = pair("rollouts/" + p.ID.String() + ".json")
	}
	set, refused, err := manifest.Assemble(verified.Received(), rollouts, "", policy)
	if err != nil || len(refused) > 0 {
		t.Fatal(err, refused)
	}
	return set.Digest().String()
}

func digest(s fold.State) string {
	if s.Set == nil {
		return "none"
	}
	return s.Set.Digest().String()
}

// tree lists everything under a directory with its mode.
func tree(t testing.TB, path string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		relative := strings.TrimPrefix(strings.TrimPrefix(name, path), "/")
		all = append(all, fmt.Sprintf("%s %s", info.Mode(), relative))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

// The layout is that of a release, readable by the owner alone.
func TestLayout(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	d := open(t, path)
	save(t, d, checkpointAt(t, state.Checkpoint{}, 1), stateOf(t, fleet(1)))
	want := []string{
		"-rw------- checkpoint.json", "-rw------- lock", "Lrwxrwxrwx current", "drwx------ ", "drwx------ generations",
		"drwx------ generations/00000000000000000001", "drwx------ generations/00000000000000000001/rollouts",
	}
	for _, name := range []string{
		"fleet.resolved.json", "rollouts/channel-000@aaaa.json", "rollouts/channel-001@aaaa.json", "rollouts/channel-002@aaaa.json",
	} {
		file := "-rw------- generations/00000000000000000001/" + name
		want = append(want, file, file+".sig")
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, tree(t, path)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestSaveAndLoad(t *testing.T) {
	path := t.TempDir()
	d := open(t, path)
	if c, s, err := d.Load(rules(t)); c != nil || s.Set != nil || err != nil {
		t.Errorf("empty directory: %v, %v, %v", c, s, err)
	}
	empty := fold.State{Floor: fold.Floor{SignedAt: manifest.InstantOf(epoch), FleetHash: manifest.Sum(nil)}}
	one, two := stateOf(t, fleet(1)), stateOf(t, fleet(2))
	lacking := two.Keep(two.Set, []string{"gone", "also gone"})
	var c state.Checkpoint
	for i, s := range []fold.State{empty, one, one, two, lacking, {Floor: two.Floor}, two} {
		number := uint64(i + 1)
		c = save(t, d, checkpointAt(t, c, number), s)
		got := wantLoaded(t, path, number, s)
		if diff := cmp.Diff(c, got, byInstant); diff != "" {
			t.Errorf("checkpoint (-returned +loaded):\n%s", diff)
		}
		if held := whole(t, d.Current()); held != digest(s) {
			t.Errorf("step %d: current holds %s, want %s", i, held, digest(s))
		}
	}
}

// What is on disk already is not written again.
func TestSameSetIsNotWrittenAgain(t *testing.T) {
	path := t.TempDir()
	d := open(t, path)
	one := stateOf(t, fleet(1))
	c := save(t, d, checkpointAt(t, state.Checkpoint{}, 1), one)
	before := tree(t, path)
	c = save(t, d, checkpointAt(t, c, 2), one)
	if diff := cmp.Diff(before, tree(t, path)); diff != "" {
		t.Errorf("files after saving the same set (-before +after):\n%s", diff)
	}
	// Unless `current` is not there, or names something else.
	if err := os.Remove(d.Current()); err != nil {
		t.Fatal(err)
	}
	save(t, d, checkpointAt(t, c, 3), one)
	if held := whole(t, d.Current()); held != digest(one) {
		t.Errorf("current holds %s, want %s", held, digest(one))
	}
}

// The same bytes with another signature are other files.
func TestAnotherSignature(t *testing.T) {
	path := t.TempDir()
	d := open(t, path)
	one, resigned := stateOf(t, fleet(1)), assemble(t, fleet(1), bothKeys(t), resign(t, fleetsim.ChannelName(1)))
	if digest(one) != digest(resigned) {
		t.Fatal("a signature is no part of the set's identity")
	}
	c := save(t, d, checkpointAt(t, state.Checkpoint{}, 1), one)
	save(t, d, checkpointAt(t, c, 2), resigned)
	_, loaded, err := d.Load(fold.Rules{Trust: bothKeys(t), Window: window})
	must(t, err)
	if diff := cmp.Diff(describe(resigned), describe(loaded)); diff != "" {
		t.Errorf("state (-saved +loaded):\n%s", diff)
	}
}

// TestDamageIsNotHandedOn: a file that was written over after it was saved does not
// become part of the next generation.
func TestDamageIsNotHandedOn(t *testing.T) {
	d := open(t, t.TempDir())
	one, resigned := stateOf(t, fleet(1)), assemble(t, fleet(1), bothKeys(t), resign(t, fleetsim.ChannelName(1)))
	c := save(t, d, checkpointAt(t, state.Checkpoint{}, 1), one)
	for i, file := range []string{"fleet.resolved.json", "rollouts/channel-000@aaaa.json", "rollouts/channel-002@aaaa.json.sig"} {
		path := filepath.Join(d.Current(), file)
		edit(t, path, func(s string) string { return s[:9] + string(s[9]^1) + s[10:] })
		later := time.Now().Add(time.Minute) // far from the grain of the file system's clock
		must(t, os.Chtimes(path, later, later))
		next := []fold.State{resigned, one}[i%2]
		c = save(t, d, checkpointAt(t, c, uint64(2+i)), next)
		_, loaded, err := d.Load(fold.Rules{Trust: bothKeys(t), Window: window})
		must(t, err)
		if diff := cmp.Diff(describe(next), describe(loaded)); diff != "" {
			t.Errorf("%s: state (-saved +loaded):\n%s", file, diff)
		}
	}
}

// TestCurrentIsAnother: what was saved is not looked for in a generation that somebody
// else has made `current` meanwhile.
func TestCurrentIsAnother(t *testing.T) {
	d := open(t, t.TempDir())
	signed := func(channels ...string) fold.State { return assemble(t, fleet(1), bothKeys(t), resign(t, channels...)) }
	one, other := fleetsim.ChannelName(1), fleetsim.ChannelName(2)
	c := save(t, d, checkpointAt(t, state.Checkpoint{}, 1), signed())
	first, err := os.Readlink(d.Current())
	must(t, err)
	c = save(t, d, checkpointAt(t, c, 2), signed(one))
	must(t, os.Remove(d.Current()))
	must(t, os.Symlink(first, d.Current()))
	save(t, d, checkpointAt(t, c, 3), signed(one, other))
	_, loaded, err := d.Load(fold.Rules{Trust: bothKeys(t), Window: window})
	must(t, err)
	if diff := cmp.Diff(describe(signed(one, other)), describe(loaded)); diff != "" {
		t.Errorf("state (-saved +loaded):\n%s", diff)
	}
}

// bothKeys trusts both signers.
func bothKeys(t testing.TB) *manifest.Trust {
	t.Helper()
	key := strings.TrimPrefix(string(another.Trust()), `{"ciReleaseKey":{"current":`)
	key = key[:strings.Index(key, "}")+1]
	text := strings.Replace(string(signer.Trust()), `"ciReleaseKey":{`, `"ciReleaseKey":{"previous":`+key+`,`, 1)
	trust, err := manifest.ParseTrust([]byte(text))
	must(t, err)
	return trust
}

// resign signs channels' manifests with the other key.
func resign(t testing.TB, channels ...string) func(map[string]manifest.Received) {
	return func(rollouts map[string]manifest.Received) {
		for _, channel := range channels {
			received, err := another.Sign(rollouts[channel].Body)
			must(t, err)
			rollouts[channel] = received
		}
	}
}
