package fleetlog_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"fleetlog/events"
)

// model says in the plainest terms what a fleet's set and floor are. It shares
// no code with what it judges.
type model struct {
	set     *modelSet
	floor   time.Time
	hash    string // of the floor's fleet
	outcome events.Outcome
}

type modelSet struct {
	of       *generation
	channels map[string]string // manifest hash
	without  []string
}

// digest is written out by hand: all names here are plain ASCII.
func (s *modelSet) digest() string {
	if s == nil {
		return "none"
	}
	var parts []string
	for _, channel := range slices.Sorted(maps.Keys(s.channels)) {
		parts = append(parts, fmt.Sprintf("%q:%q", channel, s.channels[channel]))
	}
	sum := sha256.Sum256(fmt.Appendf(nil, `{"fleet":%q,"rollouts":{%s}}`, s.of.hash, strings.Join(parts, ",")))
	return hex.EncodeToString(sum[:])
}

// covers tells whether trust takes what the key signed at that time.
func (t trust) covers(key int, signedAt time.Time) bool {
	return slices.Contains(t.keys, key) && !signedAt.Before(t.rejectBefore)
}

// tick is one poll of the world.
func (m *model) tick(w *world) {
	m.outcome = events.Skipped
	if w.trust.invalid {
		return
	}
	before := m.set
	m.set = m.set.covered(w.trust)
	g := w.served
	age := w.now.Sub(g.fleet.SignedAt)
	switch {
	case w.fleetFault != "" || !w.trust.covers(g.signer, g.fleet.SignedAt):
		return
	case age > (window+60)*time.Second || age < -60*time.Second:
		return
	case g.fleet.SignedAt.Before(m.floor):
		return
	case g.fleet.SignedAt.Equal(m.floor) && m.hash != g.hash:
		return
	}
	set := &modelSet{of: g, channels: map[string]string{}}
	for _, channel := range g.channels {
		trusted := w.trust.covers(g.signers[channel], g.fleet.SignedAt)
		held := before != nil && before.channels[channel] == g.hashes[channel]
		switch fault := w.faults[channel]; {
		case fault == "" && trusted:
			set.channels[channel] = g.hashes[channel]
		case (fault == "missing" || fault == "foreign" && w.foreign(g.files[channel]).files == nil) && held && trusted:
			set.channels[channel] = g.hashes[channel] // carried
		}
	}
	m.set, m.floor, m.hash, m.outcome = set, g.fleet.SignedAt, g.hash, events.Verified
}

// covered is the set without what trust does not cover any more.
func (s *modelSet) covered(t trust) *modelSet {
	if s == nil || !t.covers(s.of.signer, s.of.fleet.SignedAt) {
		return nil
	}
	kept := &modelSet{of: s.of, channels: map[string]string{}, without: slices.Clone(s.without)}
	for channel, hash := range s.channels {
		if t.covers(s.of.signers[channel], s.of.fleet.SignedAt) {
			kept.channels[channel] = hash
		} else {
			kept.without = append(kept.without, channel)
		}
	}
	slices.Sort(kept.without)
	return kept
}
