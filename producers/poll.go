package producers

import (
	"context"
	"errors"
	"slices"
	"time"

	"fleetlog/events"
	"fleetlog/manifest"

	"golang.org/x/sync/errgroup"
)

// Poll is what every tick is made with.
type Poll struct {
	Source      Source
	Trust       func() ([]byte, error) // reads trust.json, anew for every tick
	Window      manifest.Window
	Channels    *manifest.ChannelWindows // nil: Window is for everything
	Scheme      manifest.Scheme          // empty: by the fleet's revision
	Concurrency int                      // artifacts fetched at once
}

// limit is how many artifacts are fetched at once.
func (p *Poll) limit() int { return max(1, p.Concurrency) }

// Memory is what a tick must know of the ticks before it.
type Memory struct {
	Set     *manifest.Set // that a correct reader holds; nil when none
	Without []string      // channels of its statement that trust took since
	Floor   *events.Floor
	Served  bool // the last tick's fleet came: there is somebody to ask
}

// Result is what one tick established. Findings lack their envelopes and the
// parts of their artifacts.
type Result struct {
	Findings  []events.Finding
	Artifacts map[manifest.Digest][]byte // bytes of every artifact that Findings name
	Memory    Memory                     // for the next tick, once this one is recorded
	Unjudged  bool                       // trust.json was refused: the set is the last tick's, whatever Memory holds
	Keys      []string                   // what trust.json has of keys that verify nothing
}

// Outcome tells whether the fleet was verified.
func (r *Result) Outcome() events.Outcome {
	for _, f := range r.Findings {
		if _, ok := f.(*events.FleetFetched); ok {
			return events.Verified
		}
	}
	return events.Skipped
}

// Reference is the set that a correct reader holds after the tick, for
// [events.Draft]; nil when there is none.
func (r *Result) Reference() *events.SetReference {
	set := r.Memory.Set
	if set == nil {
		return nil
	}
	fleet := set.Fleet()
	return &events.SetReference{
		Digest: set.Digest(), FleetHash: fleet.Hash(), SignedAt: fleet.SignedAt(), Without: r.Memory.Without,
	}
}

// Tick polls once, judging everything by the one instant now. It never fails:
// what goes wrong is a finding. When ctx ends, what was not fetched yet is
// reported as timed out, and the caller decides whether to record that.
func (p *Poll) Tick(ctx context.Context, now time.Time, memory Memory) *Result {
	t := &tick{Poll: p, now: now, memory: memory, known: memory.Set, result: &Result{Artifacts: make(map[manifest.Digest][]byte)}}
	t.run(ctx)
	t.result.Memory = t.memory
	return t.result
}

// tick is one poll under way.
type tick struct {
	*Poll
	now    time.Time
	policy manifest.Policy
	memory Memory
	known  *manifest.Set // what memory came with
	result *Result
	turns  chan struct{} // holds one for every manifest that is being fetched
	ahead  *ahead
	second bool // what came first does not fit: the source may have been behind
}

// held is what need not come again when it is the same; nothing at a second try.
func (t *tick) held(known manifest.Received) manifest.Received {
	if t.second {
		return manifest.Received{}
	}
	return known
}

func (t *tick) run(ctx context.Context) {
	trust, err := t.readTrust()
	if err != nil {
		t.result.Unjudged = true
		t.rejectFleet(events.StageTrust, err, nil)
		return
	}
	t.result.Keys = trust.Warnings()
	t.policy = manifest.Policy{Trust: trust, Now: t.now, Window: t.Window, Channels: t.Channels}
	retained := t.memory.Set
	t.retain(trust)
	t.turns = make(chan struct{}, t.limit())
	t.ahead = askAhead(ctx, t.expected(retained), t.fetchRollout)
	defer t.ahead.stop()

	fleet, err := t.fetchFleet(ctx)
	if err != nil {
		return
	}
	channels := t.channels(ctx, fleet, retained)
	if mismatched := mismatched(channels); len(mismatched) > 0 {
		fleet, channels = t.again(ctx, fleet, channels, mismatched, retained)
	}
	t.conclude(fleet, channels)
}

// expected is the set whose manifests are asked for before the fleet says so:
// none while the source does not even serve that.
func (t *tick) expected(retained *manifest.Set) *manifest.Set {
	served := t.memory.Served
	t.memory.Served = false
	if !served {
		return nil
	}
	return retained
}

func (p *Poll) readTrust() (*manifest.Trust, error) {
	data, err := p.Trust()
	if err != nil {
		return nil, &manifest.Rejection{Kind: manifest.KindTrustInvalid, Detail: "trust file cannot be read", Err: err}
	}
	return manifest.ParseTrust(data)
}

// retain drops from the set what today's trust no longer covers. What it took
// stays out until the next verified tick.
func (t *tick) retain(trust *manifest.Trust) {
	if t.memory.Set == nil {
		return
	}
	kept, without := t.memory.Set.Reverify(trust, t.now)
	t.memory.Set = kept
	t.memory.Without = append(slices.Clone(t.memory.Without), without...)
	slices.Sort(t.memory.Without)
	if kept == nil {
		t.memory.Without = nil
	}
}

// fetchFleet fetches and verifies the fleet, and holds it against the floor. A
// failure is stated as the tick's one finding.
func (t *tick) fetchFleet(ctx context.Context) (manifest.Verified[manifest.Fleet], error) {
	received, fleet, err := t.verifyFleet(ctx)
	if err == nil {
		err = t.checkFloor(fleet)
	}
	if err != nil {
		var fetch *FetchError
		var floor *floorError
		switch {
		case errors.As(err, &fetch):
			t.rejectFleet(events.StageFetch, err, nil)
		case errors.As(err, &floor):
			t.rejectFleet(events.StageFloor, err, received.Body)
		default:
			t.rejectFleet(events.StageVerify, err, received.Body)
		}
	}
	return fleet, err
}

// verifyFleet fetches and verifies. Body and signature come by two requests; a
// signature that does not fit is fetched again, both together, once.
func (t *tick) verifyFleet(ctx context.Context) (manifest.Received, manifest.Verified[manifest.Fleet], error) {
	var fleet manifest.Verified[manifest.Fleet]
	before := t.knownFleet()
	received, err := t.Source.Fleet(ctx, t.held(before.Received()))
	if err != nil {
		return received, fleet, asFetchError(err)
	}
	fleet, err = manifest.VerifyFleetAfter(before, received, t.policy)
	if isBadSignature(err) {
		if received, err = t.Source.Fleet(ctx, manifest.Received{}); err != nil {
			return received, fleet, asFetchError(err)
		}
		fleet, err = manifest.VerifyFleetAfter(before, received, t.policy)
	}
	if err == nil {
		err = checkChannelNames(fleet.Value())
	}
	return received, fleet, err
}

// knownFleet is the last tick's, if its set is remembered.
func (t *tick) knownFleet() (none manifest.Verified[manifest.Fleet]) {
	if t.known == nil {
		return none
	}
	return t.known.Fleet()
}

// maxChannelName is the longest channel name in bytes that an event can carry.
const maxChannelName = 4096

func checkChannelNames(fleet *manifest.Fleet) error {
	for _, c := range fleet.Channels {
		if len(c.Name) > maxChannelName {
			return &manifest.Rejection{Kind: manifest.KindProjection, Detail: "a channel name is longer than 4096 bytes"}
		}
	}
	return nil
}

func isBadSignature(err error) bool {
	var rejection *manifest.Rejection
	return errors.As(err, &rejection) && rejection.Kind == manifest.KindBadSignature
}

// floorError refuses a fleet because of one that was accepted before it.
type floorError struct {
	reason events.Reason
	detail string
}

func (e *floorError) Error() string { return string(e.reason) + ": " + e.detail }

func (t *tick) checkFloor(fleet manifest.Verified[manifest.Fleet]) error {
	floor := t.memory.Floor
	if floor == nil {
		return nil
	}
	switch fleet.SignedAt().Compare(floor.SignedAt) {
	case -1:
		return &floorError{events.Rollback, "signed at " + fleet.SignedAt().String() +
			", accepted was one signed at " + floor.SignedAt.String()}
	case 0:
		if fleet.Hash() != floor.FleetHash {
			return &floorError{events.Equivocation, "signed at " + fleet.SignedAt().String() +
				" like fleet " + floor.FleetHash.String()}
		}
	}
	return nil
}

// channel is what the tick knows of one channel.
type channel struct {
	projection manifest.Projection
	rollout    manifest.Verified[manifest.Rollout] // zero unless verified
	finding    events.Finding
}

// channels fetches and judges every channel of the fleet, in the projection's
// order, several at once.
func (t *tick) channels(ctx context.Context, fleet manifest.Verified[manifest.Fleet], retained *manifest.Set) []channel {
	projections := manifest.Project(fleet, t.scheme(fleet))
	t.ahead.only(projections)
	all := make([]int, len(projections))
	channels := make([]channel, len(projections))
	for i, p := range projections {
		all[i], channels[i].projection = i, p
	}
	t.judge(ctx, fleet, channels, all, retained)
	return channels
}

func (t *tick) scheme(fleet manifest.Verified[manifest.Fleet]) manifest.Scheme {
	if t.Scheme != "" {
		return t.Scheme
	}
	return manifest.SchemeOf(fleet.Value())
}

// judge fills in rollout and finding of the channels at the given places.
func (t *tick) judge(ctx context.Context, fleet manifest.Verified[manifest.Fleet], channels []channel, places []int, retained *manifest.Set) {
	var group errgroup.Group
	group.SetLimit(t.limit())
	for _, i := range places {
		group.Go(func() error {
			c := &channels[i]
			c.rollout, c.finding = t.judgeChannel(ctx, fleet, c.projection, retained)
			return nil
		})
	}
	_ = group.Wait() // the goroutines return no error
}

// fetchRollout asks the source when it is this request's turn.
func (t *tick) fetchRollout(ctx context.Context, id manifest.RolloutID, known manifest.Received) (manifest.Received, error) {
	select {
	case t.turns <- struct{}{}:
	case <-ctx.Done():
		return manifest.Received{}, transportError(ctx.Err())
	}
	defer func() { <-t.turns }()
	return t.Source.Rollout(ctx, id, known)
}

// mismatched are the places of the channels whose manifest names another fleet.
func mismatched(channels []channel) (places []int) {
	for i, c := range channels {
		if f, ok := c.finding.(*events.CrossCheckFailed); ok && f.Check == events.CheckFleetHash {
			places = append(places, i)
		}
	}
	return places
}

// again settles mismatches inside the tick: the fleet is fetched once more. If
// it has changed, all channels are done with it; else only the mismatched ones.
func (t *tick) again(ctx context.Context, fleet manifest.Verified[manifest.Fleet], channels []channel, places []int, retained *manifest.Set) (manifest.Verified[manifest.Fleet], []channel) {
	t.second = true
	_, other, err := t.verifyFleet(ctx)
	if err == nil && other.Hash() != fleet.Hash() && t.checkFloor(other) == nil {
		return other, t.channels(ctx, other, retained)
	}
	t.judge(ctx, fleet, channels, places, retained)
	return fleet, channels
}

// conclude states the verified tick and makes its set.
func (t *tick) conclude(fleet manifest.Verified[manifest.Fleet], channels []channel) {
	t.state(fleetFetched(fleet, t.policy.FleetWindow(fleet.Value()), t.Source.Kind()))
	t.result.Artifacts[fleet.Artifact()] = fleet.Received().Body
	var rollouts []manifest.Verified[manifest.Rollout]
	for _, c := range channels {
		if !c.rollout.IsZero() {
			rollouts = append(rollouts, c.rollout)
			t.result.Artifacts[c.rollout.Artifact()] = c.rollout.Received().Body
		}
		t.state(c.finding)
	}
	set, err := manifest.NewSetAfter(t.known, fleet, rollouts, t.scheme(fleet))
	if err != nil {
		// Every part was checked by the same rules a moment ago.
		panic("verified parts make no set: " + err.Error())
	}
	t.memory = Memory{Set: set, Floor: &events.Floor{SignedAt: fleet.SignedAt(), FleetHash: fleet.Hash()}, Served: true}
}

func (t *tick) state(f events.Finding) { t.result.Findings = append(t.result.Findings, f) }
