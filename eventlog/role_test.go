package eventlog_test

import (
	"context"
	"testing"
	"time"
)

// TestFollowOutlivesItsConsumer has somebody else, who may end consumers, end that of
// a reader: it makes another one and goes on.
func TestFollowOutlivesItsConsumer(t *testing.T) {
	f := newFollowed(t)
	f.tick(t, 1)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ended, newest := 0, uint64(0)
	for d, err := range f.Follow(ctx, f.Opening()) {
		if err != nil {
			t.Fatal(err)
		}
		if d.Tick != nil {
			newest = d.Tick.Head.Number
		}
		if newest == 2 {
			break
		}
		if !d.CaughtUp || ended > 0 {
			continue
		}
		for name := range f.consumers(ctx, t) {
			ended++
			if err := f.js.DeleteConsumer(ctx, fleetName(t).EventsStream(), name); err != nil {
				t.Fatal(err)
			}
		}
		f.tick(t, 2)
	}
	if ended != 1 || newest != 2 {
		t.Errorf("%d consumers were ended, and tick %d was the last that came; want 1 and 2", ended, newest)
	}
}

// consumers are the names of those that follow.
func (f *followed) consumers(ctx context.Context, t *testing.T) <-chan string {
	t.Helper()
	stream, err := f.js.Stream(ctx, fleetName(t).EventsStream())
	if err != nil {
		t.Fatal(err)
	}
	return stream.ConsumerNames(ctx).Name()
}
