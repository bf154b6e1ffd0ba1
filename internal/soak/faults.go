package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"fleetlog/internal/deployment"

	"golang.org/x/sync/errgroup"
)

// fault is one thing that happens. When it returns, its cause is over and what it
// hit has recovered.
type fault struct {
	kind string
	do   func(context.Context, *rand.Rand) error
}

// healing is the longest time that a fault may last.
const healing = 4 * time.Minute

// suffer lets faults happen for so long: one to the servers at a time, and at the
// same time one to a poller, a reducer or the control plane.
func (s *soak) suffer(ctx context.Context, d time.Duration, seed uint64) error {
	lanes, running := errgroup.WithContext(ctx)
	over := time.Now().Add(d)
	for n, faults := range [][]fault{s.serverFaults(), s.programFaults()} {
		random := rand.New(rand.NewPCG(seed, uint64(n))) //nolint:gosec // it must be repeatable
		lanes.Go(func() error { return s.lane(running, over, faults, random) })
	}
	return lanes.Wait()
}

// lane deals faults like cards: each kind once in random order, then all again.
func (s *soak) lane(ctx context.Context, over time.Time, faults []fault, random *rand.Rand) error {
	for {
		for _, n := range random.Perm(len(faults)) {
			if !pause(ctx, between(random, 200*time.Millisecond, 2*time.Second)) {
				return context.Cause(ctx)
			}
			if time.Now().After(over) {
				return nil
			}
			if err := s.happen(ctx, faults[n], random); err != nil {
				return err
			}
		}
	}
}

func (s *soak) happen(ctx context.Context, f fault, random *rand.Rand) error {
	ctx, cancel := context.WithTimeoutCause(ctx, healing, fmt.Errorf("not over it in %s", healing))
	defer cancel()
	began := time.Now()
	s.diary.say("%s", f.kind)
	err := f.do(ctx, random)
	if err == nil {
		err = s.witness.goesOn(ctx)
	}
	if err = errors.Join(err, s.witness.failure()); err != nil {
		return fmt.Errorf("%s: %w", f.kind, err)
	}
	s.diary.count(f.kind, time.Since(began))
	return nil
}

func between(random *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(random.Int64N(int64(most-least)))
}

func anyOf[T any](random *rand.Rand, all []T) T { return all[random.IntN(len(all))] }

// streams are those that a cluster must hold three times before it may lose a
// node.
func (s *soak) streams() []string {
	return []string{s.log.Fleet().EventsStream(), s.log.Fleet().ArtifactsStream()}
}

func (s *soak) serverFaults() []fault {
	return []fault{
		{"leader of the events killed", s.onLeader(s.killNode)},
		{"leader of the events suspended", s.onLeader(s.suspendNode)},
		{"server killed", s.onNode(s.killNode)},
		{"server suspended", s.onNode(s.suspendNode)},
		{"server's disk lost", s.onNode(s.wipeNode)},
		{"rolling restart of the servers", s.rollingRestart},
		{"site's server killed", func(ctx context.Context, random *rand.Rand) error { return s.killNode(ctx, random, s.site) }},
		{"site's server suspended", func(ctx context.Context, random *rand.Rand) error { return s.suspendNode(ctx, random, s.site) }},
	}
}

type nodeFault func(context.Context, *rand.Rand, *deployment.Node) error

// onNode hits any node of a cluster that is whole, and waits until it is again.
func (s *soak) onNode(do nodeFault) func(context.Context, *rand.Rand) error {
	return func(ctx context.Context, random *rand.Rand) error {
		if err := do(ctx, random, anyOf(random, s.cluster.Nodes[:])); err != nil {
			return err
		}
		return s.cluster.AwaitCurrent(ctx, s.nc, s.streams())
	}
}

func (s *soak) onLeader(do nodeFault) func(context.Context, *rand.Rand) error {
	return func(ctx context.Context, random *rand.Rand) error {
		leader, err := s.cluster.AwaitLeader(ctx, s.nc, s.streams()[0])
		if err != nil {
			return err
		}
		if err := do(ctx, random, leader); err != nil {
			return err
		}
		return s.cluster.AwaitCurrent(ctx, s.nc, s.streams())
	}
}

func (s *soak) killNode(ctx context.Context, random *rand.Rand, n *deployment.Node) error {
	if err := n.Process().Kill(); err != nil {
		return fmt.Errorf("%s: %w\n%s", n.Name, err, n.Process().Said())
	}
	pause(ctx, between(random, 0, 12*time.Second)) // the others may choose a leader meanwhile, or not
	return s.startNode(ctx, n)
}

// startNode starts a server for as long as the soak lasts, not the fault.
func (s *soak) startNode(ctx context.Context, n *deployment.Node) error {
	if err := n.Start(s.life); err != nil {
		return err
	}
	return n.AwaitReady(ctx)
}

func (s *soak) suspendNode(ctx context.Context, random *rand.Rand, n *deployment.Node) error {
	return suspend(ctx, n.Process(), between(random, time.Second, 15*time.Second))
}

// wipeNode gives a node an empty disk, once the other two hold everything.
func (s *soak) wipeNode(ctx context.Context, _ *rand.Rand, n *deployment.Node) error {
	if err := n.Process().Kill(); err != nil {
		return fmt.Errorf("%s: %w\n%s", n.Name, err, n.Process().Said())
	}
	if err := s.cluster.AwaitCurrent(ctx, s.nc, s.streams(), n.Name); err != nil {
		return err
	}
	if err := s.witness.goesOn(ctx); err != nil { // what comes now, and what was before, the other two hold both
		return err
	}
	if err := n.Wipe(); err != nil {
		return err
	}
	return s.startNode(ctx, n)
}

func (s *soak) rollingRestart(ctx context.Context, _ *rand.Rand) error {
	for _, n := range s.cluster.Nodes {
		if err := n.Process().Stop(); err != nil {
			return fmt.Errorf("%s: %w\n%s", n.Name, err, n.Process().Said())
		}
		if err := s.startNode(ctx, n); err != nil {
			return err
		}
		if err := s.cluster.AwaitCurrent(ctx, s.nc, s.streams()); err != nil {
			return err
		}
	}
	return nil
}

func (s *soak) programFaults() []fault {
	on := func(programs []*program, do func(context.Context, *rand.Rand, *program) error) func(context.Context, *rand.Rand) error {
		return func(ctx context.Context, random *rand.Rand) error { return do(ctx, random, anyOf(random, programs)) }
	}
	return []fault{
		{"poller killed", on(s.pollers, s.killProgram)},
		{"poller suspended", on(s.pollers, suspendProgram)},
		{"poller stopped", on(s.pollers, s.stopProgram)},
		{"reducer killed", on(s.reducers, s.killProgram)},
		{"reducer suspended", on(s.reducers, suspendProgram)},
		{"reducer stopped", on(s.reducers, s.stopProgram)},
		{"control plane away", s.closePlane},
		{"control plane hostile", s.hostilePlane},
	}
}

func (s *soak) killProgram(ctx context.Context, random *rand.Rand, p *program) error {
	return s.restart(ctx, random, p, p.Kill())
}

func (s *soak) stopProgram(ctx context.Context, random *rand.Rand, p *program) error {
	return s.restart(ctx, random, p, p.Stop())
}

// restart starts a program that has ended, after a moment.
func (s *soak) restart(ctx context.Context, random *rand.Rand, p *program, ended error) error {
	if ended != nil {
		return fmt.Errorf("%s: %w\n%s", p.name, ended, p.Said())
	}
	s.witness.listen(p.name, p.Said())
	pause(ctx, between(random, 0, 2*time.Second))
	return p.start(s.life)
}

func suspendProgram(ctx context.Context, random *rand.Rand, p *program) error {
	if err := suspend(ctx, p.Process, between(random, time.Second, 6*time.Second)); err != nil {
		return fmt.Errorf("%s: %w\n%s", p.name, err, p.Said())
	}
	return nil
}

func suspend(ctx context.Context, p *deployment.Process, d time.Duration) error {
	if err := p.Pause(ctx); err != nil {
		return err
	}
	pause(ctx, d)
	return p.Resume()
}

func (s *soak) closePlane(ctx context.Context, random *rand.Rand) error {
	if err := s.plane.close(); err != nil {
		return err
	}
	pause(ctx, between(random, time.Second, 6*time.Second))
	return s.plane.open(s.life)
}

func (s *soak) hostilePlane(ctx context.Context, random *rand.Rand) error {
	how := anyOf(random, hostilities)
	s.diary.say("the control plane %s", how)
	if err := s.plane.misbehave(how); err != nil {
		return err
	}
	pause(ctx, between(random, time.Second, 6*time.Second))
	return s.plane.misbehave("")
}
