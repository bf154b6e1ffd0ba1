package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"fleetlog/consumers/check"
	"fleetlog/consumers/state"
	"fleetlog/eventlog"
	"fleetlog/events"
)

// recovery is how long everything may take to settle in the end.
const recovery = 3 * time.Minute

// judge lets everything settle, and holds the log and the reducers' state against
// each other and against what the witness was told.
func (s *soak) judge(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, recovery, fmt.Errorf("not settled in %s", recovery))
	defer cancel()
	s.diary.say("no more faults; everything settles")
	end, err := s.settle(ctx)
	if err != nil {
		return err
	}
	s.diary.say("judging the log and three state directories")
	report, err := s.judgeLog(ctx, end)
	if err != nil {
		return err
	}
	if err := s.diary.table(); err != nil {
		return err
	}
	s.witness.mu.Lock()
	defer s.witness.mu.Unlock()
	fmt.Fprintf(s.diary.out, "\n%d ticks in %d events, %d artifacts; %d acknowledged to the pollers; longest pause between two ticks %s\n",
		report.Ticks, report.Events, report.Artifacts, s.witness.acked, s.witness.longest.Round(100*time.Millisecond))
	fmt.Fprintf(s.diary.out, "0 ticks lost, 0 twice, 0 forks, 0 broken; three reducers hold set %.12s…\n", end.Completed.Set.Digest)
	return nil
}

// settle ends the flow, and returns the last tick, which every reducer has folded.
func (s *soak) settle(ctx context.Context) (events.Head, error) {
	s.unpublish()
	if err := errors.Join(s.plane.release(time.Now()), s.witness.goesOn(ctx), s.witness.goesOn(ctx)); err != nil {
		return events.Head{}, err
	}
	for _, p := range s.pollers {
		if err := p.Stop(); err != nil {
			return events.Head{}, fmt.Errorf("%s: %w\n%s", p.name, err, p.Said())
		}
		s.witness.listen(p.name, p.Said())
	}
	end, err := s.log.Head(ctx)
	if err != nil {
		return end, err
	}
	if end.Completed == nil || end.Completed.Outcome != events.Verified {
		return end, fmt.Errorf("the last tick, %d, is not a verified one", end.Number)
	}
	for _, r := range s.reducers {
		at := uint64(0)
		err := until(ctx, r.name+" to reach the end", func() bool {
			if c, _, err := state.View(r.stateDir).Read(); err == nil && c != nil {
				at = c.Sequence
			}
			return at == end.Seq || r.Ended()
		})
		if err == nil {
			err = r.Stop()
		}
		if err != nil {
			return end, fmt.Errorf("%s at sequence %d of %d: %w\n%s", r.name, at, end.Seq, err, r.Said())
		}
	}
	return end, nil
}

// judgeLog checks the log as the cluster and as the site has it.
func (s *soak) judgeLog(ctx context.Context, end events.Head) (*check.Report, error) {
	mirror, err := openLog(ctx, s.site.URL)
	if err != nil {
		return nil, err
	}
	var report *check.Report
	for n, r := range s.reducers {
		log := s.log
		if n == len(s.reducers)-1 {
			log = mirror
		}
		if report, err = check.Check(ctx, log, check.Options{StateDir: r.stateDir}); err != nil {
			return nil, err
		}
		if report.Found > 0 || report.Noise > 0 {
			return nil, fmt.Errorf("%s: %d broken, %d noise: %+v", r.name, report.Found, report.Noise, report.Findings)
		}
		c, _, err := state.View(r.stateDir).Read()
		if err != nil {
			return nil, err
		}
		if c.Set == nil || c.Set.Digest != end.Completed.Set.Digest {
			return nil, fmt.Errorf("%s does not hold set %s of the last tick", r.name, end.Completed.Set.Digest)
		}
		if err := s.judgeTicks(ctx, log, end); err != nil {
			return nil, err
		}
	}
	return report, nil
}

// judgeTicks holds every tick that somebody was told of against the log.
func (s *soak) judgeTicks(ctx context.Context, log *eventlog.Log, end events.Head) error {
	held := make(map[uint64]string)
	for delivery, err := range log.Follow(ctx, log.Opening()) {
		if err != nil {
			return err
		}
		if delivery.Tick != nil {
			held[delivery.Tick.Head.Number] = delivery.Tick.Head.Digest.String()
		}
		if delivery.Seq >= end.Seq {
			break
		}
	}
	s.witness.mu.Lock()
	defer s.witness.mu.Unlock()
	var errs []error
	for number, digest := range s.witness.ticks {
		if held[number] != digest {
			errs = append(errs, fmt.Errorf("tick %d was %s, the log has %q", number, digest, held[number]))
		}
	}
	return errors.Join(append(errs, s.witness.err)...)
}
