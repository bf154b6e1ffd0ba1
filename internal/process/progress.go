package process

import (
	"fmt"
	"sync"
	"time"
)

// Progress knows when a loop made its last step, and so whether it is stuck.
type Progress struct {
	bound time.Duration
	clock func() time.Time

	mu   sync.Mutex
	last time.Time
}

// NewProgress counts from now on: a loop that makes no step for longer than bound
// is stuck. clock has a monotonic reading, so that a clock that is set stops no
// loop.
func NewProgress(bound time.Duration, clock func() time.Time) *Progress {
	return &Progress{bound: bound, clock: clock, last: clock()}
}

// Step is for the loop to call when something was done, or was tried and failed:
// not when it only waits.
func (p *Progress) Step() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = p.clock()
}

// Stuck is why the process should be restarted, nil while the loop makes steps.
func (p *Progress) Stuck() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if still := p.clock().Sub(p.last); still > p.bound {
		return fmt.Errorf("no progress for %s, which should not be more than %s", still.Round(time.Second), p.bound)
	}
	return nil
}
