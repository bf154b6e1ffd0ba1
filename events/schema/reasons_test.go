package schema_test

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"fleetlog/events"
	"fleetlog/manifest"
)

// everyReason are the reasons that a log can state, and the checks that can fail.
func everyReason() []events.Reason {
	return slices.Concat(events.Refusals(), events.Misses(),
		[]events.Reason{events.NoClosure, events.Removed, events.CheckFleetHash, events.CheckHostSet})
}

// TestExamplesOfReasons holds an event for every reason.
func TestExamplesOfReasons(t *testing.T) {
	var lines bytes.Buffer
	for _, reason := range everyReason() {
		lines.Write(exampleOf(t, reason))
		lines.WriteByte('\n')
	}
	keep(t, "../testdata/reasons.jsonl", lines.Bytes())
}

// exampleOf composes a tick that states the reason, and returns the event that
// does.
func exampleOf(t *testing.T, reason events.Reason) []byte {
	t.Helper()
	const channel, rollout = "stable", "stable@0a1b2c3d"
	id, digest := rollout, manifest.Sum([]byte("artifact"))
	received := &events.Received{SHA256: digest, Size: 8}
	at := events.TimeOf(time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC))
	draft := events.Draft{Tick: "01966d7e-0000-7000-8000-000000000001", Time: at, Interval: 30 * time.Second}
	draft.Set, draft.Floor, draft.Findings = verifiedFleet()
	switch stage := stageOf(reason); {
	case slices.Contains(events.Misses(), reason):
		draft.Missed = &events.Missed{Ticks: 2, Reason: reason}
	case reason == events.NoClosure || reason == events.Removed:
		draft.Findings = append(draft.Findings, &events.ChannelIdle{Channel: channel, Reason: reason})
	case reason == events.CheckFleetHash || reason == events.CheckHostSet:
		draft.Findings = append(draft.Findings, &events.CrossCheckFailed{
			Channel: channel, RolloutID: rollout, Check: string(reason), Expected: digest, Actual: manifest.Sum(nil), Received: received,
		})
	case stage == events.StageIdentity || reason == events.Mismatch:
		rejected := &events.RolloutRejected{Channel: channel, RolloutID: &id, Stage: stage, Reason: reason}
		if reason == events.Projection {
			rejected.RolloutID = nil
		}
		if reason == events.Mismatch {
			rejected.Received = received
		}
		draft.Findings = append(draft.Findings, rejected)
	default:
		fleet := &events.FleetRejected{Stage: stage, Reason: reason}
		draft.Set, draft.Floor, draft.Findings = nil, nil, []events.Finding{fleet}
		if (stage == events.StageVerify || stage == events.StageFloor) && reason != events.NoTrustRoots {
			fleet.Received = received
		}
	}
	return stating(t, draft, reason)
}

// verifiedFleet is what a tick that verified a fleet without channels states.
func verifiedFleet() (*events.SetReference, *events.Floor, []events.Finding) {
	hash := manifest.Sum([]byte("fleet"))
	at := manifest.InstantOf(time.Date(2026, 4, 30, 23, 59, 0, 0, time.UTC))
	a := events.Artifact{
		SHA256: hash, Size: 5, Parts: []uint64{1}, Signature: bytes.Repeat([]byte{1}, 64), Algorithm: "ed25519",
		Key: events.PublicKey(hash).String(),
	}
	fetched := &events.FleetFetched{FleetHash: hash, Artifact: a, SignedAt: at, Hosts: 1, Channels: 1, Source: events.SourceControlPlane}
	return &events.SetReference{Digest: manifest.Sum([]byte("set")), FleetHash: hash, SignedAt: at}, &events.Floor{SignedAt: at, FleetHash: hash}, []events.Finding{fetched}
}

// stageOf is the first stage that can give the reason; "" for one of no refusal.
func stageOf(reason events.Reason) events.Stage {
	for _, s := range stages {
		for _, r := range s.reasons {
			if fmt.Sprint(r) == string(reason) {
				return s.stage
			}
		}
	}
	return ""
}

// stating is the event of the tick, the first of a log, that names the reason.
func stating(t *testing.T, draft events.Draft, reason events.Reason) []byte {
	t.Helper()
	name, err := events.ParseFleetName("prod")
	if err != nil {
		t.Fatal(err)
	}
	writer, err := events.NewWriter(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	opened, err := events.Open(name, "0a0a0a0a-1111-4222-8333-444444444444", draft.Time, events.Opening{Writer: writer, Writers: []events.PublicKey{writer.Public()}})
	if err != nil {
		t.Fatal(err)
	}
	head, _, err := events.ReadOpening(name, opened, nil)
	if err != nil {
		t.Fatal(err)
	}
	messages, err := events.Compose(events.Base{Fleet: name, Head: head}, draft, events.Terms{Writer: writer}, 2)
	if err != nil {
		t.Fatalf("%s: %v", reason, err)
	}
	for _, m := range messages {
		if strings.Contains(string(m.Body), `"`+string(reason)+`"`) {
			return m.Body
		}
	}
	t.Fatalf("no event names %s", reason)
	return nil
}
