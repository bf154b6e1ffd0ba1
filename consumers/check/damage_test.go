package check_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"fleetlog/consumers/check"
	"fleetlog/events"
	"fleetlog/internal/fleetsim"
	"fleetlog/manifest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

// damage is done to a log, and says what must be found, as code@sequence.
type damage struct {
	name string
	do   func(r *recorded) (want []string)
}

func at(code check.Code, seqs ...uint64) (all []string) {
	for _, seq := range seqs {
		all = append(all, fmt.Sprintf("%s@%d", code, seq))
	}
	return all
}

func found(r *check.Report) (all []string) {
	for _, f := range r.Findings {
		all = append(all, fmt.Sprintf("%s@%d", f.Code, f.Seq))
	}
	return all
}

// seq is where the tick ends.
func (r *recorded) seq(tick int) uint64 { return r.s.ticks[tick].Head.Seq }

// first is where its findings begin.
func (r *recorded) first(tick int) uint64 { return r.s.ticks[tick].Completed.Statement.FirstSeq }

// loseTick loses all of a tick that has findings.
func (r *recorded) loseTick(tick int) {
	for seq := r.first(tick); seq <= r.seq(tick); seq++ {
		r.lost[eventsStream] = append(r.lost[eventsStream], seq)
	}
}

// finding is where the tick's n-th finding is, and what it says.
func (r *recorded) finding(tick int, n int) (uint64, events.Finding) {
	return r.first(tick) + uint64(n), r.s.ticks[tick].Findings[n]
}

func floorOf(tick *events.Tick) string {
	f := tick.Completed.Floor
	return fmt.Sprintf(`"floor":{"signedAt":"%s","fleetHash":"%s"}`, f.SignedAt, f.FleetHash)
}

// flipped is the digest with one bit changed.
func flipped(d manifest.Digest) string {
	d[0] ^= 1
	return d.String()
}

// quoted is a field as bodies have it.
func quoted(field string, value any) string { return fmt.Sprintf("%q:%q", field, fmt.Sprint(value)) }

var damages = []damage{
	{"nothing", func(*recorded) []string { return nil }},
	{"an event is lost", func(r *recorded) []string {
		lost := r.first(tickCarried) + 1
		r.lost[eventsStream] = []uint64{lost}
		return append(at(check.CodeGap, lost), at(check.CodeIncomplete, r.seq(tickCarried))...)
	}},
	{"the last finding of a tick is lost", func(r *recorded) []string {
		lost := r.seq(tickCarried) - 1
		r.lost[eventsStream] = []uint64{lost}
		return append(at(check.CodeGap, lost), at(check.CodeIncomplete, r.seq(tickCarried))...)
	}},
	{"a tick's end is lost", func(r *recorded) []string {
		lost := r.seq(tickUnchanged)
		r.lost[eventsStream] = []uint64{lost}
		return append(at(check.CodeGap, lost), at(check.CodeChain, r.seq(tickCarried))...)
	}},
	{"the end of a tick with findings is lost", func(r *recorded) []string {
		lost := r.seq(tickCarried)
		r.lost[eventsStream] = []uint64{lost}
		return append(at(check.CodeGap, lost), at(check.CodeChain, r.seq(tickRejected))...)
	}},
	{"the tick before a skipped one is lost", func(r *recorded) []string {
		r.loseTick(tickResigned)
		return append(at(check.CodeGap, r.first(tickResigned)), at(check.CodeChain, r.seq(tickWithout))...)
	}},
	{"a tick is lost that a later one repeats", func(r *recorded) []string {
		r.loseTick(tickFirst)
		return slices.Concat(at(check.CodeGap, r.first(tickFirst)), at(check.CodeChain, r.seq(tickUnchanged)), at(check.CodeStatement, r.seq(tickUnchanged)))
	}},
	{"the last events are lost", func(r *recorded) []string {
		r.lost[eventsStream] = []uint64{r.seq(tickLast) - 1, r.seq(tickLast)}
		return append(at(check.CodeGap, r.seq(tickLast)-1), at(check.CodeIncomplete, r.first(tickLast))...)
	}},
	{"a byte of a finding is changed", func(r *recorded) []string {
		r.replace(r.first(tickRejected), `"hosts":6`, `"hosts":7`)
		return at(check.CodeStatement, r.seq(tickRejected))
	}},
	{"a finding is no event any more", func(r *recorded) []string {
		r.replace(r.first(tickRejected), `"hosts":6`, `"hosts":{`)
		return at(check.CodeIncomplete, r.seq(tickRejected))
	}},
	{"the findings are another tick's", func(r *recorded) []string {
		for seq := r.first(tickRejected); seq < r.seq(tickRejected); seq++ {
			r.replace(seq, r.s.ticks[tickRejected].Head.Tick, r.s.ticks[tickCarried].Head.Tick)
			r.sign(&r.events[seq-1])
		}
		return at(check.CodeIncomplete, r.seq(tickRejected))
	}},
	{"a byte of a tick's end is changed", func(r *recorded) []string {
		r.replace(r.seq(tickUnchanged), `"intervalMs":30000`, `"intervalMs":30001`)
		return at(check.CodeChain, r.seq(tickUnchanged))
	}},
	{"a tick names another one before it", func(r *recorded) []string {
		previous := r.s.ticks[tickUnchanged].Completed.Previous
		r.forge(r.seq(tickUnchanged), quoted("previous", previous), quoted("previous", flipped(previous)))
		return at(check.CodeChain, r.seq(tickUnchanged))
	}},
	{"a number is skipped", func(r *recorded) []string {
		r.forge(r.seq(tickUnchanged), `"number":2`, `"number":3`)
		return at(check.CodeChain, r.seq(tickUnchanged), r.seq(tickCarried))
	}},
	{"time goes back", func(r *recorded) []string {
		r.forge(r.seq(tickUnchanged), quoted("time", r.s.ticks[tickUnchanged].Head.Time), quoted("time", events.TimeOf(epoch)))
		return at(check.CodeTime, r.seq(tickUnchanged))
	}},
	{"a tick id is repeated", func(r *recorded) []string {
		r.forge(r.seq(tickRetained), r.s.ticks[tickRetained].Head.Tick, r.s.ticks[tickUnchanged].Head.Tick)
		return at(check.CodeDuplicate, r.seq(tickRetained))
	}},
	{"a statement digest is wrong", func(r *recorded) []string {
		digest := r.s.ticks[tickRejected].Completed.Statement.Digest
		r.forge(r.seq(tickRejected), digest.String(), flipped(digest))
		return at(check.CodeStatement, r.seq(tickRejected))
	}},
	{"another statement is repeated", func(r *recorded) []string {
		digest := r.s.ticks[tickUnchanged].Completed.Statement.Digest
		r.forge(r.seq(tickUnchanged), digest.String(), flipped(digest))
		return at(check.CodeStatement, r.seq(tickUnchanged))
	}},
	{"counts are wrong", func(r *recorded) []string {
		r.forge(r.seq(tickRejected), `"rejected":1`, `"rejected":0`)
		return at(check.CodeStatement, r.seq(tickRejected))
	}},
	{"a verified tick states a refused fleet", func(r *recorded) []string {
		r.forge(r.seq(tickWithout), `"outcome":"skipped"`, `"outcome":"verified"`)
		return slices.Concat(at(check.CodeStatement, r.seq(tickWithout)), at(check.CodeSet, r.seq(tickWithout)), at(check.CodeStatement, r.seq(tickRetained)))
	}},
	{"findings are not in order", func(r *recorded) []string {
		seq, _ := r.finding(tickLast, 4)
		r.forge(seq, `"channel":"channel-003"`, `"channel":"channel-000a"`)
		return at(check.CodeStatement, r.seq(tickLast))
	}},
	{"a finding says another hash", func(r *recorded) []string {
		seq, f := r.finding(tickCarried, 1)
		hash := f.(*events.RolloutVerified).ManifestHash
		r.forge(seq, quoted("manifestHash", hash), quoted("manifestHash", flipped(hash)))
		return at(check.CodeHash, seq)
	}},
	{"a fleet has another time in its finding", func(r *recorded) []string {
		seq, f := r.finding(tickCarried, 0)
		r.forge(seq, quoted("signedAt", f.(*events.FleetFetched).SignedAt), quoted("signedAt", "2026-04-30T00:00:00Z"))
		return at(check.CodeHash, seq)
	}},
	{"a set digest is wrong", func(r *recorded) []string {
		digest := r.s.ticks[tickRemoved].Completed.Set.Digest
		r.forge(r.seq(tickRemoved), digest.String(), flipped(digest))
		return at(check.CodeSet, r.seq(tickRemoved))
	}},
	{"a set names another fleet", func(r *recorded) []string {
		hash := r.s.ticks[tickRemoved].Completed.Set.FleetHash
		r.forge(r.seq(tickRemoved), quoted("fleetHash", hash), quoted("fleetHash", flipped(hash)))
		return at(check.CodeSet, r.seq(tickRemoved))
	}},
	{"a set keeps what it says is without", func(r *recorded) []string {
		r.forge(r.seq(tickWithout), `,"without":["channel-001"]`, ``)
		return at(check.CodeSet, r.seq(tickWithout))
	}},
	{"a verified tick has the set of another one", func(r *recorded) []string {
		set, was := r.s.ticks[tickResigned].Completed.Set, r.s.ticks[tickRemoved].Completed.Set
		r.forge(r.seq(tickResigned), fmt.Sprintf(`%q,"firstSeq":%d`, set.Tick, set.FirstSeq), fmt.Sprintf(`%q,"firstSeq":%d`, was.Tick, set.FirstSeq))
		return at(check.CodeSet, r.seq(tickResigned), r.seq(tickWithout))
	}},
	{"a skipped tick has the set of another one", func(r *recorded) []string {
		set := r.s.ticks[tickRetained].Completed.Set
		r.forge(r.seq(tickRetained), fmt.Sprintf(`%q,"firstSeq":%d`, set.Tick, set.FirstSeq), fmt.Sprintf(`%q,"firstSeq":%d`, set.Tick, set.FirstSeq-1))
		return at(check.CodeSet, r.seq(tickRetained))
	}},
	{"a verified tick has no set", func(r *recorded) []string {
		body := r.body(r.seq(tickRestated))
		from, to := strings.Index(body, `"set":`), strings.Index(body, `,"floor":`)
		r.forge(r.seq(tickRestated), body[from:to], `"set":null`)
		return at(check.CodeSet, r.seq(tickRestated))
	}},
	{"the floor goes down", func(r *recorded) []string {
		r.forge(r.seq(tickRemoved), floorOf(r.s.ticks[tickRemoved]), floorOf(r.s.ticks[tickFirst]))
		return at(check.CodeFloor, r.seq(tickRemoved))
	}},
	{"an older fleet than the floor is verified", func(r *recorded) []string {
		floor := r.s.ticks[tickRejected].Completed.Floor
		newer := manifest.InstantOf(r.s.ticks[tickRejected].Head.Time.Time().Add(30 * time.Second))
		text := floorOf(r.s.ticks[tickRejected])
		r.forge(r.seq(tickRejected), text, strings.Replace(text, floor.SignedAt.String(), newer.String(), 1))
		return at(check.CodeFloor, r.seq(tickRejected), r.seq(tickRemoved))
	}},
	{"the floor goes away", func(r *recorded) []string {
		r.forge(r.seq(tickNoSet), floorOf(r.s.ticks[tickNoSet]), `"floor":null`)
		return at(check.CodeFloor, r.seq(tickNoSet))
	}},
	{"the floor is not the fleet's", func(r *recorded) []string {
		hash := r.s.ticks[tickRemoved].Completed.Floor.FleetHash
		floor := floorOf(r.s.ticks[tickRemoved])
		r.forge(r.seq(tickRemoved), floor, strings.Replace(floor, hash.String(), flipped(hash), 1))
		return at(check.CodeFloor, r.seq(tickRemoved))
	}},
	{"the floor is in the future", func(r *recorded) []string {
		from, to := r.s.ticks[tickLast].Head.Time, r.s.ticks[tickRestated].Head.Time
		for seq := r.first(tickLast); seq <= r.seq(tickLast); seq++ {
			r.forge(seq, quoted("time", from), quoted("time", to))
		}
		return at(check.CodeFloor, r.seq(tickLast))
	}},
	{"a skipped tick moves the floor", func(r *recorded) []string {
		r.forge(r.seq(tickNoSet), floorOf(r.s.ticks[tickNoSet]), floorOf(r.s.ticks[tickLarge]))
		return at(check.CodeFloor, r.seq(tickNoSet))
	}},
	{"two fleets share a floor", func(r *recorded) []string {
		a, b := r.s.ticks[tickRejected].Completed.Floor, r.s.ticks[tickRemoved].Completed.Floor
		floor := floorOf(r.s.ticks[tickRejected])
		r.forge(r.seq(tickRejected), floor, strings.Replace(floor, a.SignedAt.String(), b.SignedAt.String(), 1))
		return at(check.CodeFloor, r.seq(tickRejected), r.seq(tickRemoved))
	}},
	{"an artifact is lost", func(r *recorded) []string {
		seq, f := r.finding(tickRemoved, 0)
		part := events.ArtifactOf(f).Parts[0]
		r.lost[artifactsStream] = []uint64{part}
		return append(at(check.CodeArtifactGap, part), at(check.CodeArtifact, seq)...)
	}},
	{"a part of an artifact is another", func(r *recorded) []string {
		seq, f := r.finding(tickLarge, 0)
		part := &r.artifacts[events.ArtifactOf(f).Parts[1]-1]
		part.Body = slices.Clone(part.Body)
		part.Body[0] ^= 1
		again, _ := r.finding(tickRestated, 0)
		return at(check.CodeArtifact, seq, again)
	}},
	{"an artifact is short", func(r *recorded) []string {
		seq, f := r.finding(tickRemoved, 1)
		part := &r.artifacts[events.ArtifactOf(f).Parts[0]-1]
		part.Body = part.Body[1:]
		return at(check.CodeArtifact, seq)
	}},
	{"an artifact is said to be longer", func(r *recorded) []string {
		seq, f := r.finding(tickRemoved, 0)
		size := events.ArtifactOf(f).Size
		r.forge(seq, fmt.Sprintf(`"size":%d`, size), fmt.Sprintf(`"size":%d`, size+1))
		return at(check.CodeArtifact, seq)
	}},
	{"an artifact is no JSON", func(r *recorded) []string {
		seq, f := r.finding(tickRemoved, 1)
		a := events.ArtifactOf(f)
		junk := []byte(strings.Repeat("x", a.Size))
		r.artifacts[a.Parts[0]-1].Body = junk
		r.forge(seq, a.SHA256.String(), manifest.Sum(junk).String())
		return at(check.CodeHash, seq)
	}},
}

// TestDamage finds what is wrong, where it is, and nothing else.
func TestDamage(t *testing.T) {
	s := newScene(t)
	s.live(manyHosts)
	whole := s.record()
	for _, d := range damages {
		t.Run(d.name, func(t *testing.T) {
			r := whole.copied()
			want := d.do(r)
			got := r.stored(t).check("")
			if diff := cmp.Diff(want, found(got)); diff != "" {
				t.Errorf("findings (-want +got):\n%s\n%+v", diff, got.Findings)
			}
			if got.Found != uint64(len(want)) {
				t.Errorf("%d found, want %d", got.Found, len(want))
			}
		})
	}
}

// TestKeptFindings counts more findings than it keeps.
func TestKeptFindings(t *testing.T) {
	const channels = 1009
	s := newScene(t)
	missing := events.Artifact{Size: 1, Parts: []uint64{1}, Signature: make([]byte, 64), Algorithm: "ed25519", Key: "k"}
	at := manifest.InstantOf(epoch)
	draft := events.Draft{
		Tick: uuid.Must(uuid.NewV7()).String(), Time: events.TimeOf(epoch),
		Findings: []events.Finding{&events.FleetFetched{Artifact: missing, SignedAt: at, Source: events.SourceReleaseDir}},
		Set:      &events.SetReference{SignedAt: at}, Floor: &events.Floor{SignedAt: at},
	}
	for n := range channels {
		draft.Findings = append(draft.Findings, &events.RolloutVerified{
			Channel: fleetsim.ChannelName(n), Scheme: manifest.Composite, Artifact: missing, SignedAt: at,
		})
	}
	writer, err := s.log.NewWriter(t.Context(), func(uint64, uint64) {})
	must(t, err)
	signer, err := events.NewWriter(s.key)
	must(t, err)
	_, err = writer.Append(t.Context(), func(base events.Base, first uint64) ([]events.Message, error) {
		return events.Compose(base, draft, events.Terms{Writer: signer}, first)
	})
	must(t, err)
	got := s.check("")
	if got.Found != channels+1 || len(got.Findings) != 1000 {
		t.Errorf("%d found and %d kept of %d", got.Found, len(got.Findings), channels+1)
	}
}
