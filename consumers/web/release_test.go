package web_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"fleetlog/consumers/fold"
	"fleetlog/consumers/web"
	"fleetlog/internal/fleetsim"
	"fleetlog/manifest"
)

// askWith asks with one more header line for each value.
func askWith(t *testing.T, url, header string, values ...string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	must(t, err)
	request.Header[header] = values
	return do(t, http.DefaultClient, request)
}

// resigned is the same fleet, signed anew: an ECDSA signature is never the same.
func resigned(t *testing.T) *manifest.Set {
	t.Helper()
	p256, err := fleetsim.NewP256Signer(1)
	must(t, err)
	f := fleetsim.Fleet{Hosts: 4, Channels: 2, Commit: "aaaa", SignedAt: epoch}
	r, err := f.Sign(p256)
	must(t, err)
	return setUnder(t, r, p256)
}

// TestTags: a tag is of body and signature together, so that a release that was
// signed anew has new ones on every route, with the bodies that it had.
func TestTags(t *testing.T) {
	h := &held{state: fold.State{Set: resigned(t)}}
	server := serve(t, h, epoch)
	paths := []string{
		"/v1/fleet.resolved", "/v1/fleet.resolved/sig", "/v1/rollouts/channel-000@aaaa", "/v1/rollouts/channel-000@aaaa/sig",
		"/v1/rollouts/channel-001@aaaa", "/v1/rollouts/channel-001@aaaa/sig",
	}
	before := map[string]answer{}
	for _, path := range paths {
		before[path] = ask(t, server.Client(), http.MethodGet, server.URL+path)
		tag := before[path].Header.Get("ETag")
		for name, values := range map[string][]string{
			"same": {tag}, "weak": {"W/" + tag}, "one of several": {`"a", ` + tag + `,"b"`}, "second line": {`"a"`, tag}, "any": {"*"},
		} {
			got := askWith(t, server.URL+path, "If-None-Match", values...)
			if got.Status != http.StatusNotModified || got.Body != "" || got.Header.Get("ETag") != tag {
				t.Errorf("%s, %s: %d %q, want 304", path, name, got.Status, got.Body)
			}
		}
		for _, values := range [][]string{{""}, {`"other"`}, {tag[1 : len(tag)-1]}, {tag[:20] + `"`}} {
			if got := askWith(t, server.URL+path, "If-None-Match", values...); got.Status != http.StatusOK {
				t.Errorf("%s, If-None-Match %q: %d, want 200", path, values, got.Status)
			}
		}
		if got := askWith(t, server.URL+path, "Range", "bytes=0-1"); got.Status != http.StatusOK || got.Body != before[path].Body {
			t.Errorf("%s: a range was answered with %d", path, got.Status)
		}
	}
	h.state.Set = resigned(t)
	for _, path := range paths {
		tag := before[path].Header.Get("ETag")
		got := askWith(t, server.URL+path, "If-None-Match", tag)
		if got.Status != http.StatusOK || got.Header.Get("ETag") == tag {
			t.Errorf("%s signed anew: %d, tag %s, want 200 and another tag", path, got.Status, got.Header.Get("ETag"))
		}
		if same := got.Body == before[path].Body; same != (path[len(path)-4:] != "/sig") {
			t.Errorf("%s signed anew: body is the same: %t", path, same)
		}
	}
}

// TestLeftTheSet: all routes are of one set, the newest.
func TestLeftTheSet(t *testing.T) {
	f := fleetsim.Fleet{Hosts: 4, Channels: 2, Commit: "aaaa", SignedAt: epoch}
	h := &held{state: fold.State{Set: setOf(t, release(t, f))}}
	server := serve(t, h, epoch)
	status := func(path string) int { return ask(t, server.Client(), http.MethodGet, server.URL+path).Status }
	if got := status("/v1/rollouts/channel-001@aaaa"); got != http.StatusOK {
		t.Fatalf("before: %d", got)
	}
	f.Commit = "bbbb"
	h.state.Set = setOf(t, release(t, f))
	for path, want := range map[string]int{
		"/v1/rollouts/channel-001@aaaa": 404, "/v1/rollouts/channel-001@aaaa/sig": 404,
		"/v1/rollouts/channel-001@bbbb": 200, "/v1/rollouts/channel-001@bbbb/sig": 200,
	} {
		if got := status(path); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
	h.state.Set = nil
	if got := status("/v1/fleet.resolved"); got != http.StatusServiceUnavailable {
		t.Errorf("without a set any more: %d, want 503", got)
	}
}

// TestMarks: what is stale, or may be behind the log, is served and says so.
func TestMarks(t *testing.T) {
	set := setOf(t, release(t, fleetsim.Fleet{Hosts: 4, Channels: 2, Commit: "aaaa", SignedAt: epoch}))
	end := epoch.Add(time.Hour + manifest.Slack*time.Second)
	for _, c := range []struct {
		now  time.Time
		err  error
		want string
	}{
		{end, nil, ""}, {end.Add(time.Millisecond), nil, "stale"},
		{end, errors.New("broker is away"), "not-ready"}, {end.Add(time.Hour), errors.New("broker is away"), "not-ready, stale"},
	} {
		h := &held{state: fold.State{Set: set}, notReady: c.err}
		s := serve(t, h, c.now)
		for _, path := range []string{"/v1/fleet.resolved", "/v1/rollouts/channel-001@aaaa/sig", "/v1/rollouts/none"} {
			if got := ask(t, s.Client(), http.MethodGet, s.URL+path); got.Header.Get(web.StateHeader) != c.want || got.Status == http.StatusServiceUnavailable {
				t.Errorf("%s at %v: %d %q, want %q", path, c.now, got.Status, got.Header.Get(web.StateHeader), c.want)
			}
		}
		tagged := askWith(t, s.URL+"/v1/fleet.resolved", "If-None-Match", "*")
		if tagged.Status != http.StatusNotModified || tagged.Header.Get(web.StateHeader) != c.want {
			t.Errorf("not modified: %d %q, want %q", tagged.Status, tagged.Header.Get(web.StateHeader), c.want)
		}
		if stale := server(h, c.now).Stale(); stale != c.now.After(end) {
			t.Errorf("stale at %v: %t", c.now, stale)
		}
	}
}
