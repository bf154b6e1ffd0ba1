package view

import (
	"fmt"

	"fleetlog/manifest"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// meta is what a set's artifacts say of themselves.
type meta struct {
	SignedAt manifest.Instant `json:"signedAt"`
	CICommit *string          `json:"ciCommit"`
}

// AddFleet shows a fleet that nobody has verified: what its bytes say, without
// the key.
func (v *Set) AddFleet(body []byte, window manifest.Window) error {
	var said struct {
		Hosts    map[string]jsontext.Value `json:"hosts"`
		Channels map[string]jsontext.Value `json:"channels"`
		Meta     meta                      `json:"meta"`
	}
	hash, err := read(body, &said)
	if err != nil {
		return fmt.Errorf("read fleet.resolved.json: %w", err)
	}
	v.Fleet = &Fleet{
		FleetHash: hash, SHA256: manifest.Sum(body), SignedAt: said.Meta.SignedAt,
		FreshUntil: until(said.Meta.SignedAt, window), CICommit: said.Meta.CICommit,
		Hosts: len(said.Hosts), Channels: len(said.Channels),
	}
	return nil
}

// AddRollout shows a manifest that nobody has verified, likewise.
func (v *Set) AddRollout(channel, id string, body []byte, window manifest.Window) error {
	var said struct {
		ChannelRef string           `json:"channelRef"`
		HostSet    []jsontext.Value `json:"hostSet"`
		Meta       meta             `json:"meta"`
	}
	hash, err := read(body, &said)
	if err != nil {
		return fmt.Errorf("read rollout %s: %w", id, err)
	}
	v.Rollouts[channel] = Rollout{
		RolloutID: id, ManifestHash: hash, SHA256: manifest.Sum(body), SignedAt: said.Meta.SignedAt,
		FreshUntil: until(said.Meta.SignedAt, window), ChannelRef: said.ChannelRef, Hosts: len(said.HostSet),
	}
	return nil
}

// read fills in what the body says, and returns the hash of its canonical form.
func read(body []byte, said any) (manifest.Digest, error) {
	canonical, err := manifest.Canonicalize(body)
	if err != nil {
		return manifest.Digest{}, err
	}
	return manifest.Sum(canonical), json.Unmarshal(canonical, said)
}
