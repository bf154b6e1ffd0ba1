package state

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
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
	Format      int                `json:"format"`
	Lineage     string             `json:"lineage"`
	Stream      string             `json:"stream"`
	Writers     []events.PublicKey `json:"writers"` // accepted; remembered from the first use
	Sequence    uint64             `json:"sequence"`
	EventID     string             `json:"eventId"`
	EventDigest manifest.Digest    `json:"eventDigest"` // SHA-256 of the event's body
	Tick        uint64             `json:"tick"`
	Time        events.Time        `json:"time"` // of the tick
	Set         *CheckpointSet     `json:"set"`
	Floor       *events.Floor      `json:"floor"`
	TrustDigest manifest.Digest    `json:"trustDigest"`
	Window      manifest.Window    `json:"windowSecs"`
	// Channels are the limits of windows that channels say; absent where they do not.
	Channels *manifest.ChannelWindows `json:"channelWindows,omitzero"`
}

// CheckpointSet names the set and the files that hold it.
type CheckpointSet struct {
	Digest     manifest.Digest `json:"digest"`
	Generation string          `json:"generation"`
	Without    []string        `json:"without,omitzero"`
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

// pairDigest names an artifact, of which the SHA-256 of the body is given, together
// with its signature: the SHA-256 over both.
func pairDigest(body manifest.Digest, signature []byte) manifest.Digest {
	return manifest.Sum(append(body[:], signature...))
}

// checkpointFormat is the format that this program writes and reads.
const checkpointFormat = 1

// maxCheckpoint bounds what is read back: a channel takes some 200 bytes.
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
		Fleet: pairDigest(fleet.Artifact(), fleet.Received().Signature), Rollouts: make(map[string]RolloutNames),
	}
	for _, r := range s.Set.Rollouts() {
		names.Rollouts[r.Value().Channel] = RolloutNames{s.Set.ID(r).String(), pairDigest(r.Artifact(), r.Received().Signature)}
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

// format is the text of the file: the same checkpoint gives the same bytes.
func (c Checkpoint) format() ([]byte, error) {
	data, err := json.Marshal(c, json.Deterministic(true), jsontext.Multiline(true))
	return append(data, '\n'), err
}

func (d *Directory) saveCheckpoint(c Checkpoint) error {
	data, err := c.format()
	if err != nil {
		return err
	}
	path := filepath.Join(d.path, checkpointName)
	if err := durable.RemoveTemporary(path); err != nil { // what an attempt has left that could not clear it away
		return err
	}
	return durable.Replace(path, data, 0o600)
}

// loadCheckpoint returns nil when there is none. Error: [*DamagedError]; any
// other error is one of the disk, after which nothing may be assumed.
func (d *Directory) loadCheckpoint() (*Checkpoint, error) {
	path := filepath.Join(d.path, checkpointName)
	data, err := readLimited(path, maxCheckpoint)
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

// ParseCheckpoint reads a checkpoint, refusing whatever [Directory.Save] would
// not have written byte for byte.
func ParseCheckpoint(data []byte) (*Checkpoint, error) {
	if len(data) > maxCheckpoint {
		return nil, fmt.Errorf("larger than %d bytes", maxCheckpoint)
	}
	var c Checkpoint
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, err
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	again, err := c.format()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, data) {
		return nil, errors.New("white space, order or spelling is not that of a checkpoint")
	}
	return &c, nil
}

func (c *Checkpoint) check() error {
	switch {
	case c.Format != checkpointFormat:
		return fmt.Errorf("checkpoint format %d, this program knows %d", c.Format, checkpointFormat)
	case c.Lineage == "" || c.Stream == "" || len(c.Writers) == 0:
		return errors.New("checkpoint names no log")
	case c.Sequence == 0 || c.EventID == "" || c.EventDigest.IsZero():
		return errors.New("checkpoint names no event")
	case c.TrustDigest.IsZero():
		return errors.New("checkpoint names no trust file")
	case c.Set == nil:
		return nil
	case c.Floor == nil:
		return errors.New("checkpoint has a set and no floor")
	}
	if _, ok := generationNumber(c.Set.Generation); !ok {
		return errors.New("checkpoint names no generation")
	}
	for channel, r := range c.Set.Artifacts.Rollouts {
		id, err := manifest.ParseRolloutID(r.ID)
		if err == nil {
			err = id.CheckName()
		}
		if err != nil {
			return fmt.Errorf("channel %q: %w", channel, err)
		}
	}
	return nil
}
