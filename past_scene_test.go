package fleetlog_test

import (
	"bytes"
	"crypto/ed25519"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"fleetlog/consumers/past"
	"fleetlog/consumers/view"
	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/broker"
	"fleetlog/internal/broker/brokertest"
	"fleetlog/manifest"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// remembered is what the model held after one tick.
type remembered struct {
	head events.Head
	set  *modelSet
}

// pasts is a random world whose log is stored, and what the model held of it.
type pasts struct {
	t      *testing.T
	world  *world
	random *rand.Rand
	log    *eventlog.Log
	js     jetstream.JetStream
	ticks  []remembered
}

// newPasts writes the log of so many random steps.
func newPasts(t *testing.T, seed uint64, steps int) *pasts {
	t.Helper()
	w := newWorld(t, seed)
	s := &pasts{t: t, world: w, random: rand.New(rand.NewPCG(seed, 1))}
	p, m := newPath(t, w), &model{}
	s.provision(p)
	parts, stored := map[string]uint64{}, uint64(0)
	p.store = func(body []byte, key string) uint64 {
		if _, ok := parts[key]; !ok {
			stored++
			parts[key] = stored
			s.send("nixfleet-artifact.prod.fleet", nil, body)
		}
		return parts[key]
	}
	p.publish = func(m events.Message) { s.send(m.Subject, m.Header, m.Body) }
	for step := range steps {
		if step/15%2 == 1 {
			s.drought()
		} else {
			w.step()
		}
		m.tick(w)
		tick := p.tick(t)
		if err := p.check(m, tick); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		s.ticks = append(s.ticks, remembered{tick.Head, m.set})
		if s.random.IntN(4) == 0 { // what is no tick is in the log, too
			p.seq++
			leaf := []string{"TickCompleted", "FleetFetched", "FleetRejected", "RolloutVerified.channel-000"}[s.random.IntN(4)]
			s.send("nixfleet.prod.event."+leaf, nil, []byte("junk"))
		}
	}
	select {
	case <-s.js.PublishAsyncComplete():
	case <-t.Context().Done():
	}
	if last, err := s.log.LastSequence(t.Context()); err != nil || last != p.seq {
		t.Fatalf("log ends at %d (%v), want %d", last, err, p.seq)
	}
	return s
}

// drought keeps the fleet away for a while, so that a set is retained, and lets
// trust take of it what it will: between statements, and in restatements.
func (s *pasts) drought() {
	s.world.now = s.world.now.Add(time.Duration(1+s.random.IntN(1_500_000)) * time.Millisecond)
	s.world.fleetFault = "missing"
	switch s.random.IntN(8) {
	case 0:
		s.world.revoke()
	case 1:
		s.world.trustAll()
	case 2:
		s.world.repair()
	case 3:
		s.world.fleetFault = "tampered"
	}
}

// provision makes the log, and the path write it.
func (s *pasts) provision(p *path) {
	s.t.Helper()
	must := func(err error) {
		s.t.Helper()
		if err != nil {
			s.t.Fatal(err)
		}
	}
	b := brokertest.Start(s.t, func(c *broker.Config) { c.NoSync = true })
	nc, err := nats.Connect(b.ClientURL())
	must(err)
	s.t.Cleanup(nc.Close)
	s.js, err = jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(1000))
	must(err)
	writer, err := events.NewWriter(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32)))
	must(err)
	s.log, err = eventlog.Provision(s.t.Context(), nc, eventlog.Place{Fleet: p.base.Fleet}, eventlog.Provisioning{
		Limits:  eventlog.Limits{Events: 64 << 20, Artifacts: 128 << 20, Replicas: 1},
		Opening: events.Opening{Writer: writer, Writers: []events.PublicKey{writer.Public()}}, Now: s.world.now, Random: uuid.NewRandom,
	})
	must(err)
	p.base.Head, p.chain = s.log.Opening(), events.NewChain(p.base.Fleet, s.log.Writers(), s.log.Opening())
}

func (s *pasts) send(subject string, header map[string][]string, body []byte) {
	s.t.Helper()
	if _, err := s.js.PublishMsgAsync(&nats.Msg{Subject: subject, Header: header, Data: body}, jetstream.WithStallWait(time.Minute)); err != nil {
		s.t.Fatal(err)
	}
}

// readers are the one who believes the log, and the one who verifies.
func (s *pasts) readers() map[string]*past.Reader {
	s.t.Helper()
	s.world.trust = trust{keys: []int{0, 1}}
	trusted, err := manifest.ParseTrust(s.world.trustFile())
	if err != nil {
		s.t.Fatal(err)
	}
	return map[string]*past.Reader{
		"said":     {Log: s.log},
		"verified": {Log: s.log, Policy: manifest.Policy{Trust: trusted, Window: window}},
	}
}

func (s *pasts) at(point string) *events.Tick {
	s.t.Helper()
	p, err := eventlog.ParsePoint(point, s.world.now)
	if err != nil {
		s.t.Fatal(err)
	}
	tick, err := s.log.At(s.t.Context(), p)
	if err != nil {
		s.t.Fatalf("%s: %v", point, err)
	}
	return tick
}

// instant is a random one between the first and the last tick, and what was held
// then.
func (s *pasts) instant() (time.Time, remembered) {
	first, last := s.ticks[0].head.Time.Time(), s.ticks[len(s.ticks)-1].head.Time.Time()
	when := first.Add(time.Duration(s.random.Int64N(int64(last.Sub(first)) + 1)))
	found := s.ticks[0]
	for _, r := range s.ticks {
		if !r.head.Time.Time().After(when) {
			found = r
		}
	}
	return when, found
}

// heldBy describes a set as the model does.
func heldBy(set view.Set) (digest string, channels map[string]string) {
	channels = make(map[string]string)
	for name, r := range set.Rollouts {
		channels[name] = r.ManifestHash.String()
	}
	if set.SetDigest == nil {
		return "none", channels
	}
	return set.SetDigest.String(), channels
}

func (s *modelSet) hashes() map[string]string {
	if s == nil {
		return map[string]string{}
	}
	return s.channels
}

// eachPast runs the test on several random pasts. FLEETLOG_TEST_SEED repeats one.
func eachPast(t *testing.T, test func(t *testing.T, s *pasts, r *past.Reader)) {
	t.Helper()
	seeds, steps := 3, 90
	if share > 1 {
		seeds, steps = 1, 60
	}
	base := uint64(time.Now().UnixNano())
	for i := range uint64(seeds) {
		t.Run(strconv.FormatUint(i, 10), func(t *testing.T) {
			seed := seedOr(t, base+i)
			s := newPasts(t, seed, steps)
			for name, r := range s.readers() {
				t.Run(name, func(t *testing.T) {
					test(t, s, r)
					if t.Failed() {
						t.Logf("FLEETLOG_TEST_SEED=%d", seed)
					}
				})
			}
		})
	}
}

func seedOr(t *testing.T, seed uint64) uint64 {
	t.Helper()
	text := os.Getenv("FLEETLOG_TEST_SEED")
	if text == "" {
		return seed
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return seed
}
