package state

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"

	"fleetlog/consumers/fold"
	"fleetlog/events"
	"fleetlog/internal/durable"
	"fleetlog/manifest"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Checkpoint is the durable position and state of a reducer: everything up to
// and including Sequence is folded into what it describes.
type Checkpoint struct {
	Format      int             `json:"format"`
	Lineage     string          `json:"lineage"`
	Stream      string          `json:"stream"`
	Writers     []string        `json:"writers"` // accepted; remembered from the first use
	Sequence    uint64          `json:"sequence"`
	EventID     string          `json:"eventId"`
	EventDigest manifest.Digest `json:"eventDigest"` // SHA-256 of the event's body
	Tick        uint64          `json:"tick"`
	Time        events.Time     `json:"time"` // of the tick
	Set         *CheckpointSet  `json:"set"`
	Floor       *events.Floor   `json:"floor"`
	TrustDigest manifest.Digest `json:"trustDigest"`
	Window      manifest.Window `json:"windowSecs"`
}

// CheckpointSet names the set and the files that hold it.
type CheckpointSet struct {
	Digest     manifest.Digest `json:"digest"`
	Generation string          `json:"generation"`
	Without    []string        `json:"without"`
	Stated     events.Time     `json:"stated"`
	Tick       string          `json:"tick"`
	Number     uint64          `json:"number"`
	FirstSeq   uint64          `json:"firstSeq"`
	LastSeq    uint64          `json:"lastSeq"`
	Artifacts  ArtifactNames   `json:"artifacts"`
}

// ArtifactNames are the received bytes, signatures included, that make up a
// set.
type ArtifactNames struct {
	Fleet    manifest.Digest         `json:"fleet"`
	Rollouts map[string]RolloutNames `json:"rollouts"`
}

// RolloutNames is one channel's manifest.
type RolloutNames struct {
	ID   string          `json:"id"`
	Pair manifest.Digest `json:"pair"`
}

// pairDigest names an artifact together with its signature: the SHA-256 over
// the SHA-256 of the body, followed by the signature.
func pairDigest(r manifest.Received) manifest.Digest {
	body := manifest.Sum(r.Body)
	return manifest.Sum(append(body[:], r.Signature...))
}

// checkpointFormat is the format that this program writes and reads.
const checkpointFormat = 1

// maxCheckpoint bounds what is read back: some 100 bytes a channel.
const maxCheckpoint = 16 << 20

// describe fills in what follows from the state. The generation is kept when
// it already holds this very set.
func (c *Checkpoint) describe(s fold.State) {
	var before CheckpointSet
	if c.Set != nil {
		before = *c.Set
	}
	c.Format, c.Set, c.Floor = checkpointFormat, nil, nil
	if !s.Floor.SignedAt.IsZero() {
		c.Floor = &events.Floor{SignedAt: s.Floor.SignedAt, FleetHash: s.Floor.FleetHash}
	}
	if s.Set == nil {
		return
	}
	fleet := s.Set.Fleet()
	names := ArtifactNames{
		Fleet: pairDigest(fleet.Received()), Rollouts: make(map[string]RolloutNames),
	}
	for _, r := range s.Set.Rollouts() {
		names.Rollouts[r.Value().Channel] = RolloutNames{s.Set.ID(r).String(), pairDigest(r.Received())}
	}
	c.Set = &CheckpointSet{
		Digest: s.Set.Digest(), Without: s.Without, Stated: s.Stated, Tick: s.Source.Tick,
		Number: s.Source.Number, FirstSeq: s.Source.FirstSeq, LastSeq: s.Source.LastSeq, Artifacts: names,
	}
	if before.Artifacts.Fleet == names.Fleet && maps.Equal(before.Artifacts.Rollouts, names.Rollouts) {
		c.Set.Generation = before.Generation
	}
}

// state is the fold's state without the set's artifacts.
func (c *Checkpoint) state() fold.State {
	var s fold.State
	if c.Floor != nil {
		s.Floor = fold.Floor{SignedAt: c.Floor.SignedAt, FleetHash: c.Floor.FleetHash}
	}
	if c.Set != nil {
		s.Without, s.Stated = c.Set.Without, c.Set.Stated
		s.Source = fold.Source{
			Tick: c.Set.Tick, Number: c.Set.Number, FirstSeq: c.Set.FirstSeq, LastSeq: c.Set.LastSeq,
		}
	}
	return s
}

func (d *Directory) saveCheckpoint(c Checkpoint) error {
	data, err := json.Marshal(c, json.Deterministic(true), jsontext.Multiline(true))
	if err != nil {
		return err
	}
	return durable.Replace(filepath.Join(d.path, checkpointName), append(data, '\n'), 0o600)
}

// loadCheckpoint returns nil when there is none. Error: [*DamagedError]; any
// other error is one of the disk, after which nothing may be assumed.
func (d *Directory) loadCheckpoint() (*Checkpoint, error) {
	path := filepath.Join(d.path, checkpointName)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("load checkpoint: %w", err)
	}
	c, err := ParseCheckpoint(data)
	if err != nil {
		return nil, &DamagedError{path, err}
	}
	return c, nil
}

// ParseCheckpoint reads a checkpoint, refusing what [Directory.Save] would not
// write.
func ParseCheckpoint(data []byte) (*Checkpoint, error) {
	if len(data) > maxCheckpoint {
		return nil, fmt.Errorf("larger than %d bytes", maxCheckpoint)
	}
	var c Checkpoint
	if err := json.Unmarshal(bytes.TrimSpace(data), &c, json.RejectUnknownMembers(true)); err != nil {
		return nil, err
	}
	if c.Format != checkpointFormat {
		return nil, fmt.Errorf("checkpoint format %d, this program knows %d", c.Format, checkpointFormat)
	}
	if c.Lineage == "" || c.Stream == "" || c.Sequence == 0 || c.EventDigest.IsZero() {
		return nil, errors.New("checkpoint is incomplete")
	}
	if c.Set != nil && (c.Set.Generation == "" || filepath.Base(c.Set.Generation) != c.Set.Generation) {
		return nil, errors.New("checkpoint names no generation")
	}
	return &c, nil
}
