package check_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"fleetlog/consumers/check"
	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/manifest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

// TestEveryPart checks every part of a log: it begins at a statement, ends at the
// tick that was asked for, and nothing is found in it.
func TestEveryPart(t *testing.T) {
	s := newScene(t)
	s.live(someHosts)
	point := func(number int) *eventlog.Point {
		if number == 0 {
			return nil
		}
		p := eventlog.PointOfNumber(uint64(number))
		return &p
	}
	trust, err := manifest.ParseTrust(bothKeys(t))
	must(t, err)
	for from := range liveTicks + 1 {
		for to := max(from, 1); to <= liveTicks+1; to++ {
			part, err := check.Between(t.Context(), s.log, point(from), point(to%(liveTicks+1)))
			must(t, err)
			report, err := check.Read(t.Context(), check.OnBroker(s.log), part, check.Options{
				Trust: check.Trust{{Trust: trust}}, Policy: manifest.Policy{Window: window},
			})
			must(t, err)
			last := min(to, liveTicks)
			if report.Found > 0 || report.Unjudged > 0 || report.Head.Number != uint64(last) || from > 0 && report.First.Number > uint64(from) {
				t.Errorf("%d to %d: ticks %d to %d, %+v", from, to, report.First.Number, report.Head.Number, report.Findings)
			}
			if first := report.First.Completed; first.Index == 0 || first.Statement.FirstSeq != part.Before.Seq+1 {
				t.Errorf("%d to %d: begins at %d with %+v", from, to, part.Before.Seq+1, first.Statement)
			}
		}
	}
	_, err = check.Between(t.Context(), s.log, point(3), point(2))
	if err == nil {
		t.Error("a part that ends before it begins is one")
	}
}

// claim stores what anybody may store who knows the log: the next tick, signed by
// nobody.
func (s *scene) claim() {
	s.t.Helper()
	end, err := s.log.LastSequence(s.t.Context())
	must(s.t, err)
	head := s.ticks[len(s.ticks)-1].Head
	m, err := s.log.Message(s.t.Context(), head.Seq)
	must(s.t, err)
	event, err := events.Decode(m.Body)
	must(s.t, err)
	next := event.(*events.TickCompleted)
	next.Tick, next.Number, next.Index = uuid.Must(uuid.NewV7()).String(), head.Number+1, 0
	next.Seq, next.Previous, next.Stated, next.New = end+1, head.Digest, events.Unchanged, false
	body, err := events.Encode(next)
	must(s.t, err)
	header := maps.Clone(m.Header)
	header["ce-id"] = []string{next.Tick + ".0"}
	header[events.SignatureHeader] = []string{base64.StdEncoding.EncodeToString(make([]byte, 64))}
	s.publish(events.Message{Subject: m.Subject, Header: header, Body: body})
}

// TestClaims: where somebody has claimed the place of a tick, the one that was
// signed counts, also when signatures are looked at only where they must be.
func TestClaims(t *testing.T) {
	for _, every := range []bool{false, true} {
		s := newScene(t)
		s.sign(6, 2)
		s.tick()
		for range 3 {
			s.claim()
			s.tick()
		}
		report, err := check.Check(t.Context(), s.log, check.Options{EverySignature: every})
		must(t, err)
		if report.Found > 0 || report.Ticks != 4 || report.Noise != 3 {
			t.Errorf("every signature %v: %+v", every, report)
		}
	}
}

// TestWriters: a second writer may go on, and its first signature is looked at.
func TestWriters(t *testing.T) {
	s := newScene(t)
	s.sign(6, 2)
	s.tick()
	s.tick()
	second := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, 32))
	writer, err := events.NewWriter(second)
	must(t, err)
	keys := append(s.log.Writers(), writer.Public())
	place := s.place()
	place.Writers = keys
	log, err := eventlog.Open(t.Context(), s.nc, place)
	must(t, err)
	appender, err := log.NewWriter(t.Context(), func(uint64, uint64) {})
	must(t, err)
	changed := s.now.Add(30 * time.Second)
	for n := range 2 {
		_, err = appender.Append(t.Context(), func(base events.Base, first uint64) ([]events.Message, error) {
			return events.Compose(base, events.Draft{
				Tick: uuid.Must(uuid.NewV7()).String(), Time: events.TimeOf(changed.Add(time.Duration(n) * time.Second)),
				Set: base.Head.Completed.Set, Floor: base.Head.Floor(), Interval: 30 * time.Second,
				Findings: []events.Finding{&events.FleetRejected{Stage: events.StageFetch, Reason: events.Timeout}},
			}, events.Terms{Writer: writer, RestateEvery: time.Hour}, first)
		})
		must(t, err)
	}
	times := func(until, from time.Time) []check.Writer {
		return []check.Writer{{Key: keys[0], Until: until}, {Key: keys[1], From: from}}
	}
	for _, c := range []struct {
		name    string
		writers []check.Writer
		want    int
	}{
		{"at all times", nil, 0},
		{"one after the other", times(changed, changed), 0},
		{"the first not long enough", times(s.now, changed), 1},
		{"the second too early", times(changed, changed.Add(time.Second)), 1},
	} {
		report, err := check.Check(t.Context(), log, check.Options{Writers: c.writers})
		must(t, err)
		if len(report.Findings) != c.want || report.Ticks != 4 || report.Signatures != 2 {
			t.Errorf("%s: %+v", c.name, report)
		}
	}
}

// TestOutages tells when no tick was recorded.
func TestOutages(t *testing.T) {
	s := newScene(t)
	s.sign(6, 2)
	s.tick()
	s.now = s.now.Add(30 * time.Second) // one late tick is none
	s.tick()
	s.now = s.now.Add(10 * time.Minute)
	s.tick()
	report := s.check("")
	want := []check.Outage{{
		From: s.ticks[1].Head.Time, To: s.ticks[2].Head.Time, Tick: 3, Seq: s.ticks[2].Head.Seq, Missed: 20,
	}}
	if diff := cmp.Diff(want, report.Outages); diff != "" || report.Missed != 20 || report.OutageCount != 1 {
		t.Errorf("outages (-want +got):\n%s", diff)
	}
}

// TestExpectedAndFound: what was expected and what was found is told apart.
func TestExpectedAndFound(t *testing.T) {
	s := newScene(t)
	s.live(someHosts)
	r := s.record().copied()
	digest := manifest.Sum(r.events[r.seq(tickUnchanged)-1].Body)
	r.replace(r.seq(tickUnchanged), `"intervalMs":30000`, `"intervalMs":30001`)
	got := r.check(check.Options{}).Findings
	want := []check.Finding{{
		Code: check.CodeChain, Seq: r.seq(tickUnchanged), Tick: 2,
		Expected: digest.String(), Found: manifest.Sum(r.events[r.seq(tickUnchanged)-1].Body).String(),
	}}
	for i := range got {
		if !strings.Contains(got[i].Detail, fmt.Sprintf("expected SHA-256 %s, found %s", got[i].Expected, got[i].Found)) {
			t.Errorf("detail is %q", got[i].Detail)
		}
		got[i].Detail = ""
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}
