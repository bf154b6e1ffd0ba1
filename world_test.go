package fleetlog_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"fleetlog/internal/fleetsim"
	"fleetlog/manifest"

	"github.com/go-json-experiment/json"
)

// window is the freshness window of everything here.
const window = 3600

// generation is a signed release, and what is known of it.
type generation struct {
	fleet    fleetsim.Fleet
	release  fleetsim.Release
	hash     string            // fleet hash
	signer   int               // of the fleet
	signers  map[string]int    // of each channel's manifest
	files    map[string]string // of each channel's manifest
	hashes   map[string]string // manifest hash by channel
	channels []string
}

// world is everything that the poller and the reducers see and do not decide.
type world struct {
	t           testing.TB
	random      *rand.Rand
	signers     []*fleetsim.Signer
	generations []*generation
	served      *generation
	fleetFault  string            // "", missing, tampered or signature
	faults      map[string]string // likewise by channel, also foreign
	now         time.Time
	trust       trust
}

// trust is what trust.json says.
type trust struct {
	invalid      bool
	keys         []int // that are in force, of world.signers
	rejectBefore time.Time
}

func newWorld(t testing.TB, seed uint64) *world {
	w := &world{
		t: t, random: rand.New(rand.NewPCG(seed, 0)), now: time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC),
		signers: []*fleetsim.Signer{fleetsim.NewEd25519Signer(1), fleetsim.NewEd25519Signer(2)},
		trust:   trust{keys: []int{0, 1}}, faults: map[string]string{},
	}
	w.publish()
	return w
}

// step changes one to three things, before anybody looks.
func (w *world) step() {
	w.now = w.now.Add(time.Duration(1+w.random.IntN(600_000)) * time.Millisecond)
	actions := []func(){
		w.publish, w.publish, w.resign, w.resign, w.rollBack, w.equivocate, w.breakFleet, w.breakChannel, w.breakChannel,
		w.repair, w.repair, w.repair, w.revoke, w.trustAll, w.trustAll, w.breakTrust, w.rejectEarlier, w.wait, func() {}, func() {},
	}
	for range 1 + w.random.IntN(3) {
		actions[w.random.IntN(len(actions))]()
	}
}

func (w *world) wait() { w.now = w.now.Add(2 * time.Hour) }

// publish serves a newer commit with other channels and closures.
func (w *world) publish() {
	n := len(w.generations)
	w.serve(fleetsim.Fleet{
		Hosts: 4, Channels: 1 + w.random.IntN(3), Idle: w.random.IntN(2), Closures: n, Commit: fmt.Sprintf("%08x", n), SignedAt: w.fresh(),
	})
}

// resign serves the same commit again, signed anew: the composite ids stay.
func (w *world) resign() {
	f := w.served.fleet
	f.SignedAt = w.fresh()
	w.serve(f)
}

// rollBack serves any earlier release.
func (w *world) rollBack() {
	w.show(w.generations[w.random.IntN(len(w.generations))])
}

// equivocate serves another release with the signing time of the present one.
func (w *world) equivocate() {
	f := w.served.fleet
	f.Closures = 1_000_000 + len(w.generations)
	w.serve(f)
}

// fresh is a signing time after every other one.
func (w *world) fresh() time.Time {
	at := w.now
	for _, g := range w.generations {
		if !g.fleet.SignedAt.Before(at) {
			at = g.fleet.SignedAt.Add(time.Millisecond)
		}
	}
	return at
}

func (w *world) show(g *generation) {
	w.served, w.fleetFault = g, ""
	clear(w.faults)
}

func (w *world) serve(f fleetsim.Fleet) {
	signer := w.random.IntN(2)
	release, err := f.Sign(w.signers[signer])
	if err != nil {
		w.t.Fatal(err)
	}
	g := &generation{fleet: f, release: release, signer: signer, signers: map[string]int{}, files: map[string]string{}, hashes: map[string]string{}}
	g.hash = canonicalHash(w.t, release["fleet.resolved.json"].Data)
	for n := range f.Channels {
		channel := fleetsim.ChannelName(n)
		file := "rollouts/" + manifest.CompositeID(channel, f.Commit).String() + ".json"
		g.channels = append(g.channels, channel)
		g.files[channel], g.hashes[channel] = file, canonicalHash(w.t, release[file].Data)
		g.signers[channel] = signer
		if w.random.IntN(4) == 0 { // the other key signs this manifest
			g.signers[channel] = 1 - signer
			signed, err := w.signers[1-signer].Sign(release[file].Data)
			if err != nil {
				w.t.Fatal(err)
			}
			release[file+".sig"] = &fstest.MapFile{Data: signed.Signature}
		}
	}
	w.generations = append(w.generations, g)
	w.show(g)
}

func canonicalHash(t testing.TB, body []byte) string {
	canonical, err := manifest.Canonicalize(body)
	if err != nil {
		t.Fatal(err)
	}
	return manifest.Sum(canonical).String()
}

func (w *world) breakFleet() {
	w.fleetFault = []string{"missing", "tampered", "signature"}[w.random.IntN(3)]
}

func (w *world) breakChannel() {
	channel := w.served.channels[w.random.IntN(len(w.served.channels))]
	w.faults[channel] = []string{"missing", "missing", "tampered", "signature", "foreign"}[w.random.IntN(5)]
}

func (w *world) repair() { w.show(w.served) }

func (w *world) revoke()     { w.trust = trust{keys: []int{w.random.IntN(2)}} }
func (w *world) trustAll()   { w.trust = trust{keys: []int{0, 1}} }
func (w *world) breakTrust() { w.trust.invalid = true }

// rejectEarlier refuses what was signed before some moment of the last hour.
func (w *world) rejectEarlier() {
	w.trust = trust{keys: []int{0, 1}, rejectBefore: w.now.Add(-time.Duration(w.random.IntN(60)) * time.Minute)}
}

// trustFile is trust.json.
func (w *world) trustFile() []byte {
	if w.trust.invalid {
		return []byte(`{"schemaVersion":1,`)
	}
	slot := map[string]any{}
	for i, key := range w.trust.keys {
		var whole struct {
			CIReleaseKey map[string]any `json:"ciReleaseKey"`
		}
		if err := json.Unmarshal(w.signers[key].Trust(), &whole); err != nil {
			w.t.Fatal(err)
		}
		slot[[]string{"current", "previous"}[i]] = whole.CIReleaseKey["current"]
	}
	if !w.trust.rejectBefore.IsZero() {
		slot["rejectBefore"] = w.trust.rejectBefore.Format(time.RFC3339Nano)
	}
	data, err := json.Marshal(map[string]any{"schemaVersion": 1, "ciReleaseKey": slot}, json.Deterministic(true))
	if err != nil {
		w.t.Fatal(err)
	}
	return data
}

// Open reads the release that is served, faults included.
func (w *world) Open(name string) (fs.File, error) {
	release := maps.Clone(w.served.release)
	w.damage(release, "fleet.resolved.json", w.fleetFault)
	for channel, fault := range w.faults {
		w.damage(release, w.served.files[channel], fault)
	}
	return release.Open(name)
}

func (w *world) damage(release fleetsim.Release, file, fault string) {
	data := release[file].Data
	switch fault {
	case "missing":
		delete(release, file)
	case "tampered":
		release[file] = &fstest.MapFile{Data: bytes.Replace(data, []byte("nixos-system"), []byte("nixos-tysTem"), 1)}
	case "signature":
		signature := slices.Clone(release[file+".sig"].Data)
		signature[3] ^= 1
		release[file+".sig"] = &fstest.MapFile{Data: signature}
	case "foreign": // a well-signed manifest of another release
		other := w.foreign(file)
		release[file], release[file+".sig"] = other.release[w.like(other, file)], other.release[w.like(other, file)+".sig"]
	}
}

// foreign is the newest other generation with a manifest for the channel that
// the file is of; if it can, one with the very same id.
func (w *world) foreign(file string) *generation {
	var found *generation
	for _, g := range slices.Backward(w.generations) {
		if g == w.served || w.like(g, file) == "" {
			continue
		}
		if g.release[file] != nil {
			return g
		}
		if found == nil {
			found = g
		}
	}
	if found == nil {
		return &generation{release: fleetsim.Release{}}
	}
	return found
}

// like is the file of the generation's manifest for the same channel.
func (w *world) like(g *generation, file string) string {
	channel, _, _ := strings.Cut(strings.TrimPrefix(file, "rollouts/"), "@")
	return g.files[channel]
}
