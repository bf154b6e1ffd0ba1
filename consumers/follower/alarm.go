package follower

import (
	"fmt"

	"fleetlog/consumers/fold"
	"fleetlog/events"

	"github.com/sirupsen/logrus"
)

// alarms is what was said about the log, and what would have to be said with
// it.
type alarms struct {
	reasons  logrus.Fields // why the last statement's set may be another than the writer's, by both
	told     string        // the two sets that the last alarm was about
	diverged uint64        // ticks, while catching up
	noise    uint64        // messages
}

// judge takes note of how the reducer's set compares with the writer's: an alarm
// on the newest ticks, a count while catching up. The own verdict stands.
func (f *folding) judge(tick *events.Tick, v fold.Verdict) {
	if len(tick.Findings) > 0 {
		f.alarms.reasons = reasons(tick, v)
	}
	switch {
	case f.live:
		f.alarm()
	case v.Diverged && !f.retained:
		f.alarms.diverged++
	}
}

// alarm says once that the newest set is not the one that the writer holds.
func (f *folding) alarm() {
	if f.head.Completed == nil {
		return
	}
	own, writers, diverged := f.state.Compare(f.head.Completed)
	if !diverged {
		f.alarms.told = ""
		return
	}
	sets := fmt.Sprintf("%v %v", own, writers)
	if sets == f.alarms.told {
		return
	}
	f.alarms.told = sets
	f.count(Divergence, 1)
	f.Log.WithFields(f.alarms.reasons).WithFields(logrus.Fields{
		"tick": f.head.Number, "seq": f.head.Seq, "own": own, "writer": writers,
	}).Error("own set is not the one that the writer holds")
}

// reasons are why this reducer and the writer refused what they refused.
func reasons(tick *events.Tick, v fold.Verdict) logrus.Fields {
	fields := logrus.Fields{}
	if v.Fleet != nil {
		fields["own fleet"] = v.Fleet.Error()
	}
	for channel, err := range v.Channels {
		fields["own "+channel] = err.Error()
	}
	for _, f := range tick.Findings {
		switch f := f.(type) {
		case *events.FleetRejected:
			fields["writer fleet"] = f.Reason
		case *events.RolloutRejected:
			fields["writer "+f.Channel] = f.Reason
		case *events.CrossCheckFailed:
			fields["writer "+f.Channel] = f.Check
		}
	}
	return fields
}

// caughtUpWith says what there was to say about the ticks up to here.
func (f *folding) caughtUpWith() {
	if f.alarms.diverged > 0 {
		f.Log.WithField("ticks", f.alarms.diverged).Warn("while catching up, own set differed from the writer's")
	}
	f.alarms.diverged = 0
	f.alarm()
}

func (f *folding) reportNoise(noise []events.Noise) {
	if len(noise) == 0 {
		return
	}
	f.alarms.noise += uint64(len(noise))
	f.count(Noise, len(noise))
	first := noise[0]
	f.Log.WithFields(logrus.Fields{
		"seq": first.Seq, "subject": first.Subject, "messages": len(noise), "total": f.alarms.noise,
	}).Warnf("noise in the log, not applied: %v", first.Why)
}
