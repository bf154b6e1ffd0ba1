package main

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"fleetlog/events"
	"fleetlog/manifest"
	"fleetlog/producers"
)

// maxFiles is how many files rollouts may have: producers never remove any.
const maxFiles = 200_000

// fileVerdict is the answer about a file and its signature that are there beyond
// the fleet and what its channels must have.
type fileVerdict struct {
	File string `json:"file"`
	verdict
}

// takeFiles judges what dir has beyond the fleet and the manifests that were
// judged by channel. Files of older rollouts stay where they are, and a control
// plane has a window of its own for the lists: none of them is too old.
func (v *releaseVerdict) takeFiles(ctx context.Context, dir string, policy manifest.Policy) error {
	files := producers.Files(dir)
	names, err := files.Names(maxFiles)
	if err != nil {
		return v.takeFile("rollouts", err)
	}
	there := make(map[string]bool, len(names))
	for _, name := range names {
		there[name] = true
	}
	ofChannel := v.channelFiles()
	policy.Window = manifest.Unlimited
	source := producers.NewDirectory(files)
	for _, name := range names {
		body, isSignature := strings.CutSuffix(name, ".sig")
		if ofChannel[body] || isSignature && there[body] {
			continue
		}
		if isSignature {
			err = &producers.FetchError{Reason: events.Unreachable, Detail: "the file that it signs does not exist"}
		} else if err = verifyFile(ctx, source, name, policy); errors.Is(err, fs.ErrNotExist) && !there[name+".sig"] {
			err = &producers.FetchError{Reason: events.Unreachable, Detail: "its signature does not exist", Err: err}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := v.takeFile(name, err); err != nil {
			return err
		}
	}
	return nil
}

// channelFiles are those that the channels must have.
func (v *releaseVerdict) channelFiles() map[string]bool {
	files := make(map[string]bool)
	for _, c := range v.Channels {
		if c.RolloutID != nil {
			files["rollouts/"+*c.RolloutID+".json"] = true
		}
	}
	return files
}

// verifyFile judges a file by what its name says that it is.
func verifyFile(ctx context.Context, source *producers.Directory, name string, policy manifest.Policy) error {
	verify := manifest.VerifyRevocations
	switch name {
	case producers.RevocationsFile:
	case producers.NoncesFile:
		verify = manifest.VerifyBootstrapNonces
	default:
		text, ok := strings.CutSuffix(strings.TrimPrefix(name, "rollouts/"), ".json")
		id, err := manifest.ParseRolloutID(text)
		if !ok || err != nil {
			return &producers.FetchError{Reason: events.IdentityUnservable, Detail: "its name is no rollout id and .json", Err: err}
		}
		if err := source.CheckIdentity(id); err != nil {
			return err
		}
		verify = func(r manifest.Received, p manifest.Policy) error {
			_, err := manifest.VerifyRollout(r, id, p)
			return err
		}
	}
	received, err := source.Pair(ctx, name, manifest.Received{})
	if err != nil {
		return err
	}
	return verify(received, policy)
}

// takeFile takes the verdict that the error is.
func (v *releaseVerdict) takeFile(name string, err error) error {
	var fetch *producers.FetchError
	f := fileVerdict{File: strings.ToValidUTF8(name, "\uFFFD")}
	if errors.As(err, &fetch) {
		reason := string(fetch.Reason)
		f.verdict = verdict{Reason: &reason, Detail: &fetch.Detail}
	} else if f.verdict, err = judge(err); err != nil {
		return err
	}
	v.Verified = v.Verified && f.Verified
	v.Files = append(v.Files, f)
	return nil
}
