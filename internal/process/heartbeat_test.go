package process

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
)

const secret = "s3cret"

// heartbeat runs one until the test ends.
func heartbeat(t *testing.T, flags HeartbeatFlags) (*Heartbeat, *logtest.Hook) {
	t.Helper()
	log, said := logtest.NewNullLogger()
	h, err := flags.Heartbeat(log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = h.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return h, said
}

// until waits for a condition.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	for over := time.After(20 * time.Second); !holds(); {
		select {
		case <-look.C:
		case <-over:
			t.Fatalf("never happened: %s", what)
		}
	}
}

// TestHeartbeat: every beat is a request; one warning says that they fail, one
// line that they no longer do, and none has the URL.
func TestHeartbeat(t *testing.T) {
	var status, asked atomic.Int64
	status.Store(http.StatusOK)
	var path atomic.Value
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path.Store(r.Method + " " + r.URL.Path)
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(int(status.Load()))
		asked.Add(1)
	}))
	defer s.Close()
	file := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(file, []byte(s.URL+"/"+secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h, said := heartbeat(t, HeartbeatFlags{File: file})
	beat := func(answer int) {
		t.Helper()
		status.Store(int64(answer))
		before := asked.Load()
		h.Beat()
		until(t, "a request", func() bool { return asked.Load() == before+1 })
	}
	beat(http.StatusOK)
	if got := path.Load(); got != "GET /"+secret {
		t.Errorf("asked %v", got)
	}
	beat(http.StatusFound)
	beat(http.StatusInternalServerError)
	beat(http.StatusNoContent)
	until(t, "both lines", func() bool { return len(said.AllEntries()) == 2 })
	wantLines(t, said, "warning heartbeat URL does not take the heartbeat 302 Found", "info heartbeat URL takes the heartbeat again")
	s.Close()
	h.Beat()
	until(t, "another warning", func() bool { return len(said.AllEntries()) == 3 })
	for _, e := range said.AllEntries() {
		if text, err := e.String(); err != nil || strings.Contains(text, secret) {
			t.Errorf("line tells the secret: %s, %v", text, err)
		}
	}
}

func wantLines(t *testing.T, said *logtest.Hook, want ...string) {
	t.Helper()
	for i, e := range said.AllEntries() {
		got := strings.TrimSpace(e.Level.String() + " " + e.Message + " ")
		if err, ok := e.Data[logrus.ErrorKey].(error); ok {
			got += " " + strings.TrimPrefix(err.Error(), "answer is ")
		}
		if got != want[i] {
			t.Errorf("line %d is %q, want %q", i, got, want[i])
		}
	}
}

// TestHeartbeatDelaysNothing: while nobody answers, beats return at once; those
// that nobody waited for are one.
func TestHeartbeatDelaysNothing(t *testing.T) {
	var asked atomic.Int64
	release := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked.Add(1)
		<-release
	}))
	defer s.Close()
	h, _ := heartbeat(t, HeartbeatFlags{URL: s.URL})
	h.Beat()
	until(t, "the first request", func() bool { return asked.Load() == 1 })
	for range 100 {
		h.Beat() // or the test would never end
	}
	close(release)
	until(t, "the second request", func() bool { return asked.Load() == 2 })
	h.Beat()
	until(t, "the third request", func() bool { return asked.Load() == 3 })
}

// TestHeartbeatTimesOut: who never answers is given up.
func TestHeartbeatTimesOut(t *testing.T) {
	release := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer s.Close()
	defer close(release)
	log, said := logtest.NewNullLogger()
	h := &Heartbeat{url: s.URL + "/" + secret, log: log, beats: make(chan struct{}, 1), timeout: time.Millisecond}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = h.Run(ctx) }()
	h.Beat()
	until(t, "a warning", func() bool { return len(said.AllEntries()) == 1 })
	cancel()
	<-done
}

func TestHeartbeatIsRefused(t *testing.T) {
	log, _ := logtest.NewNullLogger()
	open := filepath.Join(t.TempDir(), "open")
	if err := os.WriteFile(open, []byte("https://example.com/"+secret), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, flags := range []HeartbeatFlags{
		{URL: "http://example.com/" + secret}, {URL: "ftp://localhost/" + secret}, {URL: secret}, {URL: "https:///" + secret},
		{URL: "https://%zz/" + secret}, {URL: "https://example.com/" + secret, File: open}, {File: open}, {File: open + "-absent"},
	} {
		if h, err := flags.Heartbeat(log); err == nil || h != nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%+v: %v, %v", flags, h, err)
		}
	}
	for _, url := range []string{"https://example.com/x", "http://127.0.0.1:1/x", "http://[::1]/x", "http://localhost/x"} {
		if _, err := (&HeartbeatFlags{URL: url}).Heartbeat(log); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	none, err := (&HeartbeatFlags{}).Heartbeat(log)
	if none != nil || err != nil {
		t.Errorf("without flags: %v, %v", none, err)
	}
	none.Beat()
	if err := none.Run(t.Context()); err != nil {
		t.Error(err)
	}
}
