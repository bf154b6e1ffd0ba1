package fleetlog_test

import (
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"fleetlog/consumers/past"
	"fleetlog/consumers/view"
	"fleetlog/events"
	"fleetlog/internal/fleetsim"
	"fleetlog/manifest"
)

// TestPastIsTheModels shows random points of random logs: by time, by sequence,
// by number and by id.
func TestPastIsTheModels(t *testing.T) {
	eachPast(t, func(t *testing.T, s *pasts, r *past.Reader) {
		for range 40 {
			when, want := s.instant()
			for _, point := range []string{
				when.Format(time.RFC3339Nano), "-" + s.world.now.Sub(when).String(),
				fmt.Sprintf("seq:%d", want.head.Seq), fmt.Sprintf("tick:%d", want.head.Number), "tick:" + want.head.Tick,
			} {
				tick := s.at(point)
				set, err := r.Set(t.Context(), tick)
				if err != nil {
					t.Fatalf("%s: %v", point, err)
				}
				digest, channels := heldBy(set)
				if without := want.set != nil && len(want.set.without) > 0; without != (len(set.Without) > 0) {
					t.Errorf("%s: without %v, the model says %v", point, set.Without, without)
				}
				if tick.Head.Number != want.head.Number || digest != want.set.digest() || !maps.Equal(channels, want.set.hashes()) {
					t.Errorf("%s: tick %d holds %s %v, the model held %s %v after tick %d",
						point, tick.Head.Number, digest, channels, want.set.digest(), want.set.hashes(), want.head.Number)
				}
			}
		}
	})
}

// TestHistoryIsTheModels applies the changes of a history one after the other:
// after each tick they make what the model held, and each begins with what was
// there.
func TestHistoryIsTheModels(t *testing.T) {
	eachPast(t, func(t *testing.T, s *pasts, r *past.Reader) {
		from := s.random.IntN(len(s.ticks))
		last := s.at("")
		checkHistory(t, s, r, past.Span{Last: last}, 0)
		checkHistory(t, s, r, past.Span{After: s.at(fmt.Sprintf("tick:%d", from+1)), Last: last}, from+1)
	})
}

// checkHistory holds the history of the ticks from the n-th on against the model.
func checkHistory(t *testing.T, s *pasts, r *past.Reader, span past.Span, n int) {
	t.Helper()
	fleet, channels := "none", map[string]string{}
	if n > 0 {
		fleet, channels = s.ticks[n-1].set.fleetHash(), maps.Clone(s.ticks[n-1].set.hashes())
	}
	upTo := func(number uint64) {
		for ; n < len(s.ticks) && s.ticks[n].head.Number < number; n++ {
			if want := s.ticks[n]; fleet != want.set.fleetHash() || !maps.Equal(channels, want.set.hashes()) {
				t.Fatalf("after tick %d the changes make %s %v, the model held %s %v",
					want.head.Number, fleet, channels, want.set.fleetHash(), want.set.hashes())
			}
		}
	}
	for passed, err := range r.History(t.Context(), span) {
		if err != nil {
			t.Fatal(err)
		}
		upTo(passed.Tick.Head.Number)
		for _, c := range passed.Changes {
			if c.Channel == nil {
				if got := versionText(c.From); got != fleet {
					t.Errorf("tick %d: the fleet was %s, the change says %s", c.Tick, fleet, got)
				}
				fleet = versionText(c.To)
				continue
			}
			was, ok := channels[*c.Channel]
			if got := versionText(c.From); ok && got != was || !ok && got != "none" {
				t.Errorf("tick %d: channel %s was %q, the change says %s", c.Tick, *c.Channel, was, got)
			}
			delete(channels, *c.Channel)
			if c.To != nil {
				channels[*c.Channel] = c.To.Hash.String()
			}
		}
	}
	upTo(uint64(len(s.ticks)) + 1)
}

func versionText(v *view.Version) string {
	if v == nil {
		return "none"
	}
	return v.Hash.String()
}

func (s *modelSet) fleetHash() string {
	if s == nil {
		return "none"
	}
	return s.of.hash
}

// TestDiffIsTheModels: two points are the same exactly when the model held the
// same.
func TestDiffIsTheModels(t *testing.T) {
	eachPast(t, func(t *testing.T, s *pasts, r *past.Reader) {
		same := 0
		for range 60 {
			i := s.random.IntN(len(s.ticks))
			j := min(len(s.ticks)-1, i+s.random.IntN(8))
			var contents [2]*view.Content
			for k, n := range []int{i, j} {
				var err error
				if contents[k], err = r.Content(t.Context(), s.at(fmt.Sprintf("tick:%d", n+1))); err != nil {
					t.Fatal(err)
				}
			}
			d := view.Compare(contents[0], contents[1])
			want := s.ticks[i].set.digest() == s.ticks[j].set.digest()
			empty := d.Sets == nil && d.Fleet == nil && len(d.Channels)+len(d.Hosts)+len(d.Settings)+len(d.Keys) == 0
			if d.Same != want || empty != want {
				t.Errorf("ticks %d and %d: same is %v, the diff empty %v, the model says %v", i+1, j+1, d.Same, empty, want)
			}
			if want {
				same++
			}
		}
		t.Logf("%d of 60 are the same", same)
	})
}

// TestWhyIsTheModels: a channel is in the set when the model has it, since the
// tick from which on the model has held this manifest of it, or none.
func TestWhyIsTheModels(t *testing.T) {
	eachPast(t, func(t *testing.T, s *pasts, r *past.Reader) {
		for range 60 {
			n, channel := s.random.IntN(len(s.ticks)), fleetsim.ChannelName(s.random.IntN(3))
			tick := s.at(fmt.Sprintf("tick:%d", n+1))
			why, err := r.Why(t.Context(), tick, channel, tick.Head.Time.Time())
			if err != nil {
				t.Fatal(err)
			}
			checkStanding(t, r, tick, why)
			hash, in := s.ticks[n].set.hashes()[channel]
			since := n
			for since > 0 && s.ticks[since-1].set.hashes()[channel] == hash {
				since--
			}
			if why.InSet != in || why.Since.Tick != uint64(since+1) {
				t.Errorf("tick %d, channel %s: in the set %v since tick %d, the model says %v since %d",
					n+1, channel, why.InSet, why.Since.Tick, in, since+1)
			}
			if len(why.Steps) < 2 || why.State == view.Fresh && !in {
				t.Errorf("tick %d, channel %s: %+v", n+1, channel, why)
			}
			for i, step := range why.Steps {
				if step.Seq == 0 || step.Seq > tick.Head.Seq || step.Since.Seq > tick.Head.Seq || !step.OK && step.Reason != "" && step.ClearsWhen == "" {
					t.Errorf("tick %d, channel %s: step %d is %+v", n+1, channel, i+1, step)
				}
			}
		}
	})
}

// checkStanding: what is said of all channels at once is what is said of each.
func checkStanding(t *testing.T, r *past.Reader, tick *events.Tick, why view.Why) {
	t.Helper()
	all, err := r.Standings(t.Context(), tick, tick.Head.Time.Time())
	if err != nil {
		t.Fatal(err)
	}
	standing := past.Standing{Channel: why.Channel, State: view.Missing}
	for _, s := range all.Channels {
		if s.Channel == why.Channel {
			standing = s
		}
	}
	if standing.State != why.State || standing.InSet != why.InSet {
		t.Errorf("tick %d, channel %s: %s, in the set %v; why says %s, %v",
			tick.Head.Number, why.Channel, standing.State, standing.InSet, why.State, why.InSet)
	}
}

// told is what the model's set tells the host.
func (s *modelSet) told(n int) *view.Told {
	if s == nil {
		return nil
	}
	f := s.of.fleet
	channel := fleetsim.ChannelName(n % f.Channels)
	if _, ok := s.channels[channel]; !ok || n >= f.Hosts {
		return nil
	}
	closure := manifest.Sum(fmt.Appendf(nil, "%d/%d", f.Closures, n)).String()[:32] + fmt.Sprintf("-nixos-system-host-%06d-26.05", n)
	return &view.Told{Channel: channel, Closure: closure} // the wave is left out
}

// TestHostHistoryIsTheModels: what a host was told over time, and where it leads
// at a point.
func TestHostHistoryIsTheModels(t *testing.T) {
	eachPast(t, func(t *testing.T, s *pasts, r *past.Reader) {
		number, last := s.random.IntN(4), s.at("")
		checkHostHistory(t, s, r, past.Span{Last: last}, number)
		checkHostHistory(t, s, r, past.Span{After: s.at(fmt.Sprintf("tick:%d", 1+s.random.IntN(len(s.ticks)))), Last: last}, number)
		for range 10 {
			n := s.random.IntN(len(s.ticks))
			trace, err := r.Trace(t.Context(), s.at(fmt.Sprintf("tick:%d", n+1)), hostName(number))
			if err != nil {
				t.Fatal(err)
			}
			checkTrace(t, s.ticks[n], trace, number)
		}
	})
}

func hostName(number int) string { return fmt.Sprintf("host-%06d", number) }

// checkHostHistory holds what the host was told against the model.
func checkHostHistory(t *testing.T, s *pasts, r *past.Reader, span past.Span, number int) {
	t.Helper()
	var told *view.Told
	at := 0
	if span.After != nil {
		at = int(span.After.Head.Number)
		told = s.ticks[at-1].set.told(number)
	}
	upTo := func(tick uint64) {
		for ; at < len(s.ticks) && s.ticks[at].head.Number < tick; at++ {
			want := s.ticks[at].set.told(number)
			if (told == nil) != (want == nil) || told != nil && (told.Channel != want.Channel || told.Closure != want.Closure) {
				t.Fatalf("after tick %d host %d is told %v, the model says %v", at+1, number, told, want)
			}
		}
	}
	for c, err := range r.HostHistory(t.Context(), span, hostName(number)) {
		if err != nil {
			t.Fatal(err)
		}
		upTo(c.Tick)
		if (c.From == nil) != (told == nil) || c.From != nil && c.From.Closure != told.Closure {
			t.Errorf("tick %d: the host was told %v, the change says %v", c.Tick, told, c.From)
		}
		told = c.To
	}
	upTo(uint64(len(s.ticks)) + 1)
}

func checkTrace(t *testing.T, want remembered, trace view.Trace, number int) {
	t.Helper()
	told := want.set.told(number)
	switch {
	case (trace.Told == nil) != (told == nil):
		t.Errorf("tick %d: trace leads to %v, the model tells %v", want.head.Number, trace.Told, told)
	case told == nil:
		if trace.Detail == "" {
			t.Errorf("tick %d: trace does not say why nothing is told", want.head.Number)
		}
	case trace.Told.Closure != told.Closure || trace.Rollout == nil || trace.Rollout.Hash.String() != want.set.channels[told.Channel] ||
		trace.Fleet == nil || trace.Fleet.Hash.String() != want.set.of.hash || trace.Tick.Tick > want.head.Number:
		t.Errorf("tick %d: trace is %+v, the model tells %v", want.head.Number, trace, told)
	}
}

// TestReplayIsTheModels folds each log anew under trust in all keys: it comes to
// the model's set wherever trust had not taken anything.
func TestReplayIsTheModels(t *testing.T) {
	eachPast(t, func(t *testing.T, s *pasts, r *past.Reader) {
		if r.Policy.Trust == nil {
			return // a replay verifies
		}
		for range 4 {
			want := s.ticks[s.random.IntN(len(s.ticks))]
			report, err := r.Replay(t.Context(), want.head, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			if report.To.Seq != want.head.Seq || report.Ticks != want.head.Number {
				t.Errorf("folded %d ticks up to %s, want tick %d", report.Ticks, report.To, want.head.Number)
			}
			own := "none"
			if report.SetDigest != nil {
				own = report.SetDigest.String()
			}
			if report.OK() != (own == want.set.digest()) {
				t.Errorf("tick %d: equal is %v, folded is %s, the model held %s", want.head.Number, report.OK(), own, want.set.digest())
			}
			if report.OK() && want.set != nil {
				again, err := r.Replay(t.Context(), want.head, &past.Other{SetDigest: report.SetDigest}, nil)
				if err != nil || !again.OK() {
					t.Errorf("compared with itself: %+v, %v", again.State, err)
				}
			}
		}
	})
}

// TestOwnTrustDecides looks back under trust in one of the two keys only: what
// the other signed is refused by name, and nothing of it is shown as verified.
func TestOwnTrustDecides(t *testing.T) {
	eachPast(t, func(t *testing.T, s *pasts, r *past.Reader) {
		if r.Policy.Trust == nil {
			return
		}
		s.world.trust = trust{keys: []int{0}}
		half, err := manifest.ParseTrust(s.world.trustFile())
		if err != nil {
			t.Fatal(err)
		}
		own := &past.Reader{Log: s.log, Policy: manifest.Policy{Trust: half, Window: window}}
		sets := make([]*modelSet, len(s.ticks)) // that such a reader shows
		for n, held := range s.ticks {
			if held.set == nil || held.set.of.signer != 0 {
				continue
			}
			sets[n] = &modelSet{of: held.set.of, channels: map[string]string{}}
			for channel, hash := range held.set.channels {
				if held.set.of.signers[channel] == 0 {
					sets[n].channels[channel] = hash
				}
			}
			set, err := own.Set(t.Context(), s.at(fmt.Sprintf("tick:%d", n+1)))
			if err != nil {
				t.Fatalf("tick %d: %v", n+1, err)
			}
			digest, _ := heldBy(set)
			refused := len(held.set.channels) - len(sets[n].channels)
			if digest != sets[n].digest() || len(set.Refused) != refused || (set.LogDigest != nil) != (refused > 0) || !set.Verified {
				t.Errorf("tick %d: shows %s, refuses %v, log digest %v; want %s and %d refused", n+1, digest, set.Refused, set.LogDigest, sets[n].digest(), refused)
			}
		}
		for n, held := range s.ticks {
			var refused *manifest.Rejection
			_, err := own.Set(t.Context(), s.at(fmt.Sprintf("tick:%d", n+1)))
			if other := held.set != nil && held.set.of.signer != 0; errors.As(err, &refused) != other {
				t.Errorf("tick %d: %v, the other key signed its fleet: %v", n+1, err, other)
			}
			s.ticks[n].set = sets[n]
		}
		last := s.at("")
		checkHistory(t, s, own, past.Span{Last: last}, 0)
		for n := range s.ticks {
			if n%20 == 0 {
				checkHostHistory(t, s, own, past.Span{After: s.at(fmt.Sprintf("tick:%d", n+1)), Last: last}, 1)
			}
		}
	})
}
