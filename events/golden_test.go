package events

import (
	"bytes"
	"crypto/ed25519"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"fleetlog/manifest"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

var update = flag.Bool("update", false, "write testdata/golden.jsonl anew")

const (
	goldenFile    = "testdata/golden.jsonl"
	goldenRestate = 30 * time.Minute
)

// TestGoldenLog holds the log's format: the facts of a log give the same bytes
// for ever. A log that somebody keeps is signed, so a difference here breaks it.
func TestGoldenLog(t *testing.T) {
	made := goldenLog(t)
	if *update {
		if err := os.WriteFile(goldenFile, made, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(kept), "\n"), strings.Split(string(made), "\n")); diff != "" {
		t.Errorf("log (-kept +made):\n%s", diff)
	}
	messages := parseLog(t, kept)
	_, ticks := readTicks(t, messages)
	if len(ticks) != len(goldenFacts(t)) {
		t.Errorf("%d valid ticks, want %d", len(ticks), len(goldenFacts(t)))
	}
	wantCoverage(t, messages)
}

// wantCoverage demands that everything that the format knows is in the log.
func wantCoverage(t *testing.T, messages []Message) {
	t.Helper()
	all := string(bytes.Join(bodies(messages), []byte("\n")))
	for _, what := range []string{
		TypeLogOpened, TypeFleetFetched, TypeFleetRejected, TypeRolloutVerified, TypeRolloutRejected,
		TypeCrossCheckFailed, TypeChannelIdle, TypeTickCompleted,
		`"stated":"changed"`, `"stated":"restated"`, `"stated":"unchanged"`, `"outcome":"verified"`, `"outcome":"skipped"`,
		`"carried":"`, `"reason":"removed"`, `"reason":"no-closure"`, `"missed":{`, `"without":[`, `"continues":{`,
		`"set":null`, `"ciCommit":null`, `"detail":"`, `"received":{`, `"check":"fleet-hash"`, `"check":"host-set"`,
		`"stage":"trust"`, `"stage":"identity"`, `"stage":"fetch"`, `"stage":"verify"`, `"stage":"floor"`,
		`"scheme":"composite"`, `"scheme":"content-hash"`, `"severity":"warning"`, `"severity":"error"`,
		`"source":"control-plane"`, `"source":"release-dir"`, `"source":"release-url"`, `"algorithm":"ecdsa-p256"`,
	} {
		if !strings.Contains(all, what) {
			t.Errorf("the log has no %s", what)
		}
	}
	if !slices.ContainsFunc(messages, func(m Message) bool { return strings.Contains(m.Subject, ".=h") }) {
		t.Error("the log has no channel whose token is a hash")
	}
}

func bodies(messages []Message) (all [][]byte) {
	for _, m := range messages {
		all = append(all, m.Body)
	}
	return all
}

// goldenLog writes the log of the facts, one message a line.
func goldenLog(t *testing.T) []byte {
	t.Helper()
	first := testWriter(t)
	second, err := NewWriter(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	messages := []Message{goldenOpening(t, first, second)}
	head, _, err := ReadOpening(prod(t), messages[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	base := Base{Fleet: prod(t), Head: head}
	for i, draft := range goldenFacts(t) {
		terms := Terms{Writer: first, RestateEvery: goldenRestate}
		if i%4 == 3 {
			terms.Writer = second
		}
		made, err := Compose(base, draft, terms, uint64(len(messages)+1))
		if err != nil {
			t.Fatalf("tick %d: %v", i+1, err)
		}
		base = after(base, readMade(t, base, made, uint64(len(messages)+1), []PublicKey{first.Public(), second.Public()}))
		messages = append(messages, made...)
	}
	return printLog(t, messages)
}

func goldenOpening(t *testing.T, first, second *Writer) Message {
	t.Helper()
	opening, err := Open(prod(t), "0a0a0a0a-1111-4222-8333-444444444444", goldenTime(0), Opening{
		Writer: first, Writers: []PublicKey{first.Public(), second.Public()},
		Continues: &Continues{
			Lineage: "0b0b0b0b-1111-4222-8333-444444444444", Number: 1234, Digest: repeated(0xd1),
			Floor: &Floor{SignedAt: goldenInstant(-time.Hour), FleetHash: repeated(0xf0)},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return opening
}

// readMade reads a composed tick back as a reader would.
func readMade(t testing.TB, base Base, messages []Message, first uint64, writers []PublicKey) *Tick {
	t.Helper()
	chain := NewChain(base.Fleet, writers, base.Head)
	for i, m := range messages {
		tick, noise, err := chain.Push(first+uint64(i), m)
		if err != nil || len(noise) > 0 {
			t.Fatalf("composed tick: noise %v, error %v", noise, err)
		}
		if tick != nil {
			return tick
		}
	}
	t.Fatal("composed tick is not complete")
	return nil
}

func printLog(t *testing.T, messages []Message) []byte {
	t.Helper()
	var out bytes.Buffer
	for i, m := range messages {
		line := stored{Seq: uint64(i + 1), Subject: m.Subject, Header: make(map[string]string), Body: string(m.Body)}
		for name, values := range m.Header {
			line.Header[name] = values[0]
		}
		if err := json.MarshalWrite(&out, line, json.Deterministic(true)); err != nil {
			t.Fatal(err)
		}
		out.WriteByte('\n')
	}
	return out.Bytes()
}

var goldenStart = time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)

func goldenTime(after time.Duration) Time { return TimeOf(goldenStart.Add(after)) }

func goldenInstant(after time.Duration) manifest.Instant {
	return manifest.InstantOf(goldenStart.Add(after))
}

func repeated(b byte) (d manifest.Digest) {
	copy(d[:], bytes.Repeat([]byte{b}, len(d)))
	return d
}

// artifact has that content, in so many parts from sequence first on.
func artifact(content byte, first uint64, parts int) Artifact {
	a := Artifact{
		SHA256: repeated(content), Size: (parts-1)*PartSize + int(content), Signature: bytes.Repeat([]byte{content}, 64),
		Algorithm: "ed25519", Key: PublicKey(repeated(content)).String(),
	}
	for i := range parts {
		a.Parts = append(a.Parts, first+uint64(i))
	}
	return a
}

func fetched(content byte, signedAt time.Duration, channels int) *FleetFetched {
	until := goldenInstant(signedAt + time.Hour)
	commit := "0123456789abcdef"
	return &FleetFetched{
		FleetHash: repeated(content), Artifact: artifact(content, uint64(content), 1), SignedAt: goldenInstant(signedAt),
		FreshUntil: &until, CICommit: &commit, Hosts: 3 * channels, Channels: channels, Source: SourceControlPlane,
	}
}

func verified(channel string, content byte, of *FleetFetched) *RolloutVerified {
	return &RolloutVerified{
		Channel: channel, RolloutID: channel + "@0123456789abcdef", Scheme: manifest.Composite,
		Artifact: artifact(content, uint64(content), 1), ManifestHash: repeated(content ^ 0xff), FleetHash: of.FleetHash,
		SignedAt: of.SignedAt, FreshUntil: of.FreshUntil, ChannelRef: "0123456789abcdef", CICommit: of.CICommit,
		Hosts: 3, Waves: 2,
	}
}

func carried(r *RolloutVerified, reason Reason) *RolloutVerified {
	c := *r
	c.Carried = reason
	return &c
}

func rejected(channel string, stage Stage, reason Reason) *RolloutRejected {
	id := channel + "@0123456789abcdef"
	r := &RolloutRejected{Channel: channel, RolloutID: &id, Stage: stage, Reason: reason, Detail: "this is why"}
	if reason == Projection {
		r.RolloutID = nil
	}
	if stage.received() {
		r.Received = &Received{SHA256: repeated(0xbb), Size: 17}
	}
	return r
}

func refused(stage Stage, reason Reason) *FleetRejected {
	f := &FleetRejected{Stage: stage, Reason: reason}
	if stage.received() {
		f.Received = &Received{SHA256: repeated(0xcc), Size: 18}
	}
	return f
}

func mismatch(channel, check string, actual byte) *CrossCheckFailed {
	return &CrossCheckFailed{
		Channel: channel, RolloutID: channel + "@0123456789abcdef", Check: check,
		Expected: repeated(0x0e), Actual: repeated(actual), Received: &Received{SHA256: repeated(0xaa), Size: 19},
	}
}

func idle(channel string) *ChannelIdle { return &ChannelIdle{Channel: channel, Reason: NoClosure} }

// referring is the set that the findings make, named by content.
func referring(content byte, to *FleetFetched, without ...string) *SetReference {
	return &SetReference{Digest: repeated(content), FleetHash: to.FleetHash, SignedAt: to.SignedAt, Without: without}
}

// goldenFacts are what the ticks of the golden log have established.
func goldenFacts(t *testing.T) []Draft {
	t.Helper()
	odd, long := "ünï.*", strings.Repeat("long", 26)
	one, two, three := fetched(1, 0, 6), fetched(2, 42*time.Minute+120*time.Millisecond, 3), fetched(3, 60*time.Minute+123456*time.Nanosecond, 2)
	two.Artifact, two.CICommit, two.FreshUntil, two.Source = artifact(2, 20, 3), nil, nil, SourceReleaseDir
	three.Artifact.Algorithm, three.Source = "ecdsa-p256", SourceReleaseURL
	edge, stable := verified("edge", 11, one), verified("stable", 12, one)
	hashed := verified("stable", 14, three)
	hashed.Scheme, hashed.RolloutID = manifest.ContentHash, hashed.ManifestHash.String()
	quiet := []Finding{idle("idle"), rejected(odd, StageIdentity, IdentityUnservable), verified(long, 13, one), stable}
	with := func(findings ...Finding) []Finding { return append(findings, quiet...) }
	second := []Finding{two, verified("edge", 21, two), verified("stable", 22, two), idle(long)}
	whole, less := referring(0x51, one), referring(0x52, one)
	next, uncovered := referring(0x53, two), referring(0x54, two, "stable")
	drafts := []Draft{
		{Time: goldenTime(30 * time.Second), Findings: with(one, edge), Set: whole},
		{Time: goldenTime(60 * time.Second), Findings: with(one, edge), Set: whole, Missed: &Missed{Ticks: 2, Reason: BrokerUnavailable}},
		{Time: goldenTime(90 * time.Second), Findings: with(one, rejected("edge", StageVerify, "BadSignature")), Set: less},
		{Time: goldenTime(120 * time.Second), Findings: with(one, rejected("edge", StageFetch, Timeout)), Set: less},
		{Time: goldenTime(150 * time.Second), Findings: with(one, rejected("edge", StageFetch, HTTPStatus)), Set: less},
		{Time: goldenTime(180 * time.Second), Findings: with(one, mismatch("edge", CheckFleetHash, 0x0a)), Set: less},
		{Time: goldenTime(210 * time.Second), Findings: with(one, mismatch("edge", CheckHostSet, 0x0b)), Set: less},
		{Time: goldenTime(240 * time.Second), Findings: with(one, edge), Set: whole},
		{Time: goldenTime(270 * time.Second), Findings: with(one, carried(edge, Unavailable)), Set: whole},
		{Time: goldenTime(300 * time.Second), Findings: with(one, carried(edge, TooLarge)), Set: whole},
		{Time: goldenTime(270*time.Second + goldenRestate), Findings: with(one, carried(edge, Unreachable)), Set: whole},
		{Time: goldenTime(43 * time.Minute), Findings: second, Set: next},
		{Time: goldenTime(44 * time.Minute), Findings: second, Set: next},
		{Time: goldenTime(45 * time.Minute), Findings: []Finding{refused(StageFetch, Unavailable)}, Set: next},
		{Time: goldenTime(45*time.Minute + 30*time.Second), Findings: []Finding{refused(StageFetch, Timeout)}, Set: uncovered},
		{Time: goldenTime(46 * time.Minute), Findings: []Finding{refused(StageFloor, Rollback)}, Set: uncovered},
		{Time: goldenTime(48 * time.Minute), Findings: []Finding{refused(StageTrust, TrustInvalid)}, Set: uncovered},
		{Time: goldenTime(50 * time.Minute), Findings: []Finding{refused(StageVerify, NoTrustRoots)}},
		{Time: goldenTime(52 * time.Minute), Findings: []Finding{refused(StageFloor, Equivocation)}},
		{Time: goldenTime(61 * time.Minute), Findings: []Finding{three, rejected("edge", StageIdentity, Projection), hashed}, Set: referring(0x55, three)},
	}
	for i := range drafts {
		drafts[i].Tick = uuid.UUID{1, 0x9d, 0xdd, 0, 0, byte(i), 0x70, 0, 0x80, 15: byte(i + 1)}.String()
		drafts[i].TookMs, drafts[i].Interval = uint64(100+i), 30*time.Second
		drafts[i].Floor = &Floor{SignedAt: one.SignedAt, FleetHash: one.FleetHash}
		if i >= 11 {
			drafts[i].Floor = &Floor{SignedAt: two.SignedAt, FleetHash: two.FleetHash}
		}
	}
	drafts[len(drafts)-1].Floor = &Floor{SignedAt: three.SignedAt, FleetHash: three.FleetHash}
	return drafts
}
