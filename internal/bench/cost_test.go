package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"testing"
	"time"

	"fleetlog/internal/broker"

	"github.com/sirupsen/logrus"
)

// serveBroker serves a log's broker from the directory until its standard input
// ends.
func serveBroker(dir string) error {
	log := logrus.New()
	log.SetOutput(io.Discard)
	server, err := broker.New(broker.Config{Listen: "127.0.0.1:-1", StoreDir: dir, Log: log})
	if err != nil {
		return err
	}
	if err := server.Start(context.Background()); err != nil {
		return err
	}
	fmt.Println(server.ClientURL())
	_, _ = io.Copy(io.Discard, os.Stdin)
	return server.Close()
}

// BenchmarkFollowerCost is what one of a thousand followers costs a broker:
// `B-resident` of its memory, `ns-processor` of its time for each tick that
// changed nothing, and `B-received` over the wire for that.
func BenchmarkFollowerCost(b *testing.B) {
	const ticks = 100
	s := &scene{B: b}
	url, pid := s.startServing(brokerDir + "=" + b.TempDir())
	s = sceneAt(b, url)
	before := residentOf(s, pid)
	a := s.audience(manyFollowers)
	resident := residentOf(s, pid) - before
	var used, received float64
	for b.Loop() {
		used, received = -processorOf(s, pid), -a.received()
		for range ticks {
			a.wait(a.append())
		}
		used, received = used+processorOf(s, pid), received+a.received()
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(resident/manyFollowers, "B-resident")
	b.ReportMetric(used/ticks/manyFollowers, "ns-processor")
	b.ReportMetric(received/ticks/manyFollowers, "B-received")
}

// received is what all followers have received, payloads with headers and without
// the protocol's own line.
func (a *audience) received() (bytes float64) {
	for _, nc := range a.connections {
		bytes += float64(nc.Stats().InBytes)
	}
	return bytes
}

// fields are those of a line of /proc/<pid>, as proc(5) has them.
func fields(s *scene, pid int, file string) [][]byte {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	s.must(err)
	return bytes.Fields(data)
}

func residentOf(s *scene, pid int) (bytes float64) {
	pages, err := strconv.ParseFloat(string(fields(s, pid, "statm")[1]), 64)
	s.must(err)
	return pages * float64(os.Getpagesize())
}

// processorOf is the processor time of the process in nanoseconds.
func processorOf(s *scene, pid int) (used float64) {
	const perTick = float64(10 * time.Millisecond) // of the system's clock
	for _, field := range fields(s, pid, "stat")[13:15] {
		ticks, err := strconv.ParseFloat(string(field), 64)
		s.must(err)
		used += ticks * perTick
	}
	return used
}
