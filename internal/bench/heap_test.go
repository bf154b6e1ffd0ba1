package main

import (
	"io"
	"runtime"
	"testing"
	"time"

	"fleetlog/internal/broker"

	"github.com/sirupsen/logrus"
)

const (
	aDay  = 24 * 120 // ticks, one every thirty seconds
	aYear = 365 * aDay
)

// allowed is how much more than that of a day the log of a year may take.
const allowed = 10 << 20

// BenchmarkHeap is what a broker holds in memory once it serves the log of a year
// beyond what it holds for that of a day, beside what is allowed: a hundred
// channels, written out every hour.
func BenchmarkHeap(b *testing.B) {
	var figures rounds
	year, day := heapOf(b, aYear), heapOf(b, aDay)
	figures.add(year-day, allowed)
	for b.Loop() { //nolint:revive // what is held is the same each time
	}
	figures.report(b, "B", false)
}

// heapOf writes the log, starts a broker on it, and weighs.
func heapOf(b *testing.B, ticks int) (held float64) {
	store := b.TempDir()
	serve(b, store, func(server *broker.Broker) {
		s := sceneAt(b, server.ClientURL())
		s.write(writing{channels: 100, restate: time.Hour, interval: 30 * time.Second, ticks: ticks})
		s.nc.Close()
	})
	before := heap()
	serve(b, store, func(*broker.Broker) { held = heap() - before })
	return held
}

// serve runs a broker on the store while f does.
func serve(b *testing.B, store string, f func(*broker.Broker)) {
	log := logrus.New()
	log.SetOutput(io.Discard)
	server, err := broker.New(broker.Config{Listen: "127.0.0.1:-1", StoreDir: store, NoSync: true, Log: log})
	if err != nil {
		b.Fatal(err)
	}
	if err := server.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	f(server)
	if err := server.Close(); err != nil {
		b.Fatal(err)
	}
}

// heap is what this process holds after the garbage is gone.
func heap() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}
