package audit_test

import (
	"fmt"
	"html"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"fleetlog/consumers/audit"
	"fleetlog/consumers/check"
	"fleetlog/events"
	"fleetlog/manifest"
)

// story makes ticks one after the other, as a checker tells them.
type story struct {
	timeline *audit.Timeline
	tell     func(*events.Tick, *check.Outage)
	now      time.Time
	number   uint64
	seq      uint64
	last     *events.TickCompleted
}

func newStory() *story {
	timeline := new(audit.Timeline)
	return &story{timeline: timeline, tell: timeline.Observe(), now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
}

// tick tells a tick a while after the last one; without findings it repeats.
func (s *story) tick(after time.Duration, findings ...events.Finding) {
	s.now = s.now.Add(after)
	s.number++
	s.seq += uint64(len(findings)) + 1
	t := &events.TickCompleted{Seq: s.seq, Outcome: events.Verified}
	t.Tick, t.Number, t.Time, t.Index = fmt.Sprint("tick-", s.number), s.number, events.TimeOf(s.now), len(findings)
	t.Statement.Tick = t.Tick
	switch {
	case len(findings) > 0:
		if _, ok := findings[0].(*events.FleetRejected); ok {
			t.Outcome = events.Skipped
			t.Set = s.last.Set
		} else {
			t.Set = &events.SetReference{Tick: t.Tick, Digest: manifest.Sum([]byte(t.Tick))}
		}
	case s.last != nil:
		t.Statement, t.Set, t.Outcome = s.last.Statement, s.last.Set, s.last.Outcome
	}
	s.last = t
	s.tell(&events.Tick{
		Findings: findings, Completed: t,
		Head: events.Head{Seq: t.Seq, Tick: t.Tick, Number: t.Number, Time: t.Time, Completed: t},
	}, nil)
}

// lost tells a tick whose findings could not be read.
func (s *story) lost(after time.Duration) {
	s.tick(after, fleet(0))
	s.now = s.now.Add(after)
	s.number++
	t := *s.last
	t.Tick, t.Number, t.Time, t.Index = "lost", s.number, events.TimeOf(s.now), 1
	t.Statement.Tick = t.Tick
	s.last = &t
	s.tell(&events.Tick{Completed: &t, Head: events.Head{Seq: s.seq, Tick: t.Tick, Number: t.Number, Time: t.Time, Completed: &t}}, nil)
}

// page is what the story looks like.
func (s *story) page(t testing.TB) string {
	t.Helper()
	name, err := events.ParseFleetName("prod")
	must(t, err)
	return written(t, &audit.Report{
		Verdict: audit.Clean, Source: "log", Fleet: name, Lineage: "0f0f0f0f-1111-4222-8333-444444444444",
		Read: audit.Read{Ticks: s.number}, Checks: []audit.Performed{{Name: "chain", Ran: true, OK: true}},
	}, s.timeline)
}

func fleet(n int) events.Finding {
	return &events.FleetFetched{FleetHash: manifest.Sum(fmt.Append(nil, "fleet", n)), Artifact: events.Artifact{Algorithm: "ed25519", Key: "fleet key"}}
}

func rollout(channel string, n int) *events.RolloutVerified {
	return &events.RolloutVerified{
		Channel: channel, RolloutID: fmt.Sprintf("%s@%040x", channel, n), ManifestHash: manifest.Sum(fmt.Append(nil, channel, n)),
		Artifact: events.Artifact{Algorithm: "ed25519", Key: fmt.Sprint("rollout key ", n%2)},
	}
}

func rejected(channel string, reason events.Reason, detail string) events.Finding {
	return &events.RolloutRejected{Channel: channel, Stage: events.StageVerify, Reason: reason, Detail: detail}
}

// says demands that the page holds each text.
func says(t *testing.T, page string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(page, text) {
			t.Errorf("the page does not say %q", text)
		}
	}
}

// TestRepeatedTicks last as long as what they repeat, and count.
func TestRepeatedTicks(t *testing.T) {
	s := newStory()
	s.tick(0, fleet(1), rollout("edge", 1))
	s.tick(time.Minute)
	s.tick(time.Minute, fleet(1), rollout("edge", 1)) // written out again
	s.tick(time.Minute)
	s.tick(time.Minute, fleet(1), rejected("edge", "BadSignature", "first"))
	s.tick(time.Minute)
	s.tick(time.Minute, fleet(1), rollout("edge", 1))
	s.tick(time.Minute, fleet(1), rejected("edge", "BadSignature", "second"))
	s.tick(time.Minute)
	page := s.page(t)
	says(t, page,
		`aria-label="edge: verified 62.5 % · refused 37.5 %"`, `aria-label="the fleet: verified 100 %"`,
		`<title>verified, edge@0000000000000000000000000000000000000001: 2026-01-01 00:00:00 to 2026-01-01 00:04:00 (4 min 0 s)</title>`,
		`<td class="count" data-label="Times">2</td><td class="count" data-label="Ticks">4</td><td class="long" data-label="Said last"><span>second</span></td>`,
		`5 changes`, `data-label="Last">2026-01-01 00:06:00</td><td class="count" data-label="Ticks">5</td>`,
	)
	wellFormed(t, page)
}

// TestSkippedTicks are of the fleet: channels stay as they were.
func TestSkippedTicks(t *testing.T) {
	s := newStory()
	s.tick(0, fleet(1), rollout("edge", 1), rejected("stable", "Stale", ""))
	s.tick(time.Minute, &events.FleetRejected{Stage: events.StageFetch, Reason: events.Timeout})
	s.tick(time.Minute)
	says(t, s.page(t), `aria-label="the fleet: verified 50 % · skipped 50 %"`, `aria-label="edge: verified 100 %"`, `aria-label="stable: refused 100 %"`)
}

// TestTrustTakes a channel from the set while nothing is stated.
func TestTrustTakes(t *testing.T) {
	s := newStory()
	s.tick(0, fleet(1), rollout("edge", 1), rollout("stable", 1))
	s.tick(time.Minute, &events.FleetRejected{Stage: events.StageFetch, Reason: events.Timeout})
	set := *s.last.Set
	set.Without, set.Digest = []string{"edge"}, manifest.Sum([]byte("less"))
	s.last.Set = &set
	s.tick(time.Minute)
	s.tick(time.Minute)
	page := s.page(t)
	says(t, page, `aria-label="edge: verified 66.67 % · refused 33.33 %"`, `aria-label="stable: verified 100 %"`, `<dt>Uncovered</dt>`)
}

// TestUnreadTicks are not taken for what was before.
func TestUnreadTicks(t *testing.T) {
	s := newStory()
	s.lost(time.Minute)
	s.tick(time.Minute)
	s.tick(time.Minute, fleet(0))
	s.tick(time.Minute)
	page := s.page(t)
	says(t, page, `aria-label="the fleet: verified 50 % · not readable 50 %"`, `1 change:`)
}

// TestUnlisted channels are removed, whether that is said or not.
func TestUnlisted(t *testing.T) {
	s := newStory()
	s.tick(0, fleet(1), rollout("edge", 1), rollout("stable", 1))
	s.tick(time.Minute, fleet(1), rollout("edge", 1))
	s.tick(time.Minute, fleet(1), &events.ChannelIdle{Channel: "edge", Reason: events.Removed})
	s.tick(2 * time.Minute)
	says(t, s.page(t), `aria-label="edge: verified 50 % · removed 50 %"`, `aria-label="stable: verified 25 % · removed 75 %"`)
}

// TestOutage is seen in every row, and what was before goes on behind it.
func TestOutage(t *testing.T) {
	s := newStory()
	s.tick(0, fleet(1), rollout("edge", 1), rollout("stable", 1))
	before := s.now
	s.now = s.now.Add(8 * time.Minute)
	told := s.tell
	s.tell = func(tick *events.Tick, _ *check.Outage) {
		told(tick, &check.Outage{From: events.TimeOf(before), To: tick.Head.Time, Tick: tick.Head.Number, Reason: events.BrokerUnavailable})
	}
	s.tick(0, fleet(1), rollout("edge", 1), rejected("stable", "Stale", ""))
	s.tell = told
	s.tick(2 * time.Minute)
	says(t, s.page(t),
		`aria-label="the fleet: verified 20 % · outage 80 %"`, `aria-label="edge: verified 20 % · outage 80 %"`,
		`aria-label="stable: refused 20 % · outage 80 %"`, `<title>outage, BrokerUnavailable: `)
}

// TestObserve is told a log anew whose signatures must be looked at one by one.
func TestObserve(t *testing.T) {
	s, part := handedOver(t)
	s.messages = s.messages[:len(s.messages)-1]
	end := &s.messages[len(s.messages)-1]
	end.Header["nixfleet-signature"] = []string{strings.Repeat("A", 86) + "=="}
	readings := [][]uint64{}
	part.End = 0
	_, err := check.Read(t.Context(), s, part, check.Options{Observe: func() func(*events.Tick, *check.Outage) {
		readings = append(readings, nil)
		return func(tick *events.Tick, _ *check.Outage) {
			numbers := &readings[len(readings)-1]
			*numbers = append(*numbers, tick.Head.Number)
		}
	}})
	must(t, err)
	if len(readings) != 2 {
		t.Fatalf("the log was read %d times", len(readings))
	}
	for i, number := range readings[1] {
		if number != uint64(i)+1 {
			t.Errorf("tick %d was told as the %dth", number, i+1)
		}
	}
	if n := len(readings[1]); n != 21 {
		t.Errorf("%d ticks were told, want 21", n)
	}
}

// TestHostileTexts are texts: whatever a channel is called, and whatever is said
// of it.
func TestHostileTexts(t *testing.T) {
	names := []string{
		"<script>alert(1)</script>", `"><svg onload=alert(1)>`, "' onmouseover='alert(1)", "</title></style><b>", "{{.Report}}", "&lt;b&gt;",
		"\u202ereversed", "a\nb", "", " ", "the fleet", "]]>", "<!--", "javascript:alert(1)",
	}
	s := newStory()
	findings := []events.Finding{fleet(1)}
	for i, name := range names {
		if i%2 == 0 {
			findings = append(findings, rejected(name, events.Reason("<i>"+name), "</td><script>"+name))
			continue
		}
		r := rollout(name, 1)
		r.ChannelRef, r.Artifact.Key, r.Artifact.Algorithm = "<script>", "<script src=x>", "<b>"
		findings = append(findings, r)
	}
	s.tick(0, findings...)
	s.tick(time.Minute)
	page := s.page(t)
	wellFormed(t, page)
	for _, text := range []string{"<script", "<svg onload", "<b>", "<i>", "\u202e"} {
		if strings.Contains(page, text) {
			t.Errorf("the page holds %q as it is", text)
		}
	}
	says(t, page,
		html.EscapeString(`<script>alert(1)</script>`), html.EscapeString(`"\u202ereversed"`), html.EscapeString(`"a\nb"`),
		`<span class="name code">&#34;&#34;</span>`, `<span class="name code">the fleet</span>`, `{{.Report}}`)
}

// lastChange is the tick of the last change on the page, which lists them in
// order.
func lastChange(t *testing.T, page string) (last int) {
	t.Helper()
	for _, found := range regexp.MustCompile(`data-label="Tick">([0-9]+)<`).FindAllStringSubmatch(page, -1) {
		tick, err := strconv.Atoi(found[1])
		must(t, err)
		if tick < last {
			t.Errorf("a change at tick %d is behind one at tick %d", tick, last)
		}
		last = tick
	}
	return last
}

// TestPageIsBounded by what it may hold, not by what happened.
func TestPageIsBounded(t *testing.T) {
	s := newStory()
	const changes, channels = 10_000, 250
	for n := range changes / 10 {
		findings := []events.Finding{fleet(n / 50)}
		for c := range channels {
			name := fmt.Sprintf("channel-%03d", c)
			switch {
			case c < 10:
				findings = append(findings, rollout(name, n))
			case c == 10 && n%2 == 1:
				findings = append(findings, rejected(name, events.Reason(fmt.Sprint("Reason", n)), strings.Repeat("x", 256)))
			default:
				findings = append(findings, rollout(name, 0))
			}
		}
		s.tick(525*time.Minute, findings...)
		s.tick(time.Minute)
	}
	page := s.page(t)
	if len(page) > 3<<20 || len(page) < 200<<10 {
		t.Errorf("the page has %d bytes", len(page))
	}
	wellFormed(t, page)
	says(t, page, `There were more channels than these`, ` here that this page has no room for`, `verified, refused: `, ` in turn`,
		`aria-label="channel-010: verified 50.05 % · refused 49.95 %"`,
		`channel-010</span><small><span class="word w-refused">refused</span> Reason999<`, `rollout key 0`, `the fleet</span> <small>19 parts`)
	if n := strings.Count(page, `data-label="Stands"`); n != 1000 {
		t.Errorf("%d changes are listed, want 1000", n)
	}
	if want, last := changes/10*2-1, lastChange(t, page); last != want {
		t.Errorf("the last change is at tick %d, want %d", last, want)
	}
	if n := strings.Count(page, `<title>`); n > 4100 {
		t.Errorf("%d parts are drawn", n)
	}
}
