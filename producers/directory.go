package producers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"syscall"

	"fleetlog/events"
	"fleetlog/manifest"
)

// Directory is a release directory: fleet.resolved.json, rollouts/<id>.json,
// and beside each file its signature, named with .sig added.
type Directory struct {
	files  fs.FS
	blocks *blocks
}

// NewDirectory takes the release directory as a file system, such as [Files].
func NewDirectory(files fs.FS) *Directory { return &Directory{files, newBlocks()} }

// Files is the path of a release directory as a file system. The directory is
// opened anew for every file, so that one put in its place, or another target of
// the symlink that it is, is seen at once. Symlinks inside it do not lead out.
type Files string

var errNotRegular = errors.New("it is no regular file")

// Open opens a regular file. Anything else is refused at once: a FIFO would keep
// its reader waiting for ever.
func (d Files) Open(name string) (fs.File, error) {
	root, err := os.OpenRoot(string(d))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: name, Err: errNotRegular}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Names are those of what is in rollouts, and of the signed lists that stand
// beside the fleet, in order. The error is a [*FetchError]: TooLarge when there
// are more than limit in rollouts.
func (d Files) Names(limit int) ([]string, error) {
	root, err := os.OpenRoot(string(d))
	if err != nil {
		return nil, fileError(err)
	}
	defer root.Close()
	names, err := rolloutNames(root, limit)
	if err != nil {
		return nil, err
	}
	for _, list := range []string{RevocationsFile, NoncesFile} {
		for _, name := range []string{list, list + ".sig"} {
			if _, err := root.Lstat(name); err == nil {
				names = append(names, name)
			} else if !errors.Is(err, fs.ErrNotExist) {
				return nil, fileError(err)
			}
		}
	}
	slices.Sort(names)
	return names, nil
}

func rolloutNames(root *os.Root, limit int) ([]string, error) {
	f, err := root.OpenFile("rollouts", os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // every channel may be idle
	}
	if err != nil {
		return nil, fileError(err)
	}
	defer f.Close()
	names, err := f.Readdirnames(limit + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fileError(err)
	}
	if len(names) > limit {
		return nil, &FetchError{Reason: events.TooLarge, Detail: fmt.Sprintf("directory has more than %d files", limit)}
	}
	for i := range names {
		names[i] = "rollouts/" + names[i]
	}
	return names, nil
}

// Kind is "release-dir".
func (d *Directory) Kind() string { return events.SourceReleaseDir }

// CheckIdentity allows an empty ref: the file <channel>@.json can exist.
func (d *Directory) CheckIdentity(id manifest.RolloutID) error { return checkIdentity(id) }

// Fleet reads fleet.resolved.json.
func (d *Directory) Fleet(ctx context.Context, known manifest.Received) (manifest.Received, error) {
	return d.Pair(ctx, fleetFile, known)
}

// Rollout reads the manifest with that id.
func (d *Directory) Rollout(ctx context.Context, id manifest.RolloutID, known manifest.Received) (manifest.Received, error) {
	return d.Pair(ctx, rolloutFile(id), known)
}

const fleetFile = "fleet.resolved.json"

// The signed lists that a release can have beside its fleet.
const (
	RevocationsFile = "revocations.json"
	NoncesFile      = "bootstrap-nonces.json"
)

func rolloutFile(id manifest.RolloutID) string { return "rollouts/" + id.String() + ".json" }

// Pair reads the file of that name, and its signature. What is the same in known is
// returned in that memory. The error is a [*FetchError].
func (d *Directory) Pair(ctx context.Context, name string, known manifest.Received) (manifest.Received, error) {
	if err := ctx.Err(); err != nil {
		return manifest.Received{}, &FetchError{Reason: events.Timeout, Detail: "tick ended before the file was read", Err: err}
	}
	body, err := d.read(name, manifest.MaxArtifact, known.Body)
	if err != nil {
		return manifest.Received{}, err
	}
	signature, err := d.read(name+".sig", signatureRead, known.Signature)
	var fetch *FetchError
	if errors.As(err, &fetch) && fetch.Reason == events.TooLarge {
		return manifest.Received{Body: body}, nil // no signature is that long: refused as one
	}
	return manifest.Received{Body: body, Signature: signature}, err
}

func (d *Directory) read(name string, limit int64, known []byte) ([]byte, error) {
	f, err := d.files.Open(name)
	if err != nil {
		return nil, fileError(err)
	}
	defer f.Close()
	data, err := d.blocks.read(io.LimitReader(f, limit+1), -1, known)
	if err != nil {
		return nil, fileError(err)
	}
	if int64(len(data)) > limit {
		return nil, &FetchError{Reason: events.TooLarge, Detail: "file is larger than its limit"}
	}
	return data, nil
}

func fileError(err error) error {
	detail := "file cannot be read"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		detail = "file does not exist"
	case errors.Is(err, fs.ErrPermission):
		detail = "file may not be read"
	case errors.Is(err, errNotRegular):
		detail = "it is no regular file"
	}
	return &FetchError{Reason: events.Unreachable, Detail: detail, Err: err}
}
