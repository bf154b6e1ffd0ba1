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

// BenchmarkKeep weighs on disk the log of a fleet that is signed anew every hour,
// beside the artifacts as they are served. A year takes a little less than what a
// month does twelve times: the newest block of each stream is not packed.
func BenchmarkKeep(b *testing.B) {
	kept := keep(b, 12, 1000)
	var r rounds
	for b.Loop() { //nolint:revive // a size is the same each time
	}
	r.add(kept.disk, kept.served)
	r.report(b, "B", false)
}

// BenchmarkKeepDay weighs what a day takes, by the size of the fleet: `B/day` is
// on disk, `served-B/day` what the releases are.
func BenchmarkKeepDay(b *testing.B) {
	for _, c := range []struct{ channels, hosts int }{
		{12, 100}, {12, 1000}, {12, 10_000}, {100, 1000}, {100, 10_000}, {1000, 10_000},
	} {
		b.Run(fmt.Sprintf("channels=%d/hosts=%d", c.channels, c.hosts), func(b *testing.B) {
			kept := keep(b, c.channels, c.hosts)
			for b.Loop() { //nolint:revive // a size is the same each time
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(kept.disk/kept.days, "B/day")
			b.ReportMetric(kept.served/kept.days, "served-B/day")
		})
	}
}

// kept are bytes.
type kept struct{ days, disk, served float64 }

const (
	longestKept = 30        // days
	enoughKept  = 512 << 20 // bytes that are served, of which the server has then packed most
)

// keep writes the log of some days: a tick every thirty seconds, statements
// written out and releases signed anew every hour.
func keep(b *testing.B, channels, hosts int) (k kept) {
	store := b.TempDir()
	s := newScene(b, func(c *broker.Config) { c.NoSync, c.StoreDir = true, store })
	const hourly = 120 // ticks
	serve := func(number int, at time.Time) (fs.FS, error) {
		if (number-1)%hourly != 0 {
			return nil, nil
		}
		release, err := fleetsim.Fleet{Hosts: hosts, Channels: channels, Commit: fmt.Sprintf("%040x", 1), SignedAt: at}.Sign(s.signer)
		for _, file := range release {
			k.served += float64(len(file.Data))
		}
		return release, err
	}
	_, err := serve(1, s.now)
	s.must(err)
	k.days, k.served = max(1, min(longestKept, float64(int(enoughKept/(24*k.served))))), 0
	s.must(producertest.Append(b.Context(), s.nc, s.log, producertest.Past{
		Writer: s.writer, Trust: s.signer.Trust(), Begin: s.now, Interval: 30 * time.Second, Ticks: 24 * hourly * int(k.days),
		Window: manifest.Unlimited, Restate: time.Hour, Serve: serve,
	}))
	k.disk = s.size(store)
	return k
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
