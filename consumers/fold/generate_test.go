package fold_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"fleetlog/events"
	"fleetlog/internal/fleetsim"
	"fleetlog/manifest"
	"fleetlog/producers"

	"github.com/google/uuid"
)

var (
	epoch   = time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	signer  = fleetsim.NewEd25519Signer(1)
	another = fleetsim.NewEd25519Signer(2)
)

func sortTrusts(all []inForce) {
	slices.SortFunc(all, func(a, b inForce) int { return int(a.from - b.from) })
}

// trustOf names the keys of one or two signers.
func trustOf(t testing.TB, signers ...*fleetsim.Signer) []byte {
	t.Helper()
	var keys []string
	for _, s := range signers {
		text := string(s.Trust())
		from, to := strings.Index(text, `"current":`)+len(`"current":`), strings.Index(text, "}")
		keys = append(keys, text[from:to+1])
	}
	text := fmt.Sprintf(`{"schemaVersion":1,"ciReleaseKey":{"current":%s}}`, keys[0])
	if len(keys) > 1 {
		text = fmt.Sprintf(`{"schemaVersion":1,"ciReleaseKey":{"current":%s,"previous":%s}}`, keys[0], keys[1])
	}
	parseTrust(t, []byte(text))
	return []byte(text)
}

// generator writes a log of a fleet to which everything happens.
type generator struct {
	t        testing.TB
	random   *rand.Rand
	log      *written
	messages []events.Message
	base     events.Base
	writer   *events.Writer
	poll     producers.Poll
	memory   producers.Memory
	now      time.Time
	fleet    fleetsim.Fleet
	release  fleetsim.Release // as it was signed
	served   fleetsim.Release // with what has gone wrong with it
	trust    []byte
	next     func() // what will happen at the next tick
}

// generate writes a log of the given number of ticks. The same seed gives the
// same log.
func generate(t testing.TB, seed uint64, ticks int) *written {
	t.Helper()
	writer, err := events.NewWriter(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	g := &generator{
		t: t, random: rand.New(rand.NewPCG(seed, seed)), writer: writer, now: epoch,
		log: &written{parts: make(map[uint64][]byte), seen: make(map[string]int)},
	}
	g.poll = producers.Poll{
		Window: window, Concurrency: 1, Trust: func() ([]byte, error) { return g.trust, nil },
	}
	g.open()
	g.setTrust(trustOf(t, signer, another))
	for range ticks {
		g.tick()
	}
	g.log.opening, g.log.ticks = read(t, g.messages)
	return g.log
}

func (g *generator) must(err error) {
	g.t.Helper()
	if err != nil {
		g.t.Fatal(err)
	}
}

func (g *generator) uuid(version byte) string {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:8], g.random.Uint64())
	binary.BigEndian.PutUint64(id[8:], g.random.Uint64())
	id[6], id[8] = id[6]&0x0f|version<<4, id[8]&0x3f|0x80
	return id.String()
}

func (g *generator) open() {
	m, err := events.Open(prod(g.t), g.uuid(4), events.TimeOf(g.now), events.Opening{
		Writer: g.writer, Writers: []events.PublicKey{g.writer.Public()},
	})
	g.must(err)
	head, _, err := events.ReadOpening(prod(g.t), m, nil)
	g.must(err)
	g.messages, g.base = []events.Message{m}, events.Base{Fleet: prod(g.t), Head: head}
}

// setTrust serves a trust file to the poll; readers take the valid ones.
func (g *generator) setTrust(data []byte) {
	g.trust = data
	if trust, err := manifest.ParseTrust(data); err == nil {
		g.log.trusts = append(g.log.trusts, inForce{events.TimeOf(g.now), trust})
	}
}

// tick lets something happen, polls, and appends.
func (g *generator) tick() {
	g.now = g.now.Add(time.Duration(10+g.random.IntN(40)) * time.Second)
	g.happen()
	g.poll.Source = producers.NewDirectory(fs.FS(g.served))
	result := g.poll.Tick(g.t.Context(), g.now, g.memory)
	for _, f := range result.Findings {
		if a := events.ArtifactOf(f); a != nil {
			a.Parts = g.store(result.Artifacts[a.SHA256])
		}
		g.note(f)
	}
	draft := events.Draft{
		Tick: g.uuid(7), Time: events.TimeOf(g.now), Findings: result.Findings,
		Set: result.Reference(), Floor: result.Memory.Floor, Interval: 30 * time.Second,
	}
	if before := g.base.Head.Completed; result.Unjudged && before != nil {
		draft.Set = before.Set
	}
	terms := events.Terms{Writer: g.writer, RestateEvery: 3 * time.Minute}
	made, err := events.Compose(g.base, draft, terms, uint64(len(g.messages)+1))
	g.must(err)
	g.append(made)
	g.memory = result.Memory
}

// note counts what has happened.
func (g *generator) note(f events.Finding) {
	switch f := f.(type) {
	case *events.FleetRejected:
		g.log.seen[string(f.Reason)]++
	case *events.RolloutVerified:
		if f.Carried != "" {
			g.log.seen["carried"]++
		}
	case *events.RolloutRejected:
		g.log.seen["RolloutRejected"]++
	case *events.CrossCheckFailed:
		g.log.seen["CrossCheckFailed"]++
	case *events.ChannelIdle:
		g.log.seen["ChannelIdle"]++
	}
}

func (g *generator) append(made []events.Message) {
	chain := events.NewChain(prod(g.t), []events.PublicKey{g.writer.Public()}, g.base.Head)
	for i, m := range made {
		tick, _, err := chain.Push(uint64(len(g.messages)+1), m)
		g.must(err)
		g.messages = append(g.messages, m)
		if i < len(made)-1 {
			continue
		}
		g.base.Head = tick.Head
		g.log.seen[string(tick.Completed.Stated)]++
		g.log.seen[string(tick.Completed.Outcome)]++
		if ref := tick.Completed.Set; ref == nil {
			g.log.seen["no set"]++
		} else if len(ref.Without) > 0 {
			g.log.seen["without"]++
		}
		if len(tick.Findings) > 0 {
			g.base.Last = tick.Findings
			if tick.Completed.Outcome == events.Verified {
				g.base.LastVerified = tick.Findings
			}
		}
	}
}

// store puts a body into the artifacts stream, in parts.
func (g *generator) store(body []byte) (parts []uint64) {
	for part := range slices.Chunk(body, events.PartSize) {
		seq := uint64(len(g.log.parts) + 1)
		g.log.parts[seq] = part
		parts = append(parts, seq)
	}
	return parts
}

// happen changes the release, what is served of it, or the trust file.
func (g *generator) happen() {
	if next := g.next; next != nil {
		g.next = nil
		next()
		return
	}
	switch n := g.random.IntN(40); {
	case g.release == nil || n < 10:
		g.sign()
	case n < 15:
		g.served = maps.Clone(g.release) // everything is well again
	case n < 25:
		g.spoil()
	case n < 28:
		g.mix()
	case n < 33:
		g.resign()
	case n == 33:
		g.now = g.now.Add(2 * time.Hour) // everything is stale
	case n == 34:
		g.setTrust(trustOf(g.t, another))
	case n == 35:
		g.setTrust([]byte("{"))
	case n < 38: // trust will take a channel while there is no fleet
		g.sign()
		g.resign()
		g.setTrust(trustOf(g.t, signer, another))
		g.next = func() {
			g.setTrust(trustOf(g.t, signer))
			delete(g.served, "fleet.resolved.json")
		}
	case n == 38:
		g.setTrust(trustOf(g.t, signer, another))
	}
}

// sign makes a new release, sometimes one that is older than the last.
func (g *generator) sign() {
	g.fleet = fleetsim.Fleet{
		Hosts: 4 + g.random.IntN(4), Channels: 1 + g.random.IntN(3), Idle: g.random.IntN(2),
		Older: g.random.IntN(4) == 0, Closures: g.random.IntN(3), Commit: fmt.Sprintf("%x", g.random.Uint32()),
		SignedAt: g.now.Add(-time.Duration(g.random.IntN(90)) * time.Second),
	}
	release, err := g.fleet.Sign(signer)
	g.must(err)
	g.release, g.served = release, maps.Clone(release)
	if g.random.IntN(2) == 0 {
		g.setTrust(trustOf(g.t, signer, another))
	}
}

// mix serves a newer fleet with the manifests of the one before, as while a
// release is being put in place; they have the same ids where those are made of
// the commit.
func (g *generator) mix() {
	g.fleet.SignedAt = g.now.Add(-time.Second)
	g.fleet.Closures++
	release, err := g.fleet.Sign(signer)
	g.must(err)
	g.release = release
	for _, name := range []string{"fleet.resolved.json", "fleet.resolved.json.sig"} {
		g.served[name] = release[name]
	}
}

// some is the name of a file of the release, of a manifest's more often.
func (g *generator) some() string {
	names := slices.Sorted(maps.Keys(g.release))
	return names[max(g.random.IntN(len(names)), g.random.IntN(len(names)))]
}

// spoil takes away, breaks, or mixes up one file.
func (g *generator) spoil() {
	name := g.some()
	switch g.random.IntN(4) {
	case 0:
		delete(g.served, name)
	case 1:
		broken := bytes.Clone(g.release[name].Data)
		broken[g.random.IntN(len(broken))] ^= byte(1 + g.random.IntN(255))
		g.served[name] = &fstest.MapFile{Data: broken}
	default:
		g.served[name] = g.release[g.some()]
	}
}

// resign signs one file with the other key, which trust may name or not.
func (g *generator) resign() {
	name := strings.TrimSuffix(g.some(), ".sig")
	received, err := another.Sign(g.release[name].Data)
	g.must(err)
	g.served[name] = g.release[name]
	g.served[name+".sig"] = &fstest.MapFile{Data: received.Signature}
}
