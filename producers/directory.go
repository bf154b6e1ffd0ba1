package producers

import (
	"context"
	"errors"
	"io"
	"io/fs"

	"fleetlog/events"
	"fleetlog/manifest"
)

// Directory is a release directory: fleet.resolved.json, rollouts/<id>.json,
// and beside each file its signature, named with .sig added.
type Directory struct {
	files  fs.FS
	blocks *blocks
}

// NewDirectory takes the release directory as a file system. Give it
// os.OpenRoot(dir).FS(), which keeps symlinks inside it from leading out.
func NewDirectory(files fs.FS) *Directory { return &Directory{files, newBlocks()} }

// Kind is "release-dir".
func (d *Directory) Kind() string { return events.SourceReleaseDir }

// CheckIdentity allows an empty ref: the file <channel>@.json can exist.
func (d *Directory) CheckIdentity(id manifest.RolloutID) error { return checkIdentity(id) }

// Fleet reads fleet.resolved.json.
func (d *Directory) Fleet(ctx context.Context, known manifest.Received) (manifest.Received, error) {
	return d.pair(ctx, fleetFile, known)
}

// Rollout reads the manifest with that id.
func (d *Directory) Rollout(ctx context.Context, id manifest.RolloutID, known manifest.Received) (manifest.Received, error) {
	return d.pair(ctx, rolloutFile(id), known)
}

const fleetFile = "fleet.resolved.json"

func rolloutFile(id manifest.RolloutID) string { return "rollouts/" + id.String() + ".json" }

func (d *Directory) pair(ctx context.Context, name string, known manifest.Received) (manifest.Received, error) {
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
	}
	return &FetchError{Reason: events.Unreachable, Detail: detail, Err: err}
}
