package cmd_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"fleetlog/internal/deployment"
)

var crashRounds = flag.Int("crash-rounds", 1, "kills of a process at every point of the crash matrix, with sync always and without")

// TestCrashMatrix kills poller, reducer and broker at every point where what they
// leave could be half of something, and at random moments around them, on a broker
// that syncs every write and on one that does not. Behind every point the checker
// finds nothing in the log and in the state directory, nothing that was
// acknowledged or seen has changed, and the reducer holds what a reader holds
// that was never interrupted.
func TestCrashMatrix(t *testing.T) {
	t.Parallel()
	programs := failingPrograms(t)
	table := &crashTable{}
	for _, always := range []bool{true, false} {
		t.Run(fmt.Sprintf("sync always %v", always), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+*crashRounds)*time.Minute)
			defer cancel()
			c := newCrash(ctx, t, programs, always)
			for _, p := range c.points() {
				began := time.Now()
				for n := range *crashRounds {
					table.add(p, p.kill(ctx, n))
				}
				table.found(p, c.judge(ctx))
				t.Logf("%s, %s: %s", p.process, p.name, time.Since(began).Round(time.Millisecond))
			}
			c.finish(ctx)
		})
	}
	t.Logf("by point:\n%s", table)
}

var buildFailing sync.Once

// failingPrograms is where the programs are that have failpoints, beside the
// ordinary ones. Whoever is the first to need them builds them.
func failingPrograms(t *testing.T) (dir string) {
	t.Helper()
	dir = filepath.Join(filepath.Dir(binary("poller")), "failing")
	var err error
	buildFailing.Do(func() {
		if err = os.Mkdir(dir, 0o700); err == nil {
			err = deployment.Build(t.Context(), "..", dir, "failpoints")
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestOrdinaryProgramsHaveNoFailpoints gives a plan to both builds of a program;
// only one follows it.
func TestOrdinaryProgramsHaveNoFailpoints(t *testing.T) {
	dir := t.TempDir()
	plan := filepath.Join(dir, "plan")
	if err := os.WriteFile(plan, []byte("* kill\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, program := range map[string]string{"ordinary": binary("embedded-nats"), "failing": filepath.Join(failingPrograms(t), "embedded-nats")} {
		p, err := deployment.Start(t.Context(), program, []string{"init", "--fleet", fleet, filepath.Join(dir, name)}, "FLEETLOG_FAILPOINTS="+plan)
		if err != nil {
			t.Fatal(err)
		}
		<-p.Done()
		_, made := os.Stat(filepath.Join(dir, name))
		if killed := p.Err() != nil && made != nil; killed != (name == "failing") {
			t.Errorf("%s build: %v, %v: %s", name, p.Err(), made, p.Said())
		}
	}
}

// crashPoint is a row of the matrix.
type crashPoint struct {
	process, name string
	// kill ends the process there for the n-th time and brings it back; false when
	// nothing was in flight that moment.
	kill func(ctx context.Context, n int) (inFlight bool)
}

// points are in the order in which they are gone through.
func (c *crash) points() []crashPoint {
	var points []crashPoint
	for _, p := range pollerPoints {
		points = append(points, crashPoint{"poller", p.name, func(ctx context.Context, n int) bool { return c.killPoller(ctx, p, n) }})
	}
	points = append(points,
		crashPoint{"poller", "tick, of one message", func(ctx context.Context, _ int) bool { return c.killQuietPoller(ctx, "tick") }},
		crashPoint{"poller", "acknowledged, of one message", func(ctx context.Context, _ int) bool { return c.killQuietPoller(ctx, "acknowledged") }},
		crashPoint{"poller", "random", func(ctx context.Context, _ int) bool { return c.killPollerAtRandom(ctx) }})
	for _, p := range reducerPoints {
		points = append(points, crashPoint{"reducer", p.name, func(ctx context.Context, n int) bool { return c.killReducer(ctx, p, n) }})
	}
	points = append(points, crashPoint{"reducer", "random", func(ctx context.Context, _ int) bool { return c.killReducerAtRandom(ctx) }})
	for _, p := range brokerPoints {
		points = append(points, crashPoint{"broker", p.name, func(ctx context.Context, n int) bool { return c.killBroker(ctx, p, n) }})
	}
	return append(points, crashPoint{"broker", "random", func(ctx context.Context, _ int) bool { return c.killBrokerAtRandom(ctx) }})
}

// crashTable counts kills by point.
type crashTable struct{ rows []crashRow }

type crashRow struct {
	process, point              string
	kills, inFlight, violations int
}

func (t *crashTable) row(p crashPoint) *crashRow {
	for i := range t.rows {
		if t.rows[i].process == p.process && t.rows[i].point == p.name {
			return &t.rows[i]
		}
	}
	t.rows = append(t.rows, crashRow{process: p.process, point: p.name})
	return &t.rows[len(t.rows)-1]
}

func (t *crashTable) add(p crashPoint, inFlight bool) {
	r := t.row(p)
	r.kills++
	if inFlight {
		r.inFlight++
	}
}

func (t *crashTable) found(p crashPoint, violations int) { t.row(p).violations += violations }

func (t *crashTable) String() string {
	var s strings.Builder
	w := tabwriter.NewWriter(&s, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "process\tpoint\tkills\ttick in flight\tviolations")
	var sum crashRow
	for i, r := range t.rows {
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\n", r.process, r.point, r.kills, r.inFlight, r.violations)
		sum.kills, sum.inFlight, sum.violations = sum.kills+r.kills, sum.inFlight+r.inFlight, sum.violations+r.violations
		if i == len(t.rows)-1 || t.rows[i+1].process != r.process {
			fmt.Fprintf(w, "%s\tall\t%d\t%d\t%d\n", r.process, sum.kills, sum.inFlight, sum.violations)
			sum = crashRow{}
		}
	}
	w.Flush()
	return s.String()
}

func newCrash(ctx context.Context, t *testing.T, programs string, syncAlways bool) *crash {
	seed := killSeed(t)
	t.Logf("seed %d; %s sets another one", seed, killSeedEntry)
	c := &crash{failingWorld: newFailingWorld(ctx, t, programs, syncAlways), random: rand.New(rand.NewPCG(seed, seed)), acknowledged: make(map[uint64]uint64)}
	c.startPoller(ctx)
	c.witness = witnessOf(ctx, c.scene)
	c.reference = c.witness.reference
	c.looker = newLooker(c.stateDir, c.rules)
	c.startReducer(ctx)
	return c
}
