package check_test

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"fleetlog/events"
	"fleetlog/internal/fleetsim"
)

const (
	randomTicks = 150
	randomSeed  = "FLEETLOG_CHECK_SEED"
)

// TestRandomLog finds nothing in what pollers write, whatever happens to the
// fleet, to trust, and to the pollers themselves.
func TestRandomLog(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv(randomSeed); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		must(t, err)
	}
	t.Logf("%s=%d repeats this", randomSeed, seed)
	s := newScene(t)
	writer, err := events.NewWriter(s.key)
	must(t, err)
	s.sign(6, 3)
	random := rand.New(rand.NewPCG(seed, seed))
	happenings := s.happenings(random, writer)
	outcomes := make(map[events.Outcome]int)
	for range randomTicks {
		for n := range random.IntN(4) {
			if n == 0 {
				happenings[0]()
			} else {
				happenings[random.IntN(len(happenings))]()
			}
		}
		outcomes[s.tick().Completed.Outcome]++
	}
	if outcomes[events.Verified] < 10 || outcomes[events.Skipped] < 10 {
		t.Errorf("the ticks are %v", outcomes)
	}
	if got := s.check(""); got.Found > 0 || got.Ticks != randomTicks {
		t.Errorf("%d ticks, broken is %+v", got.Ticks, got.Findings)
	}
}

// happenings are what can be different at the next tick; the first is a new
// release.
func (s *scene) happenings(random *rand.Rand, writer *events.Writer) []func() {
	older := []fleetsim.Release{maps.Clone(s.served)}
	return []func(){
		func() {
			older = append(older, maps.Clone(s.served))
			s.sign(6, 1+random.IntN(4))
		},
		func() { s.served = maps.Clone(older[random.IntN(len(older))]) }, // a rollback
		func() { s.signAt(6, 2, s.signed) },                              // an equivocation
		func() { delete(s.served, "fleet.resolved.json") },
		func() { delete(s.served, rolloutFile(random.IntN(3))) },
		func() {
			if f := s.served[rolloutFile(0)+".sig"]; f != nil {
				f.Data = bytes.Repeat([]byte{7}, 64)
			}
		},
		func() {
			if s.served[rolloutFile(0)] != nil {
				s.resign(0)
			}
		},
		func() { s.trust = signer.Trust() },
		func() { s.trust = another.Trust() },
		func() { s.trust = bothKeys(s.t) },
		func() { s.trust = []byte("{") },
		func() { s.now = s.now.Add(time.Duration(random.IntN(100)) * time.Minute) },
		func() { s.start(writer) },
		func() {},
	}
}
