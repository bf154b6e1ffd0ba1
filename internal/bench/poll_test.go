package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"fleetlog/events"
	"fleetlog/internal/process"
	"fleetlog/manifest"
	"fleetlog/producers"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// BenchmarkPoll polls a release that is another one at each tick, beside a poller
// that asks for one thing after the other.
func BenchmarkPoll(b *testing.B) {
	for _, c := range []struct {
		name            string
		delay           time.Duration
		channels, hosts int
	}{
		{"5ms-10", 5 * time.Millisecond, 10, 100},
		{"5ms-100", 5 * time.Millisecond, 100, 1000},
		{"5ms-1000", 5 * time.Millisecond, 1000, 10_000},
		{"0ms-100", 0, 100, 10_000},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := newScene(b)
			p := s.startPlane(c.hosts, c.channels, c.delay)
			ours, theirs := p.poller(), p.sequential()
			ours.tick()
			theirs.tick()
			var figures rounds
			for b.Loop() {
				p.switchRelease(ours.client)
				mine := timed(ours.tick)
				figures.add(mine, timed(theirs.tick))
			}
			figures.report(b, "ns", true)
		})
	}
}

// BenchmarkPollUnchanged is what a tick costs in processor time in which nothing
// is new, beside one in which everything is.
func BenchmarkPollUnchanged(b *testing.B) {
	s := newScene(b)
	p := s.startPlane(10_000, 100, 0)
	ours := p.poller()
	ours.tick()
	var figures rounds
	for b.Loop() {
		p.switchRelease(ours.client)
		changed := processor(ours.tick)
		runtime.GC() // the garbage of a changed tick is not an unchanged one's
		unchanged := processor(ours.tick)
		runtime.GC()
		figures.add(unchanged, changed)
	}
	figures.report(b, "ns", false)
}

func timed(f func()) float64 {
	began := time.Now()
	f()
	return float64(time.Since(began).Nanoseconds())
}

// processor is the processor time of this process while f runs.
func processor(f func()) float64 {
	used := func() int64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			panic(err)
		}
		return u.Utime.Nano() + u.Stime.Nano()
	}
	before := used()
	f()
	return float64(used() - before)
}

// polling is the product's poller without its log.
type polling struct {
	*plane
	client *http.Client
	poll   producers.Poll
	memory producers.Memory
}

func (p *plane) poller() *polling {
	transport, err := process.TLSFiles{CA: p.files.CA, Cert: p.files.Cert, Key: p.files.Key}.Transport(func(err error) { p.Error(err) })
	p.must(err)
	client := &http.Client{Transport: transport}
	source, err := producers.NewControlPlane(p.url, producers.HTTP{Client: client, Timeout: time.Minute, Clock: time.Now})
	p.must(err)
	return &polling{plane: p, client: client, poll: producers.Poll{
		Source: source, Concurrency: 32, Window: manifest.Unlimited,
		Trust: func() ([]byte, error) { return p.signer.Trust(), nil },
	}}
}

func (p *polling) tick() {
	// Of two releases in turns each second one is older than what was accepted.
	p.memory.Floor = nil
	result := p.poll.Tick(p.Context(), p.now.Add(time.Minute), p.memory)
	p.memory = result.Memory
	for _, f := range result.Findings {
		switch f.(type) {
		case *events.FleetFetched, *events.RolloutVerified:
		default:
			p.Fatalf("a tick finds %+v", f)
		}
	}
}

// sequential is a poller that asks for one thing after the other over one
// connection, and reads each into a tree before it is canonicalized, verified,
// hashed, and read once more.
type sequential struct {
	*plane
	client *http.Client
	key    ed25519.PublicKey
}

func (p *plane) sequential() *sequential {
	var trust struct {
		CIReleaseKey struct {
			Current struct {
				Public []byte `json:"public"`
			} `json:"current"`
		} `json:"ciReleaseKey"`
	}
	p.must(json.Unmarshal(p.signer.Trust(), &trust))
	transport := &http.Transport{TLSClientConfig: p.clientConfig()} // which speaks HTTP/1.1 alone
	p.Cleanup(transport.CloseIdleConnections)
	return &sequential{p, &http.Client{Transport: transport}, trust.CIReleaseKey.Current.Public}
}

// What the peer reads an artifact into.
type (
	peerFleet struct {
		Hosts    map[string]peerHost              `json:"hosts"`
		Channels map[string]map[string]any        `json:"channels"`
		Waves    map[string][]peerWave            `json:"waves"`
		Policies map[string]map[string]any        `json:"rolloutPolicies"`
		Meta     struct{ SignedAt, CICommit any } `json:"meta"`
	}
	peerHost struct {
		Channel     string   `json:"channel"`
		ClosureHash string   `json:"closureHash"`
		Platform    string   `json:"platform"`
		Tags        []string `json:"tags"`
	}
	peerWave struct {
		Hosts       []string `json:"hosts"`
		SoakMinutes int      `json:"soakMinutes"`
	}
	peerRollout struct {
		Channel           string           `json:"channel"`
		ChannelRef        string           `json:"channelRef"`
		FleetResolvedHash string           `json:"fleetResolvedHash"`
		HostSet           []map[string]any `json:"hostSet"`
	}
)

func (s *sequential) tick() {
	var fleet peerFleet
	s.artifact("/v1/fleet.resolved", &fleet)
	verified := 0
	for name := range fleet.Channels {
		var rollout peerRollout
		s.artifact("/v1/rollouts/"+name+"@"+fmt.Sprintf("%040x", 1), &rollout)
		verified++
	}
	if verified == 0 {
		s.Fatal("the fleet has no channels")
	}
}

func (s *sequential) artifact(path string, value any) {
	body, signature := s.get(path), s.get(path+"/sig")
	var tree any
	s.must(json.Unmarshal(body, &tree))
	text, err := json.Marshal(tree, json.Deterministic(true))
	s.must(err)
	canonical := jsontext.Value(text)
	s.must(canonical.Canonicalize())
	if !ed25519.Verify(s.key, canonical, signature) {
		s.Fatalf("%s: signature does not hold", path)
	}
	_ = sha256.Sum256(canonical)
	s.must(json.Unmarshal(body, value))
}

func (s *sequential) get(path string) []byte {
	response, err := s.client.Get(s.url + path)
	s.must(err)
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	s.must(err)
	if response.StatusCode != http.StatusOK {
		s.Fatalf("%s: %s", path, response.Status)
	}
	return data
}

func pool(ca []byte) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	return pool
}

func file(data []byte) *fstest.MapFile { return &fstest.MapFile{Data: data, Mode: 0o644} }
