package producers

import (
	"context"
	"errors"

	"fleetlog/events"
	"fleetlog/manifest"
)

// judgeChannel makes the finding about one channel, and the manifest when it is
// verified.
func (t *tick) judgeChannel(ctx context.Context, fleet manifest.Verified[manifest.Fleet], p manifest.Projection, retained *manifest.Set) (manifest.Verified[manifest.Rollout], events.Finding) {
	var none manifest.Verified[manifest.Rollout]
	switch {
	case p.Err != nil:
		return none, rolloutRejected(p, events.StageIdentity, p.Err, nil)
	case p.Idle:
		return none, &events.ChannelIdle{Channel: p.Channel, Reason: events.NoClosure}
	}
	if err := t.Source.CheckIdentity(p.ID); err != nil {
		return none, rolloutRejected(p, events.StageIdentity, err, nil)
	}
	policy := t.policy.For(fleet.Value(), p.Channel)
	received, rollout, err := t.verifyRollout(ctx, p, policy)
	if err == nil {
		err = manifest.CrossCheck(fleet, p, rollout)
	}
	var fetch *FetchError
	var cross *manifest.CrossCheckError
	switch {
	case err == nil:
		return rollout, rolloutVerified(p, rollout, policy.Window, "")
	case errors.As(err, &fetch):
		if kept, ok := t.carry(fleet, p, retained); ok && fetch.Reason != events.IdentityUnservable {
			return kept, rolloutVerified(p, kept, policy.Window, fetch.Reason)
		}
		return none, rolloutRejected(p, events.StageFetch, err, nil)
	case errors.As(err, &cross):
		return none, crossCheckFailed(p, cross, received.Body)
	}
	return none, rolloutRejected(p, events.StageVerify, err, received.Body)
}

// verifyRollout fetches and verifies, and fetches a torn pair once more.
func (t *tick) verifyRollout(ctx context.Context, p manifest.Projection, policy manifest.Policy) (manifest.Received, manifest.Verified[manifest.Rollout], error) {
	var rollout, before manifest.Verified[manifest.Rollout]
	if t.known != nil {
		before, _ = t.known.Rollout(p.Channel)
	}
	received, ok := t.ahead.take(p.ID)
	var err error
	if !ok {
		received, err = t.fetchRollout(ctx, p.ID, t.held(before.Received()))
	}
	if err != nil {
		return received, rollout, asFetchError(err)
	}
	rollout, err = manifest.VerifyRolloutAfter(before, received, p.ID, policy)
	if isBadSignature(err) {
		if received, err = t.fetchRollout(ctx, p.ID, manifest.Received{}); err != nil {
			return received, rollout, asFetchError(err)
		}
		rollout, err = manifest.VerifyRolloutAfter(before, received, p.ID, policy)
	}
	return received, rollout, err
}

// carry returns the channel's manifest of the last tick's set when it has the
// same rollout id and passes every check of this moment.
func (t *tick) carry(fleet manifest.Verified[manifest.Fleet], p manifest.Projection, retained *manifest.Set) (manifest.Verified[manifest.Rollout], bool) {
	var none manifest.Verified[manifest.Rollout]
	if retained == nil {
		return none, false
	}
	before, ok := retained.Rollout(p.Channel)
	if !ok {
		return none, false
	}
	kept, err := manifest.VerifyRolloutAfter(before, before.Received(), p.ID, t.policy.For(fleet.Value(), p.Channel))
	if err != nil || manifest.CrossCheck(fleet, p, kept) != nil {
		return none, false
	}
	return kept, true
}
