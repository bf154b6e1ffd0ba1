package main

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/broker"
	"fleetlog/internal/broker/brokertest"
	"fleetlog/internal/fleetsim"
	"fleetlog/manifest"
	"fleetlog/producers"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
)

// scene is a broker with a log, and a release to write about.
type scene struct {
	*testing.B
	nc     *nats.Conn
	log    *eventlog.Log
	writer *events.Writer
	signer *fleetsim.Signer
	now    time.Time
	random *rand.Rand
}

func newScene(b *testing.B, change ...func(*broker.Config)) *scene {
	b.Helper()
	return sceneAt(b, brokertest.Start(b, change...).ClientURL())
}

// sceneAt is a scene on a broker that runs already.
func sceneAt(b *testing.B, url string) *scene {
	b.Helper()
	s := &scene{
		B: b, now: time.Now().Truncate(time.Second), signer: fleetsim.NewEd25519Signer(1), random: rand.New(rand.NewPCG(1, 2)),
	}
	var err error
	s.nc, err = nats.Connect(url)
	s.must(err)
	b.Cleanup(s.nc.Close)
	s.writer, err = events.NewWriter(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32)))
	s.must(err)
	s.log = s.provision("prod")
	return s
}

func (s *scene) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *scene) provision(name string) *eventlog.Log {
	s.Helper()
	fleet, err := events.ParseFleetName(name)
	s.must(err)
	log, err := eventlog.Provision(s.Context(), s.nc, eventlog.Place{Fleet: fleet}, eventlog.Provisioning{
		Limits:  eventlog.DefaultLimits(),
		Opening: events.Opening{Writer: s.writer, Writers: []events.PublicKey{s.writer.Public()}},
		Now:     s.now, Random: uuid.NewRandom,
	})
	s.must(err)
	return log
}

// id is a tick's id.
func (s *scene) id() string {
	id, err := uuid.NewV7()
	s.must(err)
	return id.String()
}

// poll judges a release of so many hosts and channels, and stores its artifacts.
func (s *scene) poll(hosts, channels int) *producers.Result {
	s.Helper()
	release, err := fleetsim.Fleet{Hosts: hosts, Channels: channels, Commit: fmt.Sprintf("%040x", 1), SignedAt: s.now}.Sign(s.signer)
	s.must(err)
	poll := producers.Poll{
		Source: producers.NewDirectory(release), Concurrency: 1, Window: manifest.Unlimited,
		Trust: func() ([]byte, error) { return s.signer.Trust(), nil },
	}
	result := poll.Tick(s.Context(), s.now, producers.Memory{})
	for _, f := range result.Findings {
		if a := events.ArtifactOf(f); a != nil {
			a.Parts, err = s.log.PutArtifact(s.Context(), s.log.Fleet().FleetArtifactSubject(), result.Artifacts[a.SHA256], eventlog.Kept{})
			s.must(err)
		}
	}
	return result
}

// draft is a tick that found the result.
func (s *scene) draft(result *producers.Result) events.Draft {
	return events.Draft{
		Tick: s.id(), Time: events.TimeOf(s.now), Findings: result.Findings,
		Set: result.Reference(), Floor: result.Memory.Floor, Interval: 30 * time.Second,
	}
}
