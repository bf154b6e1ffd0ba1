package web_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"fleetlog/consumers/past"
	"fleetlog/consumers/status"
	"fleetlog/consumers/view"
	"fleetlog/consumers/web"
	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/broker"
	"fleetlog/internal/broker/brokertest"
	"fleetlog/internal/fleetsim"
	"fleetlog/producers/producertest"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
)

func serveOnce(t testing.TB, handler http.Handler, ctx context.Context, path string) string { //nolint:revive // as a request has it
	t.Helper()
	request := httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil)
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, request)
	return w.Body.String()
}

// logOf makes a log of ticks at which the fleet is another one each, and its
// second channel is not served to every third.
func logOf(t testing.TB, ticks int) *eventlog.Log {
	t.Helper()
	b := brokertest.Start(t, func(c *broker.Config) { c.NoSync = true })
	nc, err := nats.Connect(b.ClientURL())
	must(t, err)
	t.Cleanup(nc.Close)
	fleet, err := events.ParseFleetName("prod")
	must(t, err)
	writer, err := events.NewWriter(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32)))
	must(t, err)
	log, err := eventlog.Provision(t.Context(), nc, eventlog.Place{Fleet: fleet}, eventlog.Provisioning{
		Limits: eventlog.Limits{Events: 64 << 20, Artifacts: 64 << 20, Replicas: 1}, Now: epoch, Random: uuid.NewRandom,
		Opening: events.Opening{Writer: writer, Writers: []events.PublicKey{writer.Public()}},
	})
	must(t, err)
	must(t, producertest.Append(t.Context(), nc, log, producertest.Past{
		Writer: writer, Trust: signer.Trust(), Begin: epoch, Interval: 30 * time.Second, Ticks: ticks, Window: 3600, Restate: time.Hour,
		Serve: func(n int, at time.Time) (fs.FS, error) {
			r, err := fleetsim.Fleet{Hosts: 4, Channels: 2, Commit: fmt.Sprintf("%08d", n), SignedAt: at}.Sign(signer)
			if n%3 == 0 {
				delete(r, fmt.Sprintf("rollouts/channel-001@%08d.json", n))
			}
			return r, err
		},
	}))
	return log
}

// told is what /v1/history answers.
type told struct {
	Changes []view.Change   `json:"changes"`
	Span    view.HistoryEnd `json:"span"`
	Limited bool            `json:"limited"`
}

// TestHistory: the answer is what the log's history is, in parts that follow each
// other without a loss.
func TestHistory(t *testing.T) {
	log := logOf(t, 30)
	s := server(&held{}, epoch.Add(time.Hour))
	s.Log = func() *eventlog.Log { return log }
	handler := s.Handler(http.NotFoundHandler())
	get := func(query string) (got told) {
		t.Helper()
		must(t, json.Unmarshal([]byte(serveOnce(t, handler, t.Context(), "/v1/history?"+query)), &got, json.RejectUnknownMembers(true)))
		return got
	}
	newest, err := log.At(t.Context(), eventlog.Point{})
	must(t, err)
	var all []view.Change
	for passed, err := range (&past.Reader{Log: log}).History(t.Context(), past.Span{Last: newest}) {
		must(t, err)
		all = append(all, passed.Changes...)
	}
	same := cmp.Comparer(func(a, b view.Change) bool { return a.Line(&strings.Builder{}) == nil && line(a) == line(b) })
	if got := get("limit=1000"); !cmp.Equal(all, got.Changes, same) || len(all) < 60 || got.Limited || got.Span.Since != nil || got.Span.Until.Tick != 30 {
		t.Errorf("%d changes, want %d: %+v", len(got.Changes), len(all), got.Span)
	}
	var parts []view.Change
	for since := ""; ; {
		got := get("limit=7" + since)
		parts = append(parts, got.Changes...)
		if since = fmt.Sprintf("&since=seq:%d", got.Span.Until.Seq); !got.Limited {
			break
		}
		if len(got.Changes) < 7 || len(got.Changes) > 9 {
			t.Fatalf("a part has %d changes", len(got.Changes))
		}
	}
	if !cmp.Equal(all, parts, same) {
		t.Errorf("the parts have %d changes, want %d", len(parts), len(all))
	}
	for query, want := range map[string]int{
		"channel=channel-000": 30, "channel=nothing": 0, "since=tick:20&channel=channel-000": 10, "since=2026-05-01T00:14:00Z&channel=channel-000": 1,
		"since=-2h&channel=channel-000": 30, "since=-1s": 0, "limit=1&channel=channel-000": 1,
	} {
		if got := get(query); len(got.Changes) != want {
			t.Errorf("%s: %d changes, want %d", query, len(got.Changes), want)
		}
	}
	t.Run("watched", func(t *testing.T) { watchedLog(t, log, all) })
}

func line(c view.Change) string {
	var b strings.Builder
	_ = c.Line(&b) // it does not fail
	return b.String()
}

// watchedLog: a look has the changes of the ticks that it names, and the next one
// those that are new.
func watchedLog(t *testing.T, log *eventlog.Log, all []view.Change) {
	now := epoch.Add(15 * time.Minute)
	open := log
	w := &web.Watch{Log: func() *eventlog.Log { return open }, Clock: func() time.Time { return now }}
	for range 2 {
		seen, err := w.Look(t.Context())
		must(t, err)
		if len(seen.Recent) != 20 || seen.Changes[0].Tick != 30 || seen.Changes[len(seen.Changes)-1].Tick != 11 || seen.Health != status.Degraded {
			t.Fatalf("%s, %d recent ticks, changes from tick %d to %d", seen.Health, len(seen.Recent), seen.Changes[0].Tick, seen.Changes[len(seen.Changes)-1].Tick)
		}
		want := 0
		for _, c := range all {
			if c.Tick >= 11 {
				want++
			}
		}
		if len(seen.Changes) != want {
			t.Errorf("%d changes, want %d", len(seen.Changes), want)
		}
	}
	open = nil
	if _, err := w.Look(t.Context()); err == nil {
		t.Error("a log that is not open was looked at")
	}
}

// TestHistoryRefuses what it does not know, and says why.
func TestHistoryRefuses(t *testing.T) {
	log := logOf(t, 3)
	var open *eventlog.Log
	s := server(&held{}, epoch)
	s.Log = func() *eventlog.Log { return open }
	listening := httptest.NewServer(s.Handler(http.NotFoundHandler()))
	t.Cleanup(listening.Close)
	for query, want := range map[string]int{
		"limit=0": 400, "limit=1001": 400, "limit=-1": 400, "limit=x": 400, "limit=": 400, "limit=1&limit=2": 400, "since=yesterday": 400,
		"since=seq:0": 400, "since=tick:99": 410, "since=tick:0198e6f0-0000-7000-8000-000000000000": 410, "until=now": 400, "channel=a&channel=b": 400,
		"%zz": 400, "a;b": 400, "": 200, "limit=1000&since=seq:999999": 200,
	} {
		for _, o := range []*eventlog.Log{nil, log} {
			if open = o; o == nil && want != http.StatusBadRequest {
				want = http.StatusServiceUnavailable
			} else if want == http.StatusServiceUnavailable {
				want = map[bool]int{true: 410, false: 200}[strings.Contains(query, "tick:")]
			}
			got := ask(t, listening.Client(), http.MethodGet, listening.URL+"/v1/history?"+query)
			var said struct {
				Reason string `json:"reason"`
			}
			if got.Status != want || want != 200 && (json.Unmarshal([]byte(got.Body), &said) != nil || said.Reason == "") {
				t.Errorf("%q, log %t: %d %s, want %d", query, o != nil, got.Status, got.Body, want)
			}
		}
	}
	if got := ask(t, listening.Client(), http.MethodPost, listening.URL+"/v1/history"); got.Status != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", got.Status)
	}
}
