package status

import (
	"context"
	"errors"
	"fmt"

	"fleetlog/eventlog"
	"fleetlog/events"
)

// nearlyFull is how many percent of a stream may be used before that is said.
const nearlyFull = 80

// StreamConfigDrift is the reason of a stream that would lose history.
const StreamConfigDrift = events.Reason("StreamConfigDrift")

// addStream asks the broker about both streams.
func (s *Status) addStream(ctx context.Context, log *eventlog.Log) error {
	usage, err := log.Usage(ctx)
	var drift *eventlog.DriftError
	if err != nil && (!errors.As(err, &drift) || usage == nil) {
		return err
	}
	kept := usage[1]
	s.Stream = &Stream{
		Name: usage[0].Stream, Lineage: log.Lineage(), LastSequence: usage[0].LastSequence, ArtifactLastSequence: kept.LastSequence,
		Bytes: usage[0].Bytes + kept.Bytes, MaxBytes: usage[0].MaxBytes + kept.MaxBytes, Replicas: usage[0].Replicas,
	}
	for _, u := range usage {
		if u.MaxBytes > 0 {
			s.Stream.UsedPercent = max(s.Stream.UsedPercent, int(100*u.Bytes/u.MaxBytes))
		}
	}
	p := Process{Name: Broker, State: Ready, Note: s.Stream.note()}
	switch {
	case err != nil:
		p.State, p.Reason, p.Note = Late, StreamConfigDrift, err.Error()
	case s.Stream.UsedPercent >= nearlyFull:
		p.State = Late
		p.Note += fmt.Sprintf(", %d%% of one stream is used", s.Stream.UsedPercent)
	}
	s.Processes = append(s.Processes, p)
	return nil
}

func (s *Stream) note() string {
	return fmt.Sprintf("%s, seq %d, %s of %s, lineage %.8s", s.Name, s.LastSequence, size(s.Bytes), size(s.MaxBytes), s.Lineage)
}

// size is so many bytes in few characters.
func size(n uint64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	f, unit := float64(n), 0
	for f >= 1024 && unit < len(units)-1 {
		f, unit = f/1024, unit+1
	}
	if f < 10 && unit > 0 && f != float64(int(f)) {
		return fmt.Sprintf("%.1f %s", f, units[unit])
	}
	return fmt.Sprintf("%.0f %s", f, units[unit])
}
