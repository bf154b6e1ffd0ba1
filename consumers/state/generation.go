package state

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"fleetlog/consumers/fold"
	"fleetlog/internal/durable"
	"fleetlog/manifest"
)

// DamagedError says that what is on disk is not what was written there.
type DamagedError struct {
	Path string
	Err  error
}

// Error names the file.
func (e *DamagedError) Error() string { return fmt.Sprintf("%s is damaged: %v", e.Path, e.Err) }

// Unwrap returns the cause.
func (e *DamagedError) Unwrap() error { return e.Err }

// errOtherBytes is damage that only the content shows.
var errOtherBytes = errors.New("has other bytes than the checkpoint says")

// isDamage tells files that are not there, or not what they were, from a disk
// that does not answer.
func isDamage(err error) bool {
	for _, damage := range []error{errOtherBytes, fs.ErrNotExist, syscall.ENOTDIR, syscall.EISDIR} {
		if errors.Is(err, damage) {
			return true
		}
	}
	return false
}

const fleetFile = "fleet.resolved.json"

// maxID leaves room in a file name of 255 bytes for endings and for the
// temporary file that it is first written as.
const maxID = 200

// rolloutFile is where a generation holds a manifest: under its id, as releases
// do, or under the id's SHA-256 where no file can have such a name.
func rolloutFile(id string) string {
	if len(id) > maxID {
		id = manifest.Sum([]byte(id)).String()
	}
	return "rollouts/" + id + ".json"
}

// writeGeneration writes the set, of these artifacts, under the next free number.
// What `current` has of it already is not written again.
func (d *Directory) writeGeneration(set *manifest.Set, names ArtifactNames) (string, error) {
	name, err := d.nextName()
	if err != nil {
		return "", err
	}
	files, has := map[string]durable.File{"rollouts/": {}}, d.stillHas()
	pair := func(name string, r manifest.Received, same bool) {
		known := time.Time{}
		if same {
			known = has.at
		}
		files[name] = durable.File{Data: r.Body, Same: filepath.Join(d.Current(), name), Known: known}
		files[name+".sig"] = durable.File{Data: r.Signature, Same: filepath.Join(d.Current(), name+".sig"), Known: known}
	}
	pair(fleetFile, set.Fleet().Received(), has.artifacts.Fleet == names.Fleet)
	for _, r := range set.Rollouts() {
		channel := r.Value().Channel
		pair(rolloutFile(set.ID(r).String()), r.Received(), has.artifacts.Rollouts[channel] == names.Rollouts[channel])
	}
	path := filepath.Join(d.path, generations, name)
	next := d.next
	d.next = nil
	switch {
	case next == nil:
		return name, durable.CreateTree(path, files, 0o600)
	case next.Path() == path:
		return name, next.Create(files, 0o600)
	}
	return name, errors.Join(next.Discard(), durable.CreateTree(path, files, 0o600))
}

// nextName is the generation behind all that are on disk.
func (d *Directory) nextName() (string, error) {
	numbers, err := d.numbers()
	if err != nil || len(numbers) == 0 {
		return generationName(1), err
	}
	return generationName(numbers[len(numbers)-1] + 1), nil
}

// preparedFrom is how many channels a set has whose files take longer to link than
// the new ones take to sync.
const preparedFrom = 32

// Prepare begins the next generation with the files of this one, so that a Save with
// another set is quicker. It is for the time in which nothing waits; what fails, Save
// does from the beginning.
func (d *Directory) Prepare() {
	if d.next != nil || len(d.stillHas().artifacts.Rollouts) < preparedFrom {
		return
	}
	name, err := d.nextName()
	if err != nil {
		return
	}
	current, err := filepath.EvalSymlinks(d.Current())
	if err != nil {
		return
	}
	if next, err := durable.BeginTree(filepath.Join(d.path, generations, name), current, 0o600); err == nil {
		d.next = next
	}
}

func generationName(n uint64) string { return fmt.Sprintf("%020d", n) }

// generationNumber is the number that a name of [generationName] spells.
func generationNumber(name string) (uint64, bool) {
	n, err := strconv.ParseUint(name, 10, 64)
	return n, err == nil && generationName(n) == name
}

// numbers are those of the generations on disk, ascending.
func (d *Directory) numbers() ([]uint64, error) {
	entries, err := os.ReadDir(filepath.Join(d.path, generations))
	if err != nil {
		return nil, err
	}
	var numbers []uint64
	for _, e := range entries {
		if n, ok := generationNumber(e.Name()); ok {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// collect removes generations but the one that the checkpoint names and the one
// that was `current` before it: before, where `current` has just been changed,
// else the newest older one.
func (d *Directory) collect(c Checkpoint, before string) error {
	numbers, err := d.numbers()
	if err != nil {
		return fmt.Errorf("collect generations: %w", err)
	}
	kept := ""
	if c.Set != nil {
		kept = c.Set.Generation
	}
	previous := before
	if _, ok := generationNumber(before); !ok || before == kept {
		previous = ""
		for _, n := range numbers {
			if name := generationName(n); kept == "" || name < kept {
				previous = name
			}
		}
	}
	for _, n := range numbers {
		name := generationName(n)
		if name == kept || name == previous {
			continue
		}
		if err := durable.RemoveAll(filepath.Join(d.path, generations, name)); err != nil {
			return fmt.Errorf("collect generations: %w", err)
		}
	}
	return nil
}

// Files are the received bytes that make up a set.
type Files struct {
	Fleet    manifest.Received
	Rollouts map[string]manifest.Received // by channel
}

// readSet reads a generation, which must hold what the checkpoint names.
func (d *Directory) readSet(ref *CheckpointSet) (*Files, error) {
	path := filepath.Join(d.path, generations, ref.Generation)
	files := &Files{Rollouts: make(map[string]manifest.Received, len(ref.Artifacts.Rollouts))}
	var err error
	if files.Fleet, err = readNamed(filepath.Join(path, fleetFile), ref.Artifacts.Fleet); err != nil {
		return nil, err
	}
	for channel, a := range ref.Artifacts.Rollouts {
		if files.Rollouts[channel], err = readNamed(filepath.Join(path, rolloutFile(a.ID)), a.Pair); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// holds tells whether the generation that `current` names is the set already, and
// nothing more, as after a save that went no further.
func (d *Directory) holds(target string, set CheckpointSet) bool {
	name, ok := strings.CutPrefix(target, generations+"/")
	if _, numbered := generationNumber(name); !ok || !numbered {
		return false
	}
	set.Generation = name
	if _, err := d.readSet(&set); err != nil {
		return false
	}
	rollouts, err := os.ReadDir(filepath.Join(d.path, target, "rollouts"))
	return err == nil && len(rollouts) == 2*len(set.Artifacts.Rollouts)
}

// verify makes the set under the rules of today. What they no longer verify is
// left out and named, as [fold.Cover] would; the set is nil when that is the
// fleet.
func (f *Files) verify(stated time.Time, rules fold.Rules) (set *manifest.Set, without []string) {
	policy := rules.At(stated)
	set, refused, err := manifest.Assemble(f.Fleet, f.Rollouts, rules.Scheme, policy)
	if err != nil {
		return nil, nil
	}
	for channel := range refused {
		without = append(without, channel)
	}
	return set, without
}

// readNamed reads a pair that must have the given digest.
func readNamed(path string, want manifest.Digest) (manifest.Received, error) {
	r, err := readPair(path)
	if err == nil && pairDigest(manifest.Sum(r.Body), r.Signature) != want {
		err = fmt.Errorf("%s %w", path, errOtherBytes)
	}
	return r, err
}

func readPair(path string) (manifest.Received, error) {
	body, err := readLimited(path, manifest.MaxArtifact)
	if err != nil {
		return manifest.Received{}, err
	}
	signature, err := readLimited(path+".sig", manifest.SignatureSize)
	return manifest.Received{Body: body, Signature: signature}, err
}

// readLimited reads no more than one byte beyond the limit, by which a larger
// file is seen to be another.
func readLimited(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit+1))
}

// CurrentFloor is the fleet that `current` names, as far as trust still covers
// it at now; the zero value when there is none. Whatever else is lost, nothing
// older than it is accepted again.
func (d *Directory) CurrentFloor(rules fold.Rules, now time.Time) (fold.Floor, error) {
	received, err := readPair(filepath.Join(d.Current(), fleetFile))
	switch {
	case err == nil:
		return coveredFloor(received, rules.Trust, now), nil
	case isDamage(err):
		return fold.Floor{}, nil
	}
	return fold.Floor{}, fmt.Errorf("read the current set: %w", err)
}

// aheadOfAnyClock is when nothing can be signed in the future.
var aheadOfAnyClock = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)

// coveredFloor verifies in everything but age: neither an old fleet nor a clock
// that is behind takes the floor away.
func coveredFloor(received manifest.Received, trust *manifest.Trust, now time.Time) fold.Floor {
	for _, at := range []time.Time{now, aheadOfAnyClock} {
		fleet, err := manifest.VerifyFleet(received, manifest.Policy{Trust: trust, Now: at, Window: manifest.Unlimited})
		if err == nil {
			return fold.Floor{SignedAt: fleet.SignedAt(), FleetHash: fleet.Hash()}
		}
	}
	return fold.Floor{}
}
