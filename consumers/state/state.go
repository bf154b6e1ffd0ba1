// Package state is a reducer's state directory: the newest verified set as a
// release directory behind the symlink `current`, and the checkpoint from which
// folding goes on after a restart.
//
//	lock
//	checkpoint.json
//	current -> generations/00000000000000000042
//	generations/00000000000000000042/fleet.resolved.json, .sig, rollouts/<id>.json, .sig
//	quarantine/<time>/            what could not be used
//
// Generations are numbered. One is complete on disk before `current` names it,
// and `current` names it before the checkpoint does. The one before it stays.
package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"fleetlog/consumers/fold"
	"fleetlog/internal/durable"
	"fleetlog/manifest"
)

// Directory is an open, locked state directory.
type Directory struct {
	path string
	lock *durable.Lock
}

// ErrInUse says that another reducer holds the directory.
var ErrInUse = errors.New("state directory is in use by another reducer")

const (
	checkpointName = "checkpoint.json"
	currentName    = "current"
	generations    = "generations"
	quarantine     = "quarantine"
)

// Open creates the directory where it is missing and locks it until
// [Directory.Close]. Error: [ErrInUse].
func Open(path string) (*Directory, error) {
	if err := durable.MakeDir(filepath.Join(path, generations), 0o700); err != nil {
		return nil, fmt.Errorf("open state directory: %w", err)
	}
	lock, err := durable.LockFile(filepath.Join(path, "lock"))
	if errors.Is(err, durable.ErrLocked) {
		return nil, fmt.Errorf("%s: %w: stop it, or give another --state-dir", path, ErrInUse)
	}
	if err != nil {
		return nil, fmt.Errorf("open state directory: %w", err)
	}
	return &Directory{path, lock}, nil
}

// View looks at a directory without locking it: only to load from.
func View(path string) *Directory { return &Directory{path: path} }

// Close releases the lock.
func (d *Directory) Close() error { return d.lock.Unlock() }

// Current is the path of the symlink that always names one whole set.
func (d *Directory) Current() string { return filepath.Join(d.path, currentName) }

// Save makes the state durable: first the set's files as a new generation, then
// `current`, then the checkpoint. A crash in between leaves the state before or
// after it, and `current` whole. A set that is on disk already is not written
// again. It returns the checkpoint as it was written.
func (d *Directory) Save(c Checkpoint, s fold.State) (Checkpoint, error) {
	before, err := os.Readlink(d.Current())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return c, fmt.Errorf("save state: %w", err)
	}
	c.describe(s)
	switch {
	case s.Set == nil:
		if before != "" {
			if err := durable.RemoveAll(d.Current()); err != nil {
				return c, fmt.Errorf("save state: %w", err)
			}
		}
	case c.Set.Generation == "" || filepath.Join(generations, c.Set.Generation) != before:
		if c.Set.Generation, err = d.writeGeneration(s.Set); err != nil {
			return c, fmt.Errorf("save state: %w", err)
		}
		if err := durable.ReplaceSymlink(filepath.Join(generations, c.Set.Generation), d.Current()); err != nil {
			return c, fmt.Errorf("save state: %w", err)
		}
	}
	if err := d.saveCheckpoint(c); err != nil {
		return c, fmt.Errorf("save state: %w", err)
	}
	return c, d.collect(c)
}

// writeGeneration writes the set under the next free number.
func (d *Directory) writeGeneration(set *manifest.Set) (string, error) {
	numbers, err := d.numbers()
	if err != nil {
		return "", err
	}
	name := generationName(1)
	if len(numbers) > 0 {
		name = generationName(numbers[len(numbers)-1] + 1)
	}
	path := filepath.Join(d.path, generations, name)
	unfinished := path + ".new"
	if err := durable.RemoveAll(unfinished); err != nil {
		return "", err
	}
	if err := durable.MakeDir(filepath.Join(unfinished, "rollouts"), 0o700); err != nil {
		return "", err
	}
	if err := writePair(filepath.Join(unfinished, "fleet.resolved.json"), set.Fleet().Received()); err != nil {
		return "", err
	}
	for _, r := range set.Rollouts() {
		if err := writePair(filepath.Join(unfinished, "rollouts", set.ID(r).String()+".json"), r.Received()); err != nil {
			return "", err
		}
	}
	return name, durable.Rename(unfinished, path)
}

func generationName(n uint64) string { return fmt.Sprintf("%020d", n) }

// numbers are those of the generations on disk, ascending.
func (d *Directory) numbers() ([]uint64, error) {
	entries, err := os.ReadDir(filepath.Join(d.path, generations))
	if err != nil {
		return nil, err
	}
	var numbers []uint64
	for _, e := range entries {
		if n, err := strconv.ParseUint(e.Name(), 10, 64); err == nil && generationName(n) == e.Name() {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

func writePair(path string, r manifest.Received) error {
	if err := durable.CreateExclusive(path, r.Body, 0o600); err != nil {
		return err
	}
	return durable.CreateExclusive(path+".sig", r.Signature, 0o600)
}

// collect removes generations but the one that the checkpoint names and the
// newest other one.
func (d *Directory) collect(c Checkpoint) error {
	numbers, err := d.numbers()
	if err != nil {
		return fmt.Errorf("collect generations: %w", err)
	}
	spared := false
	for _, n := range slices.Backward(numbers) {
		name := generationName(n)
		if c.Set != nil && name == c.Set.Generation {
			continue
		}
		if !spared {
			spared = true
			continue
		}
		if err := durable.RemoveAll(filepath.Join(d.path, generations, name)); err != nil {
			return fmt.Errorf("collect generations: %w", err)
		}
	}
	return nil
}

// Load reads the checkpoint and the set that it names, verifying the set's
// files under the given rules at the time of its statement. Without a
// checkpoint it returns a nil one and no error. Error: [*DamagedError].
func (d *Directory) Load(rules fold.Rules) (*Checkpoint, fold.State, error) {
	c, err := d.loadCheckpoint()
	if err != nil || c == nil {
		return nil, fold.State{}, err
	}
	s := c.state()
	if c.Set == nil {
		return c, s, nil
	}
	if s.Set, err = d.loadSet(c.Set, rules); err != nil {
		return nil, fold.State{}, &DamagedError{filepath.Join(d.path, generations, c.Set.Generation), err}
	}
	return c, s, nil
}

// DamagedError says that what is on disk is not what was written there.
type DamagedError struct {
	Path string
	Err  error
}

// Error names the file.
func (e *DamagedError) Error() string { return fmt.Sprintf("%s is damaged: %v", e.Path, e.Err) }

// Unwrap returns the cause.
func (e *DamagedError) Unwrap() error { return e.Err }

// loadSet reads a generation. What the trust of today no longer verifies is
// left out, as [fold.Cover] would; files that are not those of the checkpoint
// are damage.
func (d *Directory) loadSet(ref *CheckpointSet, rules fold.Rules) (*manifest.Set, error) {
	root, err := os.OpenRoot(filepath.Join(d.path, generations, ref.Generation))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	fleet, err := readPair(root.FS(), "fleet.resolved.json")
	if err != nil {
		return nil, err
	}
	if pairDigest(fleet) != ref.Artifacts.Fleet {
		return nil, errors.New("fleet.resolved.json has other bytes than the checkpoint says")
	}
	rollouts := make(map[string]manifest.Received, len(ref.Artifacts.Rollouts))
	for channel, a := range ref.Artifacts.Rollouts {
		r, err := readPair(root.FS(), "rollouts/"+a.ID+".json")
		if err != nil {
			return nil, err
		}
		if pairDigest(r) != a.Pair {
			return nil, fmt.Errorf("rollout %s has other bytes than the checkpoint says", a.ID)
		}
		rollouts[channel] = r
	}
	policy := manifest.Policy{Trust: rules.Trust, Now: ref.Stated.Time(), Window: rules.Window}
	set, _, err := manifest.Assemble(fleet, rollouts, rules.Scheme, policy)
	if err != nil {
		return nil, nil // today's trust or window does not cover the fleet
	}
	return set, nil
}

func readPair(files fs.FS, name string) (manifest.Received, error) {
	body, err := fs.ReadFile(files, name)
	if err != nil {
		return manifest.Received{}, err
	}
	signature, err := fs.ReadFile(files, name+".sig")
	return manifest.Received{Body: body, Signature: signature}, err
}

// Quarantine sets everything aside that the directory holds, under the given
// time, and leaves it empty but for `current`, which is served until it is
// replaced. Nothing is deleted.
func (d *Directory) Quarantine(now time.Time) (string, error) {
	to := filepath.Join(d.path, quarantine, now.UTC().Format("20060102T150405.000Z"))
	if err := durable.MakeDir(to, 0o700); err != nil {
		return "", fmt.Errorf("quarantine state: %w", err)
	}
	err := durable.Rename(filepath.Join(d.path, checkpointName), filepath.Join(to, checkpointName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("quarantine state: %w", err)
	}
	return to, nil
}

// CurrentFloor is the fleet that `current` names, as far as trust still covers
// it at now; the zero value when there is none. Whatever else is lost, nothing
// older than it is accepted again.
func (d *Directory) CurrentFloor(rules fold.Rules, now time.Time) (fold.Floor, error) {
	root, err := os.OpenRoot(d.Current())
	if errors.Is(err, fs.ErrNotExist) {
		return fold.Floor{}, nil
	}
	if err != nil {
		return fold.Floor{}, fmt.Errorf("read the current set: %w", err)
	}
	defer root.Close()
	received, err := readPair(root.FS(), "fleet.resolved.json")
	if err != nil {
		return fold.Floor{}, fmt.Errorf("read the current set: %w", err)
	}
	policy := manifest.Policy{Trust: rules.Trust, Now: now, Window: manifest.Unlimited}
	fleet, err := manifest.VerifyFleet(received, policy)
	if err != nil {
		return fold.Floor{}, nil
	}
	return fold.Floor{SignedAt: fleet.SignedAt(), FleetHash: fleet.Hash()}, nil
}
