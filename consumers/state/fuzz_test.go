package state

import (
	"testing"

	"fleetlog/events"
	"fleetlog/manifest"

	"github.com/google/go-cmp/cmp"
)

// FuzzParseCheckpoint: what is accepted is written again as it was read.
func FuzzParseCheckpoint(f *testing.F) {
	at := manifest.InstantOf(events.Time(1_700_000_000_123).Time())
	c := Checkpoint{
		Format: checkpointFormat, Lineage: "9b1c2d3e-4f50-4a61-8b72-93a4b5c6d7e8", Stream: "nixfleet-prod-events",
		Writers: []events.PublicKey{{1}, {2}}, Sequence: 9, EventID: "a.3", EventDigest: manifest.Sum(nil),
		Tick: 2, Time: 1_700_000_000_000, TrustDigest: manifest.Sum(nil), Window: 3600,
	}
	whole := c
	whole.Floor = &events.Floor{SignedAt: at, FleetHash: manifest.Sum(nil)}
	whole.Set = &CheckpointSet{
		Digest: manifest.Sum(nil), Generation: generationName(7), Without: []string{"a", "ü"}, Stated: 5, Tick: "a", Number: 1,
		Artifacts: ArtifactNames{Rollouts: map[string]RolloutNames{"b": {ID: "b@c"}, "": {ID: manifest.Sum(nil).String()}}},
	}
	for _, seed := range []Checkpoint{c, whole} {
		data, err := seed.format()
		if err != nil {
			f.Fatal(err)
		}
		if _, err := ParseCheckpoint(data); err != nil {
			f.Fatalf("%v:\n%s", err, data)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseCheckpoint(data)
		if err != nil {
			return
		}
		again, err := c.format()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(data), string(again)); diff != "" {
			t.Fatalf("text (-read +written):\n%s", diff)
		}
		twice, err := ParseCheckpoint(again)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c, twice, cmp.Comparer(func(a, b manifest.Instant) bool { return a == b })); diff != "" {
			t.Fatalf("checkpoint (-first +second):\n%s", diff)
		}
	})
}
