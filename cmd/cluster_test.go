package cmd_test

import (
	"context"
	"crypto/ed25519"
	cryptorand "crypto/rand"
	"flag"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"fleetlog/consumers/check"
	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/deployment"
	"fleetlog/internal/process"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/sirupsen/logrus"
)

// What TestClusterKeepsEveryTick does: the default is what every run of the tests
// can afford.
var (
	leaderKills     = flag.Int("leader-kills", 3, "how often the leader of the events stream is killed")
	leaderPauses    = flag.Int("leader-pauses", 1, "how often the leader of the events stream is suspended until another one leads")
	rollingRestarts = flag.Int("rolling-restarts", 1, "how often all nodes are restarted in turn")
	wipes           = flag.Int("wipes", 1, "how often a node loses its disk")
	faultPatience   = flag.Duration("fault-patience", 2*time.Minute, "longest time for the cluster to get over one of these")
)

// ticksBetween are acknowledged between two faults at least.
const ticksBetween = 2 * ticksASecond

// TestClusterKeepsEveryTick kills, suspends, restarts and wipes nodes of a cluster
// of three while one writer appends twenty ticks a second, and another one gets in
// its way. Every tick that was acknowledged is in the log, where it was
// acknowledged, and once; and the log is one chain.
func TestClusterKeepsEveryTick(t *testing.T) {
	t.Parallel()
	s := newClusterScene(t)
	load, stop := startLoad(t, s.cluster.URL(), s.writers)
	began := time.Now()
	s.fault(load, func(context.Context) {}) // none yet
	for n := range *leaderKills {
		s.fault(load, func(ctx context.Context) {
			node := s.leader(ctx)
			if err := node.Process().Kill(); err != nil {
				t.Fatalf("kill %d: %v", n+1, err)
			}
			load.goesOn(ctx, 1)
			t.Logf("leader %s killed, %d ticks acknowledged", node.Name, load.count())
			s.start(ctx, node)
		})
	}
	for range *leaderPauses {
		s.fault(load, func(ctx context.Context) { s.pause(ctx, load) })
	}
	for range *rollingRestarts {
		for _, node := range s.cluster.Nodes {
			s.fault(load, func(ctx context.Context) {
				if err := node.Process().Stop(); err != nil {
					t.Fatalf("stop %s: %v\n%s", node.Name, err, node.Process().Said())
				}
				s.start(ctx, node)
			})
		}
	}
	for range *wipes {
		s.fault(load, func(ctx context.Context) { s.wipe(ctx, load) })
	}
	stop()
	t.Logf("%d leader kills, %d leader pauses, %d rolling restarts, %d wiped nodes in %s; %d ticks acknowledged, %.1f a second, %d not recorded; longest pause %s",
		*leaderKills, *leaderPauses, *rollingRestarts, *wipes, time.Since(began).Round(time.Second), load.count(),
		float64(load.count())/time.Since(began).Seconds(), load.refused, load.longest.Round(time.Millisecond))
	s.judge(load)
}

// clusterScene is a cluster of three with a log of three replicas.
type clusterScene struct {
	t       *testing.T
	dir     string
	cluster *deployment.Cluster
	nc      *nats.Conn
	streams []string
	writers []*events.Writer // that the log accepts
}

func newClusterScene(t *testing.T) *clusterScene {
	s := &clusterScene{t: t, dir: t.TempDir()}
	name := fleetName(t)
	s.streams = []string{name.EventsStream(), name.ArtifactsStream()}
	ctx, cancel := context.WithTimeout(t.Context(), *faultPatience)
	defer cancel()
	var err error
	if s.cluster, err = deployment.NewCluster(ctx, binary("embedded-nats"), s.dir); err != nil {
		t.Fatal(err)
	}
	if err := s.cluster.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, n := range s.cluster.Nodes {
			<-n.Process().Done()
		}
	})
	if err := s.cluster.AwaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	if s.nc, err = nats.Connect(s.cluster.URL(), nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.nc.Close)
	s.provision(ctx)
	return s
}

// provision makes a log that accepts two writers.
func (s *clusterScene) provision(ctx context.Context) {
	s.t.Helper()
	var files []string
	for n := range 2 {
		files = append(files, filepath.Join(s.dir, fmt.Sprintf("writer-%d.key", n)))
		key, err := process.CreateWriterKey(files[n], cryptorand.Reader)
		if err != nil {
			s.t.Fatal(err)
		}
		s.accept(key)
	}
	out, err := exec.CommandContext(ctx, binary("fleetlog"), "provision", "--fleet", fleet, "--nats-url", s.cluster.URL(),
		"--writer-key-file", files[0], "--writers", s.writers[1].Public().String(), "--replicas", "3").CombinedOutput()
	if err != nil {
		s.t.Fatalf("provision: %v\n%s", err, out)
	}
	if err := s.cluster.AwaitCurrent(ctx, s.nc, s.streams); err != nil {
		s.t.Fatal(err)
	}
}

func (s *clusterScene) accept(key ed25519.PrivateKey) {
	s.t.Helper()
	writer, err := events.NewWriter(key)
	if err != nil {
		s.t.Fatal(err)
	}
	s.writers = append(s.writers, writer)
}

// fault lets something happen to the cluster, and waits until it is whole again.
func (s *clusterScene) fault(load *load, happens func(context.Context)) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), *faultPatience)
	defer cancel()
	happens(ctx)
	load.goesOn(ctx, ticksBetween)
	if err := s.cluster.AwaitCurrent(ctx, s.nc, s.streams); err != nil {
		s.t.Fatal(err)
	}
}

func (s *clusterScene) leader(ctx context.Context) *deployment.Node {
	s.t.Helper()
	node, err := s.cluster.AwaitLeader(ctx, s.nc, s.streams[0])
	if err != nil {
		s.t.Fatal(err)
	}
	return node
}

func (s *clusterScene) start(ctx context.Context, node *deployment.Node) {
	s.t.Helper()
	if err := node.Start(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	if err := node.AwaitReady(ctx); err != nil {
		s.t.Fatal(err)
	}
}

// pause suspends the leader until another one leads. When it goes on, it answers
// for a moment as if it still led, of a log that has grown meanwhile.
func (s *clusterScene) pause(ctx context.Context, load *load) {
	node := s.leader(ctx)
	if err := node.Process().Pause(ctx); err != nil {
		s.t.Fatal(err)
	}
	load.goesOn(ctx, ticksBetween)
	if err := node.Process().Resume(); err != nil {
		s.t.Fatal(err)
	}
}

// wipe takes a node down and, once the other two hold everything, gives it an
// empty disk.
func (s *clusterScene) wipe(ctx context.Context, load *load) {
	node := s.cluster.Nodes[rand.IntN(deployment.Replicas)]
	if err := node.Process().Kill(); err != nil {
		s.t.Fatal(err)
	}
	if err := s.cluster.AwaitCurrent(ctx, s.nc, s.streams, node.Name); err != nil {
		s.t.Fatal(err)
	}
	load.goesOn(ctx, 1) // what is acknowledged now, and what was before, the other two hold both
	if err := node.Wipe(); err != nil {
		s.t.Fatal(err)
	}
	s.start(ctx, node)
}

// judge reads the log and compares it with what the writers were told.
func (s *clusterScene) judge(load *load) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), *faultPatience)
	defer cancel()
	quiet := logrus.New()
	nc, err := eventlog.Connect(eventlog.Connection{Endpoint: eventlog.Endpoint{URL: s.cluster.URL()}, Name: "judge", Log: quiet}, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	defer nc.Close()
	log, err := eventlog.Open(ctx, nc, eventlog.Place{Fleet: fleetName(s.t)})
	if err != nil {
		s.t.Fatal(err)
	}
	report, err := check.Check(ctx, log, check.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	if report.Found > 0 || report.Noise > 0 {
		s.t.Errorf("check of %d ticks: %d broken, %d noise: %+v", report.Ticks, report.Found, report.Noise, report.Findings)
	}
	s.t.Logf("%d ticks in the log", report.Ticks)
	for delivery, err := range log.Follow(ctx, log.Opening()) {
		if err != nil {
			s.t.Fatal(err)
		}
		if tick := delivery.Tick; tick != nil {
			if told, ok := load.acknowledged[tick.Head.Digest]; ok && (told.Number != tick.Head.Number || told.Seq != tick.Head.Seq) {
				s.t.Errorf("tick %d at %d was acknowledged as tick %d at %d", tick.Head.Number, tick.Head.Seq, told.Number, told.Seq)
			}
			delete(load.acknowledged, tick.Head.Digest)
		}
		if delivery.CaughtUp {
			break
		}
	}
	if diff := cmp.Diff(0, len(load.acknowledged)); diff != "" {
		s.t.Errorf("acknowledged ticks that the log lacks (-want +got):\n%s", diff)
	}
}
