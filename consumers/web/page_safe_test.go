package web_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"fleetlog/consumers/explain"
	"fleetlog/consumers/follower"
	"fleetlog/consumers/status"
	"fleetlog/consumers/view"
	"fleetlog/events"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"
)

// pagePaths are what a browser asks for.
var pagePaths = []string{"/", "/explain/", "/explain/Stale", "/page.css", "/page.js"}

// TestPageHeaders: nothing that the page does not bring itself can run or load,
// and other methods and protocols are answered as on every route.
func TestPageHeaders(t *testing.T) {
	server := watched(t, says(stands(t)), &held{})
	for _, path := range pagePaths {
		got := ask(t, server.Client(), http.MethodGet, server.URL+path)
		want := http.Header{"X-Content-Type-Options": {"nosniff"}, "Referrer-Policy": {"no-referrer"}, "Cross-Origin-Resource-Policy": {"same-origin"}}
		if strings.HasPrefix(path, "/page.") {
			want["Cache-Control"] = []string{"no-cache"}
		} else {
			want["Cache-Control"] = []string{"no-store"}
			want["Content-Security-Policy"] = []string{"default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; " +
				"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"}
		}
		for name, values := range want {
			if diff := cmp.Diff(values, got.Header[name]); diff != "" {
				t.Errorf("%s: %s (-want +got):\n%s", path, name, diff)
			}
		}
		head := ask(t, server.Client(), http.MethodHead, server.URL+path)
		if diff := cmp.Diff(answer{got.Status, got.Header, ""}, head); diff != "" {
			t.Errorf("%s: HEAD (-want +got):\n%s", path, diff)
		}
		if post := ask(t, server.Client(), http.MethodPost, server.URL+path); post.Status != http.StatusMethodNotAllowed || post.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: POST: %d", path, post.Status)
		}
		if other := askIn(t, server.Client(), server.URL+path, []string{"2"}); other.Status != http.StatusUpgradeRequired {
			t.Errorf("%s: protocol 2: %d", path, other.Status)
		}
	}
	for _, path := range pagePaths[3:] {
		tag := ask(t, server.Client(), http.MethodGet, server.URL+path).Header.Get("ETag")
		if again := askWith(t, server.URL+path, "If-None-Match", tag); again.Status != http.StatusNotModified || again.Body != "" {
			t.Errorf("%s again: %d", path, again.Status)
		}
	}
}

// inline are the places of a page where something could be that its policy
// forbids, or that comes from elsewhere.
func inline(root *html.Node) (all []string) {
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if n.Data == "style" || n.Data == "script" && (n.FirstChild != nil || attribute(n, "src") == "") {
			all = append(all, n.Data)
		}
		for _, a := range n.Attr {
			if a.Key == "style" || strings.HasPrefix(a.Key, "on") {
				all = append(all, n.Data+" "+a.Key)
			}
			outside := !strings.HasPrefix(a.Val, "/") && !strings.HasPrefix(a.Val, "#") && !strings.HasPrefix(a.Val, "data:image/svg+xml,")
			if (a.Key == "href" || a.Key == "src") && (outside || strings.HasPrefix(a.Val, "//")) {
				all = append(all, n.Data+" "+a.Key+"="+a.Val)
			}
		}
	}
	return all
}

// hostileTexts are what artifacts may say.
var hostileTexts = []string{
	`<script>alert(1)</script>`, `" onmouseover="alert(1)`, `'><img src=x onerror=alert(1)>`, "javascript:alert(1)", "a\u202egnp.exe",
	"line\nbreak\x1b[31m", "{{.Health}}", "../../etc/passwd", "//evil.example/x", "é\u200b", "", " ", strings.Repeat("long", 100_000),
}

// TestPageOfHostileTexts: what artifacts say is text, and seen as what it is.
func TestPageOfHostileTexts(t *testing.T) {
	for _, said := range hostileTexts {
		seen := stands(t)
		seen.Channels[1].Name, seen.Channels[1].Ref, seen.Channels[1].RolloutID = said, said, said
		seen.Channels[0].Detail, seen.Processes[0].Note, seen.Recent[0].Message = said, said, said
		seen.Problems = map[string]string{"log": said}
		seen.Changes[0].Channel = &said
		seen.Stream.Lineage = said
		got, root := page(t, watched(t, says(seen), &held{}), "/")
		brief := said[:min(len(said), 20)]
		if got.Status != http.StatusOK || len(got.Body) > 64<<10+2*len(brief) && len(said) < 1000 {
			t.Errorf("%q: %d, %d bytes", brief, got.Status, len(got.Body))
		}
		if all := inline(root); all != nil {
			t.Errorf("%q: the page has %q", brief, all)
		}
		for _, c := range got.Body {
			if c < ' ' && c != '\n' || c == 0x7f || c == '\u202e' || c == '\u200b' {
				t.Errorf("%q: the page has a %U", brief, c)
				break
			}
		}
		names := elements(byID(t, root, "channels"), "th")
		if !slices.ContainsFunc(names, func(n *html.Node) bool { return attribute(n, "title") == wantName(said) }) {
			t.Errorf("%q is not among the channels as %s", brief, wantName(said))
		}
	}
}

// wantName is how a hostile name is seen.
func wantName(name string) string {
	switch {
	case strings.TrimSpace(name) != name || name == "":
		return fmt.Sprintf("%q", name)
	case len(name) > 160:
		return name[:160] + "…"
	}
	return view.Plain(name)
}

// TestPageOfManyChannels: a large fleet gives a page that a browser can show, with
// what somebody must look at on it.
func TestPageOfManyChannels(t *testing.T) {
	seen := stands(t)
	fresh := seen.Channels[1]
	seen.Channels = nil
	for n := range 10_000 {
		c := fresh
		c.Name = fmt.Sprintf("channel-%05d", n)
		if n == 9_000 {
			c.State = view.Expired
		}
		seen.Channels = append(seen.Channels, c)
		seen.Changes = append(seen.Changes, view.Change{Resolved: view.Resolved{Seq: 40, Tick: 12}, Channel: &c.Name, Condition: view.Condition{State: view.Fresh}})
	}
	server := watched(t, says(seen), &held{})
	got, root := page(t, server, "/")
	if len(got.Body) > 256<<10 {
		t.Errorf("the page has %d bytes", len(got.Body))
	}
	shown := text(byID(t, root, "channels"))
	for _, want := range []string{"1 Expired 9,999 Fresh", "9,900 more are left out here; /v1/status has all of them."} {
		if !strings.Contains(shown, want) {
			t.Errorf("channels say nothing of %q: %.200s", want, shown)
		}
	}
	if first := text(elements(elements(byID(t, root, "channels"), "tbody")[0], "tr")[1]); !strings.HasPrefix(first, "channel-09000 Expired") {
		t.Errorf("the first channel is %s", first)
	}
	if changes := rows(t, root, "changes"); len(changes) != 1 {
		t.Errorf("10,001 channels that changed alike are %d lines", len(changes))
	}
	if all := ask(t, server.Client(), http.MethodGet, server.URL+"/v1/status"); strings.Count(all.Body, `"name":"channel-`) != 10_000 {
		t.Errorf("/v1/status has %d channels", strings.Count(all.Body, `"name":"channel-`))
	}
}

// TestRepeatedChanges: what happens again and again is one line, with how often and
// since when.
func TestRepeatedChanges(t *testing.T) {
	seen := stands(t)
	seen.Changes = nil
	for tick := uint64(12); tick > 6; tick-- {
		name := "edge"
		c := view.Change{Resolved: view.Resolved{Tick: tick, Time: events.TimeOf(epoch.Add(time.Duration(tick) * time.Minute))}, Channel: &name}
		if c.Condition = (view.Condition{State: view.Fresh}); tick%2 == 0 {
			c.Condition = view.Condition{State: view.Missing, Reason: "Timeout", Detail: "no answer within 4s"}
		}
		seen.Changes = append(seen.Changes, c)
	}
	_, root := page(t, watched(t, says(seen), &held{}), "/")
	var lines []string
	for _, row := range elements(elements(byID(t, root, "changes"), "tbody")[0], "tr") {
		lines = append(lines, text(row))
	}
	want := []string{
		"2026-05-01 00:12:00 3 times since 2026-05-01 00:08:00 edge Missing Timeout no answer within 4s",
		"2026-05-01 00:11:00 3 times since 2026-05-01 00:07:00 edge Fresh",
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

// TestExplainPages: every code has its page, and others have none.
func TestExplainPages(t *testing.T) {
	server := watched(t, says(stands(t)), &held{})
	_, index := page(t, server, "/explain/")
	var linked []string
	for _, a := range elements(elements(index, "main")[0], "a") {
		linked = append(linked, attribute(a, "href"))
	}
	for _, code := range explain.Pages() {
		got, root := page(t, server, "/explain/"+code.Code)
		shown := text(elements(root, "main")[0])
		if got.Status != http.StatusOK || !strings.Contains(shown, code.Means) || !strings.Contains(shown, code.ClearsWhen) || inline(root) != nil {
			t.Errorf("%s: %d, %s", code.Code, got.Status, shown)
		}
		if !slices.Contains(linked, "/explain/"+code.Code) {
			t.Errorf("nothing leads to %s", code.Code)
		}
	}
	for _, path := range []string{"/explain/Nothing", "/explain/stale", "/explain/Stale/more", "/explain/%3Cscript%3E"} {
		if got := ask(t, server.Client(), http.MethodGet, server.URL+path); got.Status != http.StatusNotFound || strings.Contains(got.Body, "script") {
			t.Errorf("%s: %d %q", path, got.Status, got.Body)
		}
	}
}

// TestVerdicts: the sentence says what somebody would do something about.
func TestVerdicts(t *testing.T) {
	for want, change := range map[string]func(*status.Status){
		"Healthy : the poller keeps up, and 1 channel is Missing, 1 channel is Fresh.": func(s *status.Status) {
			s.Processes[0].State, s.Channels[0].Reason = status.Ready, "removed"
		},
		"Unknown : the log holds no tick yet.": func(s *status.Status) { *s = status.Status{} },
		"Unknown : log: the broker is away; shown is what was known last.": func(s *status.Status) {
			s.Processes, s.Channels, s.Stream, s.Problems = s.Processes[1:], nil, nil, map[string]string{"log": "the broker is away"}
		},
		"Degraded : the poller is Degraded (HTTPStatus): 1 of 2 channels refused; the fleet is Rejected (Rollback); channel edge is Missing (HTTPStatus); 2 more.": func(s *status.Status) {
			s.Signed.State, s.Signed.Reason = view.Rejected, "Rollback"
			s.Channels = append(s.Channels, s.Channels[0], s.Channels[0])
		},
	} {
		seen := stands(t)
		change(&seen.Status)
		_, root := page(t, watched(t, says(seen), &held{position: follower.Position{Sequence: 39, Tick: 12}}), "/")
		if got := text(byID(t, root, "verdict")); got != want {
			t.Errorf("verdict: %s\nwant %s", got, want)
		}
	}
}
