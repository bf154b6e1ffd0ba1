package audit_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"fleetlog/consumers/audit"
	"fleetlog/consumers/bundle"
	"fleetlog/consumers/check"
	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/manifest"
)

// made is when the pages of the tests are made.
var made = time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)

// written is the page of a report.
func written(t testing.TB, report *audit.Report, timeline *audit.Timeline) string {
	t.Helper()
	var b bytes.Buffer
	must(t, audit.Page{Report: report, Timeline: timeline, Made: made}.Write(&b))
	return b.String()
}

// handedOver is the sample with one more tick, by another writer.
func handedOver(t testing.TB) (*sample, check.Part) {
	t.Helper()
	s := readSample(t)
	fleet, err := events.ParseFleetName("prod")
	must(t, err)
	opening, writers, err := events.ReadOpening(fleet, s.messages[0].Message, nil)
	must(t, err)
	chain := events.NewChain(fleet, writers, opening)
	var last *events.Tick
	for _, m := range s.messages[1:] {
		tick, _, err := chain.Push(m.Seq, m.Message)
		must(t, err)
		if tick != nil {
			last = tick
		}
	}
	writer, err := events.NewWriter(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, 32)))
	must(t, err)
	messages, err := events.Compose(
		events.Base{Fleet: fleet, Head: last.Head, Last: last.Findings, LastVerified: last.Findings},
		events.Draft{
			Tick: "019b7722-0000-7000-8000-000000000001", Time: last.Head.Time + 30_000, Findings: last.Findings,
			Set: last.Completed.Set, Floor: last.Completed.Floor, Interval: 30 * time.Second,
		}, events.Terms{Writer: writer, RestateEvery: time.Hour}, last.Head.Seq+1)
	must(t, err)
	for i, m := range messages {
		s.messages = append(s.messages, eventlog.Stored{Seq: last.Head.Seq + 1 + uint64(i), Message: m})
	}
	return s, check.Part{
		Fleet: fleet, Writers: append(slices.Clone(writers), writer.Public()), Opening: opening, Before: opening,
		End: uint64(len(s.messages)),
	}
}

// everything is the page of a log in which everything happens.
func everything(t testing.TB) (string, *audit.Report, *audit.Timeline) {
	t.Helper()
	s, part := handedOver(t)
	var w bytes.Buffer
	must(t, bundle.Write(t.Context(), &w, s, bundle.Contents{Part: part, Trust: s.trusts, Streams: []string{}}))
	b, err := bundle.Open(t.Context(), bytes.NewReader(w.Bytes()), int64(w.Len()))
	must(t, err)
	files, err := b.Trust()
	must(t, err)
	timeline := new(audit.Timeline)
	report, err := audit.Bundle(t.Context(), b, part.Writers, audit.Options{Options: check.Options{
		Trust: trustOf(t, files), Policy: manifest.Policy{Window: 3600}, Observe: timeline.Observe,
	}, WritersGiven: true, TrustOfBundle: true})
	must(t, err)
	return written(t, report, timeline), report, timeline
}

// TestPage is the page of a log in which everything happens: every word, every
// section, the same bytes each time.
func TestPage(t *testing.T) {
	page, report, timeline := everything(t)
	golden(t, "page.html", page)
	if again := written(t, report, timeline); again != page {
		t.Error("written again, the page is another one")
	}
	if report.Verdict != audit.Clean {
		t.Errorf("the log is not clean: %+v", report.Findings)
	}
	for _, word := range []string{"verified", "carried", "refused", "notserved", "mismatch", "idle", "removed", "skipped", "outage"} {
		if !strings.Contains(page, `<rect class="b-`+word+`" x=`) {
			t.Errorf("nothing stands as %s", word)
		}
	}
	if n := strings.Count(page, ">ticks</th>"); n != 2 {
		t.Errorf("%d writers are named, want two", n)
	}
	wellFormed(t, page)
	closed(t, page)
}

// wellFormed reads the page as XML, which it is at the same time.
func wellFormed(t *testing.T, page string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(page))
	d.Entity = xml.HTMLEntity
	ids, open := map[string]bool{}, 0
	var targets []string
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("the page is not well formed: %v", err)
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		open++
		for _, a := range start.Attr {
			switch a.Name.Local {
			case "id":
				if ids[a.Value] {
					t.Errorf("two elements are %q", a.Value)
				}
				ids[a.Value] = true
			case "href", "aria-labelledby":
				targets = append(targets, strings.TrimPrefix(a.Value, "#"))
			}
		}
	}
	for _, target := range targets {
		if !ids[target] {
			t.Errorf("a link goes to %q, which is not there", target)
		}
	}
	if open < 30 {
		t.Errorf("the page has %d elements", open)
	}
}

var (
	styleOf = regexp.MustCompile(`(?s)<style>(.*)</style>`)
	hashOf  = regexp.MustCompile(`style-src (?:'|&#39;)sha256-([^'&]*)(?:'|&#39;)`)
	outer   = regexp.MustCompile(`(?i)<script|<link|<img|<iframe|<object|<embed|<base|<form|@import|javascript:|https?:|[\s"']on[a-z]+\s*=|[\s"']style\s*=|[\s"']src\s*=`)
)

// closed demands that the page loads and runs nothing, and that its policy lets
// its own style through and nothing else.
func closed(t *testing.T, page string) {
	t.Helper()
	if found := outer.FindString(page); found != "" {
		t.Errorf("the page holds %q", found)
	}
	style, hash := styleOf.FindStringSubmatch(page), hashOf.FindStringSubmatch(page)
	if style == nil || hash == nil {
		t.Fatal("the page has no style, or no policy for it")
	}
	sum := sha256.Sum256([]byte(style[1]))
	if want := base64.StdEncoding.EncodeToString(sum[:]); strings.ReplaceAll(hash[1], "&#43;", "+") != want {
		t.Errorf("the policy is for a style with hash %s, it is %s", hash[1], want)
	}
	if !strings.Contains(page, "default-src 'none'") && !strings.Contains(page, "default-src &#39;none&#39;") {
		t.Error("the policy lets something through")
	}
}
