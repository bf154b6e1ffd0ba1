package web_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"fleetlog/consumers/follower"
	"fleetlog/consumers/status"
	"fleetlog/consumers/view"
	"fleetlog/consumers/web"
	"fleetlog/events"
	"fleetlog/manifest"

	"golang.org/x/net/html"
)

func instant(t testing.TB, at time.Time) *manifest.Instant {
	t.Helper()
	var i manifest.Instant
	must(t, i.UnmarshalText([]byte(at.UTC().Format(time.RFC3339))))
	return &i
}

// stands is a status in which one channel is fresh, and another missing.
func stands(t testing.TB) web.Seen {
	t.Helper()
	now := events.TimeOf(epoch.Add(time.Hour))
	age, left := int64(3600), int64(7200)
	resolved := view.Resolved{Seq: 40, Tick: 12, Time: now}
	stable := "stable"
	return web.Seen{
		Status: status.Status{
			Health: status.Degraded, Fleet: "prod", Now: now, Verified: false, Resolved: &resolved,
			Processes: []status.Process{
				{Name: status.Poller, State: status.Late, Reason: "HTTPStatus", LastAttempt: &now, LastSuccess: &now, Note: "1 of 2 channels refused"},
				{Name: status.Broker, State: status.Ready},
			},
			Signed: &status.Channel{State: view.Fresh, SignedAt: instant(t, epoch), FreshUntil: instant(t, epoch.Add(3*time.Hour)), InSet: true},
			Channels: []status.Channel{
				{Name: "edge", State: view.Missing, Reason: "HTTPStatus", Detail: "404 Not Found"},
				{
					Name: stable, State: view.Fresh, Ref: "aaaa", RolloutID: "stable@a/b?c", InSet: true,
					SignedAt: instant(t, epoch), FreshUntil: instant(t, epoch.Add(3*time.Hour)), AgeSeconds: &age, ExpiresInSeconds: &left,
				},
			},
			Outages:  []status.Outage{{From: events.TimeOf(epoch), Ticks: 3, Skipped: true, Reason: "Timeout"}},
			Recent:   []status.Tick{{Resolved: resolved, Message: "edge is gone"}},
			Stream:   &status.Stream{Name: "nixfleet-prod-events", Lineage: "l", LastSequence: 40, Bytes: 2048, MaxBytes: 4096, Replicas: 1},
			Problems: map[string]string{},
		},
		Changes: []view.Change{{Resolved: resolved, Channel: &stable, Condition: view.Condition{State: view.Fresh, Event: "RolloutVerified"}}},
	}
}

// watched serves a reducer whose log says what look says.
func watched(t testing.TB, look web.Look, h *held) *httptest.Server {
	t.Helper()
	s := server(h, epoch.Add(time.Hour))
	s.Fleet, s.Look = "prod", look
	listening := httptest.NewServer(s.Handler(http.NotFoundHandler()))
	t.Cleanup(listening.Close)
	return listening
}

func says(seen web.Seen) web.Look {
	return func(context.Context) (web.Seen, error) { return seen, nil }
}

// page is a page as a browser reads it.
func page(t testing.TB, server *httptest.Server, path string) (answer, *html.Node) {
	t.Helper()
	got := ask(t, server.Client(), http.MethodGet, server.URL+path)
	root, err := html.Parse(strings.NewReader(got.Body))
	must(t, err)
	return got, root
}

// elements are those of the page, or a part of it, that have this name.
func elements(root *html.Node, name string) (all []*html.Node) {
	for n := range root.Descendants() {
		if n.Type == html.ElementNode && n.Data == name {
			all = append(all, n)
		}
	}
	return all
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func byID(t testing.TB, root *html.Node, id string) *html.Node {
	t.Helper()
	for n := range root.Descendants() {
		if attribute(n, "id") == id {
			return n
		}
	}
	t.Fatalf("the page has no #%s", id)
	return nil
}

// text is what a part of a page says, in one line.
func text(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data + " ")
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// rows are the rows of the table in the section, by the text of their first
// header.
func rows(t testing.TB, root *html.Node, section string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, body := range elements(byID(t, root, section), "tbody") {
		for _, row := range elements(body, "tr") {
			all[text(elements(row, "th")[0])] = text(row)
		}
	}
	return all
}

// TestPage: what a status says is on the page, in words.
func TestPage(t *testing.T) {
	server := watched(t, says(stands(t)), &held{position: follower.Position{Sequence: 39, Tick: 12}})
	got, root := page(t, server, "/")
	if got.Status != http.StatusOK {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	if verdict := text(byID(t, root, "verdict")); verdict != `Degraded : the poller is Degraded (HTTPStatus): 1 of 2 channels refused; channel edge is Missing (HTTPStatus).` {
		t.Errorf("verdict: %s", verdict)
	}
	for section, want := range map[string]map[string]string{
		"processes": {"poller": "Degraded HTTPStatus", "reducer": "Ready", "broker": "Ready"},
		"channels":  {"(fleet)": "Fresh", "edge": "Missing HTTPStatus 404 Not Found", "stable": "Fresh aaaa 1 h 0 min ago in 2 h 0 min artifact signature"},
		"changes":   {"stable": "Fresh"},
	} {
		got := rows(t, root, section)
		for name, words := range want {
			if !strings.Contains(got[name], words) {
				t.Errorf("%s, %s: %q, want %q", section, name, got[name], words)
			}
		}
	}
	if timeline := text(byID(t, root, "timeline")); !strings.Contains(timeline, "Ticks 3 ticks skipped in 1 h 0 min: Timeout") {
		t.Errorf("timeline: %s", timeline)
	}
	if outages := text(byID(t, root, "outages")); !strings.Contains(outages, "3 skipped Timeout") {
		t.Errorf("outages: %s", outages)
	}
	if set := text(byID(t, root, "set")); !strings.Contains(set, "2.0 KiB of 4.0 KiB") {
		t.Errorf("set: %s", set)
	}
	var links []string
	for _, a := range elements(root, "a") {
		links = append(links, attribute(a, "href"))
	}
	for _, want := range []string{
		"/v1/fleet.resolved", "/v1/fleet.resolved/sig", "/v1/rollouts/stable@a%2Fb%3Fc", "/v1/rollouts/stable@a%2Fb%3Fc/sig",
		"/v1/set", "/v1/status", "/metrics", "/explain/HTTPStatus", "/explain/Missing",
	} {
		if !slices.Contains(links, want) {
			t.Errorf("no link to %s among %q", want, links)
		}
	}
}
