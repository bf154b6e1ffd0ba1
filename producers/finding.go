package producers

import (
	"errors"

	"fleetlog/events"
	"fleetlog/manifest"
)

// rejectFleet states that there is no fleet from this tick; body is what was
// refused, if anything came.
func (t *tick) rejectFleet(stage events.Stage, err error, body []byte) {
	reason, detail := reasonOf(err)
	t.state(&events.FleetRejected{Stage: stage, Reason: reason, Detail: detail, Received: receivedOf(stage, body)})
}

// reasonOf gives an error of a source, of verification or of the floor its
// stable code and its detail.
func reasonOf(err error) (events.Reason, string) {
	var fetch *FetchError
	var rejection *manifest.Rejection
	var floor *floorError
	switch {
	case errors.As(err, &fetch):
		return fetch.Reason, events.Detail(fetch.Detail)
	case errors.As(err, &rejection):
		return events.Reason(rejection.Kind), events.Detail(rejection.Detail)
	case errors.As(err, &floor):
		return floor.reason, events.Detail(floor.detail)
	}
	return events.Unreachable, events.Detail(err.Error())
}

func receivedOf(stage events.Stage, body []byte) *events.Received {
	if stage != events.StageVerify && stage != events.StageFloor {
		return nil
	}
	return &events.Received{SHA256: manifest.Sum(body), Size: len(body)}
}

func artifactOf[T any](v manifest.Verified[T]) events.Artifact {
	received, key := v.Received(), v.Key()
	return events.Artifact{
		SHA256: v.Artifact(), Size: len(received.Body), Signature: received.Signature,
		Algorithm: key.Algorithm, Key: key.Public,
	}
}

func freshUntil(signedAt manifest.Instant, window manifest.Window) *manifest.Instant {
	until, ok := signedAt.FreshUntil(window)
	if !ok {
		return nil
	}
	return &until
}

func fleetFetched(v manifest.Verified[manifest.Fleet], window manifest.Window, source string) *events.FleetFetched {
	fleet := v.Value()
	return &events.FleetFetched{
		FleetHash: v.Hash(), Artifact: artifactOf(v), SignedAt: v.SignedAt(),
		FreshUntil: freshUntil(v.SignedAt(), window), CICommit: v.CICommit(),
		Hosts: len(fleet.Hosts), Channels: len(fleet.Channels), Source: source,
	}
}

func rolloutVerified(p manifest.Projection, v manifest.Verified[manifest.Rollout], window manifest.Window, carried events.Reason) *events.RolloutVerified {
	rollout := v.Value()
	waves := make(map[uint32]bool)
	for _, h := range rollout.HostSet {
		waves[h.WaveIndex] = true
	}
	return &events.RolloutVerified{
		Channel: p.Channel, RolloutID: p.ID.String(), Scheme: p.ID.Scheme(), Artifact: artifactOf(v),
		ManifestHash: v.Hash(), FleetHash: fleetHashOf(rollout), SignedAt: v.SignedAt(),
		FreshUntil: freshUntil(v.SignedAt(), window), ChannelRef: rollout.ChannelRef, CICommit: v.CICommit(),
		Hosts: len(rollout.HostSet), Waves: len(waves), Carried: carried,
	}
}

// fleetHashOf reads the hash that a manifest names; the cross-check has shown
// that it is one.
func fleetHashOf(rollout *manifest.Rollout) manifest.Digest {
	hash, err := manifest.ParseDigest(rollout.FleetResolvedHash)
	if err != nil {
		panic("cross-checked manifest names no fleet hash: " + err.Error())
	}
	return hash
}

func rolloutRejected(p manifest.Projection, stage events.Stage, err error, body []byte) *events.RolloutRejected {
	reason, detail := reasonOf(err)
	f := &events.RolloutRejected{
		Channel: p.Channel, Stage: stage, Reason: reason, Detail: detail, Received: receivedOf(stage, body),
	}
	if reason != events.Projection {
		id := p.ID.String()
		f.RolloutID = &id
	}
	return f
}

func crossCheckFailed(p manifest.Projection, err *manifest.CrossCheckError, body []byte) *events.CrossCheckFailed {
	return &events.CrossCheckFailed{
		Channel: p.Channel, RolloutID: p.ID.String(), Check: err.Check,
		Expected: err.Expected, Actual: err.Actual,
		Received: &events.Received{SHA256: manifest.Sum(body), Size: len(body)},
	}
}
