// Package state is a reducer's state directory: the newest verified set as a
// release directory behind the symlink `current`, and the checkpoint from which
// folding goes on after a restart.
//
//	lock
//	checkpoint.json
//	current -> generations/00000000000000000042
//	generations/00000000000000000042/fleet.resolved.json, .sig, rollouts/<id>.json, .sig
//	generations/00000000000000000043.new     the next one, begun or interrupted
//	quarantine/checkpoint-<16 hex>.json      copies of checkpoints that were given up
//
// Generations are numbered. One is complete on disk before `current` names it,
// and `current` names it before the checkpoint does. The one before it stays,
// for those who still read it; files that are the same in both are one file with
// two names, which nobody may write to.
package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"fleetlog/consumers/fold"
	"fleetlog/internal/durable"
	"fleetlog/manifest"
)

// Directory is an open, locked state directory.
type Directory struct {
	path string
	lock *durable.Lock
	has  written
	next *durable.Tree // generation that is begun; nil: none is
}

// written is what the generation that `current` names holds, and since when by the
// file system's clock; the zero value when this Directory has not made it so.
type written struct {
	artifacts ArtifactNames
	target    string
	at        time.Time
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
	return &Directory{path: path, lock: lock}, nil
}

// View looks at a directory without locking it: only to load from.
func View(path string) *Directory { return &Directory{path: path} }

// Close releases the lock.
func (d *Directory) Close() error {
	var err error
	if d.next != nil {
		err = d.next.Discard()
	}
	return errors.Join(err, d.lock.Unlock())
}

// Current is the path of the symlink that always names one whole set.
func (d *Directory) Current() string { return filepath.Join(d.path, currentName) }

// Save makes the state durable: first the set's files as a new generation, then
// `current`, then the checkpoint. A crash in between, or an error, leaves the
// state before or after it, and `current` whole; however often it is tried again,
// no more is on disk than a crash can leave. A set that is on disk already is not
// written again; without a set there is no `current`. It returns the checkpoint
// as it was written.
func (d *Directory) Save(c Checkpoint, s fold.State) (Checkpoint, error) {
	before, err := d.target()
	if err != nil {
		return c, fmt.Errorf("save state: %w", err)
	}
	last := c
	c.describe(s)
	switch {
	case s.Set == nil:
		err = durable.RemoveAll(d.Current())
	case c.names(before):
	case !last.names(before) && d.holds(before, *c.Set):
		c.Set.Generation = filepath.Base(before)
		err = durable.ReplaceSymlink(before, d.Current()) // whose sync may have failed
	default:
		if err = d.collect(last, filepath.Base(before)); err == nil { // what earlier attempts have left
			err = d.publish(&c, s.Set)
		}
	}
	if err != nil {
		return c, fmt.Errorf("save state: %w", err)
	}
	if err := d.saveCheckpoint(c); err != nil {
		return c, fmt.Errorf("save state: %w", err)
	}
	return c, d.collect(c, filepath.Base(before))
}

// target is what `current` names, relative to the directory; empty when it is
// not there.
func (d *Directory) target() (string, error) {
	target, err := os.Readlink(d.Current())
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return target, err
}

// publish writes the set as a new generation and makes `current` name it.
func (d *Directory) publish(c *Checkpoint, set *manifest.Set) (err error) {
	if c.Set.Generation, err = d.writeGeneration(set, c.Set.Artifacts); err != nil {
		return err
	}
	d.has = written{}
	target := filepath.Join(generations, c.Set.Generation)
	if err := durable.ReplaceSymlink(target, d.Current()); err != nil {
		return err
	}
	link, err := os.Lstat(d.Current())
	if err == nil {
		d.has = written{c.Set.Artifacts, target, link.ModTime()}
	}
	return err
}

// stillHas is what d has written; the zero value when somebody else has made `current`
// name another generation since.
func (d *Directory) stillHas() written {
	if target, err := d.target(); err != nil || target != d.has.target {
		return written{}
	}
	return d.has
}

// names tells whether the checkpoint's set is the generation that `current` names.
func (c *Checkpoint) names(target string) bool {
	return c.Set != nil && c.Set.Generation != "" && filepath.Join(generations, c.Set.Generation) == target
}

// Read reads the checkpoint and the files of the set that it names, verifying
// nothing. Without a checkpoint it returns a nil one, without a set no files,
// and no error. Errors: [*DamagedError], beside which a checkpoint that can be
// read is returned; any other is one of the disk, after which nothing may be
// assumed.
func (d *Directory) Read() (*Checkpoint, *Files, error) {
	c, err := d.loadCheckpoint()
	if err != nil || c == nil || c.Set == nil {
		return c, nil, err
	}
	files, err := d.readSet(c.Set)
	if isDamage(err) {
		return c, nil, &DamagedError{filepath.Join(d.path, generations, c.Set.Generation), err}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read set: %w", err)
	}
	return c, files, nil
}

// Load is [Directory.Read], verifying the files under the given rules at the
// time of the set's statement. Beside a [*DamagedError] it returns the floor,
// where there is a checkpoint.
func (d *Directory) Load(rules fold.Rules) (*Checkpoint, fold.State, error) {
	c, files, err := d.Read()
	if c == nil {
		return nil, fold.State{}, err
	}
	s := c.state()
	if err != nil {
		return c, fold.State{Floor: s.Floor}, err
	}
	if files != nil {
		s = s.Keep(files.verify(c.Set.Stated.Time(), rules))
	}
	return c, s, nil
}

// Quarantine keeps a copy of the checkpoint that the next [Directory.Save]
// replaces, and returns its path; empty when there is no checkpoint. What it
// says is so not lost in between.
func (d *Directory) Quarantine() (string, error) {
	data, err := readLimited(filepath.Join(d.path, checkpointName), maxCheckpoint)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("quarantine checkpoint: %w", err)
	}
	if err := durable.MakeDir(filepath.Join(d.path, quarantine), 0o700); err != nil {
		return "", fmt.Errorf("quarantine checkpoint: %w", err)
	}
	to := filepath.Join(d.path, quarantine, "checkpoint-"+manifest.Sum(data).String()[:16]+".json")
	if err := durable.Confirm(to, data, 0o600); err != nil {
		return "", fmt.Errorf("quarantine checkpoint: %w", err)
	}
	return to, nil
}
