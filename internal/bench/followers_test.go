package main

import (
	"context"
	"sync"
	"testing"
	"time"

	"fleetlog/eventlog"

	"github.com/nats-io/nats.go"
)

const manyFollowers = 1000

// BenchmarkFollowers measures from the poll of a changed tick until the last of
// a thousand followers, each with a connection of its own, has it, beside one
// follower of another log on the same server.
func BenchmarkFollowers(b *testing.B) {
	s := newScene(b)
	many, one := s.audience(manyFollowers), s.another("other").audience(1)
	var figures rounds
	for i := 0; b.Loop(); i++ {
		figures.add(many.heard(i), one.heard(i))
	}
	figures.report(b, "ns", false)
}

// another is the same scene with another log.
func (s *scene) another(name string) *scene {
	other := *s
	other.log = s.provision(name)
	return &other
}

// audience are the followers of one log, and who writes it.
type audience struct {
	*changing
	heardAt     chan uint64 // sequences of ticks, by whichever follower
	size        int
	connections []*nats.Conn
}

func (s *scene) audience(size int) *audience {
	s.Helper()
	a := &audience{changing: s.changing(100, 12), heardAt: make(chan uint64, 4*size), size: size}
	ctx, cancel := context.WithCancel(s.Context())
	var following sync.WaitGroup
	s.Cleanup(func() {
		cancel()
		following.Wait()
	})
	for range size {
		nc, err := nats.Connect(s.nc.ConnectedUrl())
		s.must(err)
		s.Cleanup(nc.Close)
		a.connections = append(a.connections, nc)
		log, err := eventlog.Open(ctx, nc, eventlog.Place{Fleet: s.log.Fleet()})
		s.must(err)
		following.Go(func() {
			for d, err := range log.Follow(ctx, log.Opening()) {
				if err != nil {
					return
				}
				if d.Tick != nil {
					a.heardAt <- d.Tick.Head.Seq
				}
			}
		})
	}
	a.wait(a.writer.Base().Head.Seq)
	return a
}

// wait returns once all have heard of the tick.
func (a *audience) wait(seq uint64) {
	for heard := 0; heard < a.size; {
		select {
		case at := <-a.heardAt:
			if at == seq {
				heard++
			}
		case <-a.Context().Done():
			a.must(a.Context().Err())
		}
	}
}

// heard tells how long a changed tick takes from its poll until the last follower
// has it: a single one has it before the writer knows that it is stored.
func (a *audience) heard(n int) float64 {
	a.change(n)
	began := time.Now()
	a.wait(a.append())
	return float64(time.Since(began).Nanoseconds())
}
