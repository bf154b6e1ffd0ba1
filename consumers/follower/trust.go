package follower

import (
	"context"
	"fmt"
	"time"

	"fleetlog/consumers/fold"
	"fleetlog/manifest"
)

// attend looks after the trust file until the given moment, for ever when that
// is nil, or until ctx ends. Errors are those of the disk.
func (f *folding) attend(ctx context.Context, until <-chan time.Time) error {
	for {
		f.waits()
		select {
		case <-ctx.Done():
			return nil
		case <-until:
			return nil
		case <-f.look:
			if err := f.lookAtTrust(); err != nil {
				return err
			}
		}
	}
}

// waits is a sign of life without progress.
func (f *folding) waits() { f.Alive(Progress{Sequence: f.head.Seq, CaughtUp: f.live}) }

// lookAtTrust takes a changed trust file into force. One that is refused leaves
// the last valid one in force, and the reducer not ready. Errors are those of
// the disk.
func (f *folding) lookAtTrust() error {
	trust, err := f.readTrust()
	f.untrusted(err)
	if err != nil || trust.Digest() == f.rules.Trust.Digest() {
		return nil //nolint:nilerr // it was said
	}
	f.rules.Trust = trust
	f.Log.WithField("trust", trust.Digest().String()).Info("trust file has changed")
	return f.cover()
}

func (f *folding) readTrust() (*manifest.Trust, error) {
	data, err := f.Trust()
	if err != nil {
		return nil, fmt.Errorf("read trust file: %w: the last valid one stays in force", err)
	}
	if manifest.Sum(data) == f.rules.Trust.Digest() {
		return f.rules.Trust, nil
	}
	trust, err := manifest.ParseTrust(data)
	if err != nil {
		return nil, fmt.Errorf("%w: the last valid trust file stays in force", err)
	}
	return trust, nil
}

// cover drops what the rules in force no longer cover, from what is folded, from
// what is served, and from the disk.
func (f *folding) cover() (err error) {
	now := f.Clock()
	f.state = fold.Cover(f.state, f.rules.Trust, now)
	served, position := f.Current()
	f.serve(fold.Cover(served, f.rules.Trust, now), position)
	if f.newest, err = f.State.CurrentFloor(f.rules, now); err != nil {
		return err
	}
	f.unsaved = true
	return f.save(true)
}
