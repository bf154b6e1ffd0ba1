// Package upgrade lets two builds, the previous one and today's, take turns on one
// log and one state directory. It needs git and the project's history.
package upgrade

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// previous is the commit of the build that today's takes over from: there is no
// older release.
const previous = "ce15bd48667f78e707e379c9670834217bbd4ace"

// TestUpgradeAndDowngrade: today's programs go on where the previous ones stopped,
// and those again behind them. Poller and reducer are changed in turns, so that
// each reads what the other build has written. No reducer folds anew, and the log
// stays one chain.
func TestUpgradeAndDowngrade(t *testing.T) {
	s := newScene(t)
	turns := []struct{ writes, reads, release, as string }{
		{"previous", "previous", "medium-composite", "begin"},
		{"previous", "today", "medium-composite", "same"}, // the reducer is upgraded first
		{"today", "today", "next-composite", "other"},
		{"today", "previous", "next-composite", "same"},
		{"today", "previous", "spoilt", "other"}, // what a downgraded reducer must understand
		{"previous", "previous", "next-composite", "other"},
		{"previous", "today", "next-composite", "same"}, // upgraded again
	}
	var before string
	for i, turn := range turns {
		s.poll(turn.writes, turn.release)
		if turn.release != "spoilt" {
			s.poll(turn.writes, turn.release) // with nothing new
		}
		now := s.fold(turn.reads)
		if changed := now != before; changed != (turn.as != "same") {
			t.Errorf("turn %d: set %s, before %s, want %s", i+1, now, before, turn.as)
		}
		before = now
	}
	ticks := 2*len(turns) - 1
	s.run("today", "fleetlog", "audit", "--to", fmt.Sprintf("tick:%d", ticks))
	s.run("today", "fleetlog", "fsck", s.path("state"))
	if kept, err := filepath.Glob(s.path("state/quarantine/*")); err != nil || len(kept) > 0 {
		t.Errorf("set aside: %v, %v", kept, err)
	}
}

// poll records one tick of the release.
func (s *scene) poll(build, release string) {
	s.t.Helper()
	want := 0
	if release == "spoilt" {
		want = 1 // recorded, but not all in order
	}
	code, said := s.try(build, "poller", "once", "--release-dir", s.path("releases/"+release+"/releases"))
	if code != want {
		s.t.Fatalf("poller of the %s build: exit status %d, want %d:\n%s", build, code, want, said)
	}
}

var (
	digest = regexp.MustCompile(`"digest":\s*"([0-9a-f]{64})"`)
	alarm  = regexp.MustCompile(`folding the log anew|level=(?:warning|error)`)
)

// fold has a reducer go on from the state to the log's end. It returns the digest
// of the set in its checkpoint.
func (s *scene) fold(build string) string {
	s.t.Helper()
	said := s.follow(build)
	if alarm.MatchString(said) {
		s.t.Errorf("reducer of the %s build says:\n%s", build, said)
	}
	text, err := os.ReadFile(s.path("state/checkpoint.json"))
	if err != nil {
		s.t.Fatal(err)
	}
	match := digest.FindSubmatch(text)
	if match == nil {
		s.t.Fatalf("no set in checkpoint %s", text)
	}
	return string(match[1])
}
