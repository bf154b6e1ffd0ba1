package check

import (
	"time"

	"fleetlog/events"
)

// Outage is a time in which ticks were due and none was recorded.
type Outage struct {
	From   events.Time   `json:"from"` // the last tick before it
	To     events.Time   `json:"to"`   // the first one behind it
	Tick   uint64        `json:"tick"` // its number
	Seq    uint64        `json:"seq"`
	Missed uint64        `json:"missed"`          // ticks: as the writer says, else as the interval tells
	Reason events.Reason `json:"reason,omitzero"` // that the writer gives; absent: no poller was at work
}

// OutageBetween is what was missed between two ticks that follow each other; nil:
// nothing was. Silence counts from two intervals on: a slow tick skips one.
func OutageBetween(before, tick events.Head) *Outage {
	o := Outage{From: before.Time, To: tick.Time, Tick: tick.Number, Seq: tick.Seq}
	interval := time.Duration(tick.Completed.IntervalMs) * time.Millisecond
	silence := tick.Time.Time().Sub(before.Time.Time())
	switch missed := tick.Completed.Missed; {
	case missed != nil:
		o.Missed, o.Reason = missed.Ticks, missed.Reason
	case before.Completed == nil || interval <= 0 || silence <= 2*interval || before.Number+1 != tick.Number:
		return nil
	default:
		o.Missed = uint64(silence/interval) - 1
	}
	return &o
}

// outage takes note of what was missed between two ticks.
func (r *Report) outage(before, tick events.Head) *Outage {
	o := OutageBetween(before, tick)
	if o == nil {
		return nil
	}
	r.Missed += o.Missed
	r.OutageCount++
	if len(r.Outages) < maxKept {
		r.Outages = append(r.Outages, *o)
	}
	return o
}
