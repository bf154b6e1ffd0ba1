package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"fleetlog/consumers/state"
	"fleetlog/events"
	"fleetlog/manifest"
)

// ErrNoCheckpoint says that there is no state to check.
var ErrNoCheckpoint = errors.New("holds no checkpoint: give the state directory of a reducer that has run")

// directory is the checkpoint of a state directory, to be compared with the log.
// A nil one compares nothing.
type directory struct {
	checkpoint state.Checkpoint
	compared   bool
}

// A reducer at work changes the directory between two reads. What is broken must
// be so at two looks that find the same checkpoint.
const (
	maxLooks  = 10
	lookPause = 250 * time.Millisecond
)

// readDirectory reports what is broken in the directory by itself. It is nil
// when the checkpoint cannot be compared with a log. Errors: [ErrNoCheckpoint],
// those of the disk.
func readDirectory(ctx context.Context, path string, r *Report) (*directory, error) {
	var before *state.Checkpoint
	for look := 1; ; look++ {
		c, found, err := lookAt(path)
		if err != nil {
			return nil, err
		}
		still := before != nil && c != nil && before.EventDigest == c.EventDigest && sameFiles(before.Set, c.Set)
		if len(found) == 0 || still || look == maxLooks || c == nil && look > 1 {
			for _, f := range found {
				r.add(f)
			}
			if c == nil {
				return nil, nil
			}
			r.Position = &Position{c.Sequence, c.Tick}
			return &directory{checkpoint: *c}, nil
		}
		before = c
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(lookPause):
		}
	}
}

func sameFiles(a, b *state.CheckpointSet) bool {
	return (a == nil) == (b == nil) && (a == nil || a.Generation == b.Generation)
}

// lookAt reads the directory once.
func lookAt(path string) (*state.Checkpoint, []Finding, error) {
	view := state.View(path)
	c, files, err := view.Read()
	var damaged *state.DamagedError
	if err != nil && !errors.As(err, &damaged) {
		return nil, nil, err
	}
	if c == nil && damaged == nil {
		return nil, nil, fmt.Errorf("%s %w", path, ErrNoCheckpoint)
	}
	if c == nil {
		return nil, []Finding{{Code: CodeCheckpoint, Detail: damaged.Error()}}, nil
	}
	var found []Finding
	add := func(code Code, detail string) {
		if detail != "" {
			found = append(found, Finding{Code: code, Seq: c.Sequence, Tick: c.Tick, Detail: detail})
		}
	}
	code, detail, err := checkCurrent(path, view.Current(), c.Set)
	if err != nil {
		return nil, nil, err
	}
	if damaged == nil || code != CodeGeneration { // which would say the same
		add(code, detail)
	}
	switch {
	case damaged != nil:
		add(CodeGeneration, damaged.Error())
	case files != nil:
		add(CodeCheckpointSet, checkFiles(files, c.Set))
	}
	return c, found, nil
}

// checkCurrent checks what `current` names. That is a newer generation than the
// checkpoint's after a save that was interrupted, which must be whole by itself.
// Without a set there is none. An interrupted save that takes the set away looks
// like a `current` that was lost, and is reported as that.
func checkCurrent(path, current string, set *state.CheckpointSet) (Code, string, error) {
	target, err := os.Readlink(current)
	switch {
	case errors.Is(err, fs.ErrNotExist) && set == nil:
		return "", "", nil
	case errors.Is(err, fs.ErrNotExist):
		return CodeCurrentMissing, current + " is not there", nil
	case errors.Is(err, syscall.EINVAL):
		return CodeCurrentOther, current + " is no symlink", nil
	case err != nil:
		return "", "", err
	}
	generation, ok := strings.CutPrefix(target, "generations/")
	older := set != nil && generation < set.Generation // numbers of one length
	if !ok || older || strings.Contains(generation, "/") {
		return CodeCurrentOther, fmt.Sprintf("%s names %s, which the checkpoint does not", current, target), nil
	}
	switch _, err := os.Stat(current); {
	case errors.Is(err, fs.ErrNotExist):
		return CodeCurrentDangling, fmt.Sprintf("%s names %s, which is not there", current, target), nil
	case err != nil:
		return "", "", err
	}
	pairs := -1 // as many as there are
	if set != nil && generation == set.Generation {
		pairs = 1 + len(set.Artifacts.Rollouts)
	}
	why, err := checkPairs(filepath.Join(path, target), pairs)
	if errors.Is(err, fs.ErrNotExist) { // as a generation may that is collected while it is read
		why, err = err.Error(), nil
	}
	return CodeGeneration, why, err
}

// checkPairs says in what a release directory is not a fleet and manifests, each
// with its signature, as many pairs as given where that is known, and nothing
// else.
func checkPairs(path string, want int) (why string, err error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return "", err
	}
	defer root.Close()
	var names []string
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		return "", err
	}
	pairs := 0
	for _, name := range names {
		if strings.HasSuffix(name, ".sig") {
			continue
		}
		pairs++
		if why, err := checkPair(root.FS(), name); why != "" || err != nil {
			return filepath.Join(path, name) + why, err
		}
	}
	switch {
	case !slices.Contains(names, "fleet.resolved.json"):
		return path + " holds no fleet", nil
	case len(names) != 2*pairs || want >= 0 && pairs != want:
		return fmt.Sprintf("%s holds %d files, which are not the set's", path, len(names)), nil
	}
	return "", nil
}

func checkPair(files fs.FS, name string) (why string, err error) {
	body, err := fs.ReadFile(files, name)
	if err != nil {
		return "", err
	}
	signature, err := fs.ReadFile(files, name+".sig")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if len(signature) != manifest.SignatureSize {
		return fmt.Sprintf(" has a signature of %d bytes", len(signature)), nil
	}
	if _, err := contentOf(body); err != nil {
		return " is damaged: " + err.Error(), nil //nolint:nilerr // it is what was looked for
	}
	return "", nil
}

// checkFiles says in what the files do not make the checkpoint's set.
func checkFiles(files *state.Files, set *state.CheckpointSet) string {
	fleet, err := contentOf(files.Fleet.Body)
	if err != nil {
		return err.Error()
	}
	rollouts := make(map[string]manifest.Digest, len(files.Rollouts))
	for channel, r := range files.Rollouts {
		rollout, err := contentOf(r.Body)
		if err != nil {
			return err.Error()
		}
		rollouts[channel] = rollout.hash
	}
	digest, err := setDigest(fleet.hash, rollouts)
	if err != nil {
		return err.Error()
	}
	if digest != set.Digest {
		return fmt.Sprintf("the checkpoint says set %s, its files make %s", set.Digest, digest)
	}
	return ""
}

// open compares the checkpoint with the log's opening.
func (d *directory) open(r *Report, part Part) {
	if d == nil {
		return
	}
	if c := &d.checkpoint; c.Lineage != part.Opening.Lineage || c.Stream != part.Fleet.EventsStream() {
		d.add(r, CodeCheckpointLineage, fmt.Sprintf("the checkpoint is of lineage %s in stream %s, the log of lineage %s in stream %s",
			c.Lineage, c.Stream, part.Opening.Lineage, part.Fleet.EventsStream()))
		d.compared = true
		return
	}
	d.compare(r, part.Opening)
}

// compare compares the checkpoint with the tick, if it is of that one. Behind
// LogOpened it may hold a set and a floor from before.
func (d *directory) compare(r *Report, h events.Head) {
	if d == nil || d.compared || h.Seq != d.checkpoint.Sequence {
		return
	}
	d.compared = true
	c := &d.checkpoint
	if c.EventDigest != h.Digest || c.EventID != h.EventID() || c.Tick != h.Number || c.Time != h.Time {
		d.add(r, CodeCheckpointEvent, fmt.Sprintf("the checkpoint is of event %s, %s, the log holds %s, %s", c.EventID, c.EventDigest, h.EventID(), h.Digest))
		return
	}
	if h.Completed == nil {
		return
	}
	own, writers := "none", "none"
	if c.Set != nil {
		own = c.Set.Digest.String()
	}
	if h.Completed.Set != nil {
		writers = h.Completed.Set.Digest.String()
	}
	if own != writers {
		d.add(r, CodeCheckpointSet, fmt.Sprintf("the checkpoint has set %s, the tick says %s", own, writers))
	}
	if !sameFloor(c.Floor, h.Floor()) {
		d.add(r, CodeCheckpointFloor, fmt.Sprintf("the checkpoint has floor %s, the tick %s", floorText(c.Floor), floorText(h.Floor())))
	}
}

// close reports a checkpoint whose event was not met.
func (d *directory) close(r *Report, end uint64) {
	switch {
	case d == nil || d.compared:
	case d.checkpoint.Sequence > end:
		d.add(r, CodeCheckpointBeyond, fmt.Sprintf("the checkpoint is at sequence %d, the log ends at %d", d.checkpoint.Sequence, end))
	default:
		d.add(r, CodeCheckpointEvent, fmt.Sprintf("no tick ends at sequence %d", d.checkpoint.Sequence))
	}
}

func (d *directory) add(r *Report, code Code, detail string) {
	r.add(Finding{Code: code, Seq: d.checkpoint.Sequence, Tick: d.checkpoint.Tick, Detail: detail})
}
