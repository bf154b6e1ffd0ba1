package producers_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"fleetlog/events"
	"fleetlog/internal/fleetsim"
	"fleetlog/manifest"
	"fleetlog/producers"

	"github.com/google/go-cmp/cmp"
)

// TestHostileDirectory polls a directory on disk whose one entry is not what it
// should be. The tick says so and goes on.
func TestHostileDirectory(t *testing.T) {
	release := sign(t, fleet())
	rollout := rolloutFile(t, release, c0)
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	if err := os.WriteFile(elsewhere, release[rollout].Data, 0o600); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		put  func(path string) error
		want string // of the channel whose manifest it is
	}{
		"FIFO":              {func(path string) error { return syscall.Mkfifo(path, 0o600) }, " fetch Unreachable"},
		"directory":         {func(path string) error { return os.Mkdir(path, 0o700) }, " fetch Unreachable"},
		"symlink out of it": {func(path string) error { return os.Symlink(elsewhere, path) }, " fetch Unreachable"},
		"symlink to itself": {func(path string) error { return os.Symlink(filepath.Base(path), path) }, " fetch Unreachable"},
		"symlink within":    {func(path string) error { return os.Symlink("../moved", path) }, ""},
		"file without end": {func(path string) error {
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				return err
			}
			return os.Truncate(path, manifest.MaxArtifact+1)
		}, " fetch TooLarge"},
		"empty file": {func(path string) error { return os.WriteFile(path, nil, 0o600) }, " verify Parse"},
	} {
		t.Run(what, func(t *testing.T) {
			dir := onDisk(t, release)
			path := filepath.Join(dir, rollout)
			if err := os.Rename(path, filepath.Join(dir, "moved")); err != nil {
				t.Fatal(err)
			}
			if err := c.put(path); err != nil {
				t.Fatal(err)
			}
			s := newStation(nil)
			s.poll.Source = producers.NewDirectory(producers.Files(dir))
			ticked := make(chan *producers.Result, 1)
			go func() { ticked <- s.tick(t, time.Minute) }()
			select {
			case r := <-ticked:
				wantSaid(t, r, "fleet", strings.TrimSpace(c0+c.want), c1, c2+" idle")
			case <-time.After(10 * time.Second):
				t.Fatal("the tick waits for ever")
			}
		})
	}
}

// TestDirectoryPutInPlace is seen by a source that read the one before it.
func TestDirectoryPutInPlace(t *testing.T) {
	newer := fleet()
	newer.SignedAt = signedAt.Add(time.Second)
	dir := onDisk(t, sign(t, fleet()))
	s := newStation(nil)
	s.poll.Source = producers.NewDirectory(producers.Files(dir))
	wantSaid(t, s.tick(t, time.Minute), allVerified...)
	if err := os.Rename(dir, dir+"-old"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(onDisk(t, sign(t, newer)), dir); err != nil {
		t.Fatal(err)
	}
	wantSaid(t, s.tick(t, time.Minute), allVerified...)
	if got := s.memory.Set.Fleet().SignedAt().Time(); !got.Equal(newer.SignedAt) {
		t.Errorf("the set is the one signed at %s", got)
	}
}

// onDisk writes the release into a new directory.
func onDisk(t *testing.T, release fleetsim.Release) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "release")
	if err := os.CopyFS(dir, release); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestNamesOfDirectory lists a release with one list, and one whose rollouts are
// not to be listed.
func TestNamesOfDirectory(t *testing.T) {
	release := sign(t, fleet())
	release[producers.RevocationsFile] = release["fleet.resolved.json"]
	dir := onDisk(t, release)
	names, err := producers.Files(dir).Names(4)
	want := []string{producers.RevocationsFile}
	for _, c := range []string{c0, c1} {
		want = append(want, rolloutFile(t, release, c), rolloutFile(t, release, c)+".sig")
	}
	if diff := cmp.Diff(want, names); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	if _, err := producers.Files(dir).Names(3); reasonOf(err) != events.TooLarge {
		t.Errorf("more than the limit: %v", err)
	}

	rollouts := filepath.Join(dir, "rollouts")
	if err := os.RemoveAll(rollouts); err != nil {
		t.Fatal(err)
	}
	if names, err := producers.Files(dir).Names(0); err != nil || len(names) != 1 {
		t.Errorf("without rollouts: %q, %v", names, err)
	}
	for what, put := range map[string]func() error{
		"FIFO":              func() error { return syscall.Mkfifo(rollouts, 0o600) },
		"symlink out of it": func() error { return os.Symlink(t.TempDir(), rollouts) },
	} {
		if err := put(); err != nil {
			t.Fatal(err)
		}
		if _, err := producers.Files(dir).Names(4); reasonOf(err) != events.Unreachable {
			t.Errorf("%s: %v", what, err)
		}
		if err := os.Remove(rollouts); err != nil {
			t.Fatal(err)
		}
	}
}

func reasonOf(err error) events.Reason {
	var fetch *producers.FetchError
	if !errors.As(err, &fetch) {
		return ""
	}
	return fetch.Reason
}
