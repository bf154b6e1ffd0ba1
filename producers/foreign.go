package producers

import "github.com/sirupsen/logrus"

// noise alarms of messages in the log that are part of no tick.
func (p *Poller) noise(first, count uint64) {
	p.Log.WithFields(logrus.Fields{"messages": count, "seq": first}).
		Warn("foreign messages in the log, part of no tick: someone else publishes into it, or the server has stored a tick in part")
}

// stored is what this process knows of the artifacts stream.
type stored struct {
	end uint64          // at the last look; 0: not known
	own map[uint64]bool // put there since
}

// put takes note of parts that are this poller's, and of which some may have been
// there.
func (s *stored) put(parts []uint64) {
	if s.own == nil {
		s.own = make(map[uint64]bool)
	}
	for _, seq := range parts {
		if seq > s.end {
			s.own[seq] = true
		}
	}
}

// forget leaves out what is there already: it may be this poller's, whose answer
// was lost, or another poller's.
func (s *stored) forget() { *s = stored{} }

// look tells how many messages up to end are not this poller's, and where the
// first one is.
func (s *stored) look(end uint64) (first, count uint64) {
	before, own := s.end, s.own
	s.end, s.own = end, nil
	if before == 0 || end <= before+uint64(len(own)) {
		return 0, 0
	}
	first = before + 1
	for own[first] {
		first++
	}
	return first, end - before - uint64(len(own))
}

// lookAtArtifacts alarms of foreign messages in the artifacts stream, which no
// event names and nobody reads.
func (p *Poller) lookAtArtifacts(end uint64) {
	if first, count := p.stored.look(end); count > 0 {
		p.Log.WithFields(logrus.Fields{"messages": count, "seq": first}).
			Warn("foreign messages in the artifacts stream: someone else publishes into it, or another poller is at work")
	}
}
