package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"fleetlog/internal/broker"
	"fleetlog/internal/fleetsim"
	"fleetlog/manifest"
	"fleetlog/producers/producertest"
)

// keptHours is how long the log is that is weighed: enough that the part of it
// which the server has not packed yet counts for little.
const keptHours = 14 * 24

// BenchmarkKeep weighs on disk the log of a fleet that is signed anew every hour,
// beside the artifacts as they are served.
func BenchmarkKeep(b *testing.B) {
	store := b.TempDir()
	s := newScene(b, func(c *broker.Config) { c.NoSync, c.StoreDir = true, store })
	var served float64
	var r rounds
	serve := func(_ int, at time.Time) (fs.FS, error) {
		release, err := fleetsim.Fleet{Hosts: 1000, Channels: 12, Commit: fmt.Sprintf("%040x", 1), SignedAt: at}.Sign(s.signer)
		for _, file := range release {
			served += float64(len(file.Data))
		}
		return release, err
	}
	s.must(producertest.Append(b.Context(), s.nc, s.log, producertest.Past{
		Writer: s.writer, Trust: s.signer.Trust(), Begin: s.now, Interval: time.Hour, Ticks: keptHours,
		Window: manifest.Unlimited, Restate: 24 * time.Hour, Serve: serve,
	}))
	r.add(s.size(store), served)
	for b.Loop() { //nolint:revive // a size is the same each time
	}
	r.report(b, "B", false)
}

// size is what the files in the directory take.
func (s *scene) size(dir string) (bytes float64) {
	s.must(filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if os.IsNotExist(err) {
			return nil
		}
		bytes += float64(info.Size())
		return err
	}))
	return bytes
}
