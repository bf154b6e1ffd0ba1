package producers

import (
	"context"
	"sync"

	"fleetlog/manifest"
)

// ahead are manifests that are asked for together with the fleet, before that
// says which are wanted: those of the last tick's set. In most ticks they are. What
// comes is judged like what is asked for later.
type ahead struct {
	running sync.WaitGroup
	mu      sync.Mutex
	answers map[string]*answer // by rollout id
}

// answer is what a request under way will bring.
type answer struct {
	cancel   context.CancelFunc
	come     chan struct{} // closed when it has
	received manifest.Received
	err      error
}

// askAhead asks for the manifests of the set; ask waits for its turn.
func askAhead(ctx context.Context, set *manifest.Set, ask func(context.Context, manifest.RolloutID, manifest.Received) (manifest.Received, error)) *ahead {
	a := &ahead{answers: make(map[string]*answer)}
	if set == nil {
		return a
	}
	for _, r := range set.Rollouts() {
		id := set.ID(r)
		asking, cancel := context.WithCancel(ctx)
		one := &answer{cancel: cancel, come: make(chan struct{})}
		a.answers[id.String()] = one
		a.running.Go(func() {
			defer close(one.come)
			one.received, one.err = ask(asking, id, r.Received())
		})
	}
	return a
}

// only gives up what is not wanted. Should it be wanted after all, by a fleet that is
// fetched once more, what has come of it may be of an older signing.
func (a *ahead) only(wanted []manifest.Projection) {
	a.mu.Lock()
	defer a.mu.Unlock()
	ids := make(map[string]bool, len(wanted))
	for _, p := range wanted {
		ids[p.ID.String()] = true
	}
	for id, one := range a.answers {
		if !ids[id] {
			one.cancel()
			delete(a.answers, id)
		}
	}
}

// take waits for what was asked for by that id; ok is false when nothing was, or
// nothing came: then, and for a second time, it is to be asked for now.
func (a *ahead) take(id manifest.RolloutID) (received manifest.Received, ok bool) {
	a.mu.Lock()
	one := a.answers[id.String()]
	delete(a.answers, id.String())
	a.mu.Unlock()
	if one == nil {
		return received, false
	}
	defer one.cancel()
	<-one.come
	return one.received, one.err == nil
}

// stop gives up whatever is left, and waits for it to end.
func (a *ahead) stop() {
	a.only(nil)
	a.running.Wait()
}
