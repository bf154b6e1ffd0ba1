package fleetlog_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"fleetlog/consumers/web"
	"fleetlog/events"
	"fleetlog/internal/broker/brokertest"

	"github.com/google/go-cmp/cmp"
)

// listening is a client of a stream of events.
type listening struct {
	t        *testing.T
	response *http.Response
	lines    *bufio.Reader
	silent   int // times that nothing was said
	lastID   string
	hangUp   context.CancelFunc
}

func (s *scene) listen(url, lastID string) *listening {
	s.t.Helper()
	transport, err := s.files.Transport(func(err error) { s.t.Errorf("TLS files: %v", err) })
	s.must(err)
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	s.t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/v1/events", nil)
	s.must(err)
	if lastID != "" {
		request.Header.Set("Last-Event-ID", lastID)
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	s.must(err)
	s.t.Cleanup(func() { response.Body.Close() })
	return &listening{t: s.t, response: response, lines: bufio.NewReader(response.Body), hangUp: cancel}
}

// tick reads up to the end of the next tick and returns its events as they were
// sent.
func (l *listening) tick() (all []string) {
	l.t.Helper()
	before := l.lastID
	for kind := ""; ; {
		line, err := l.lines.ReadString('\n')
		if err != nil {
			l.t.Fatalf("stream ended: %v", err)
		}
		field, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch field {
		case ":":
			l.silent++
		case "id":
			l.lastID = value
		case "event":
			if kind = value; kind != "TickCompleted" && l.lastID != before {
				l.t.Errorf("a %s has the id %s", kind, l.lastID)
			}
		case "data":
			all = append(all, kind+" "+value)
		case "":
			if kind == "TickCompleted" {
				return all
			}
		}
	}
}

// stored is what the log holds of a tick.
func (s *scene) stored(t *events.Tick) (all []string) {
	s.t.Helper()
	for seq := t.Head.Seq - uint64(len(t.Findings)); seq <= t.Head.Seq; seq++ {
		m, err := s.log.Message(s.t.Context(), seq)
		s.must(err)
		kind := "TickCompleted"
		if seq < t.Head.Seq {
			kind, _, _ = strings.Cut(events.Leaf(t.Findings[seq+uint64(len(t.Findings))-t.Head.Seq]), ".")
		}
		all = append(all, kind+" "+string(m.Body))
	}
	return all
}

func (l *listening) want(s *scene, ticks ...*events.Tick) {
	s.t.Helper()
	for _, t := range ticks {
		if diff := cmp.Diff(s.stored(t), l.tick()); diff != "" {
			s.t.Errorf("tick %d (-stored +heard):\n%s", t.Head.Number, diff)
		}
		if want := fmt.Sprintf("%s/%d", s.log.Lineage(), t.Head.Seq); l.lastID != want {
			s.t.Errorf("id %q, want %q", l.lastID, want)
		}
	}
}

// TestListening: who comes back with the last id misses nothing and hears nothing
// twice; who has none hears what comes.
func TestListening(t *testing.T) {
	s := newScene(t, brokertest.Start(t), "prod")
	url := s.serveSet()
	one := s.tick()
	s.held(one)
	first := s.listen(url, "")
	if kind := first.response.Header.Get("Content-Type"); first.response.StatusCode != http.StatusOK || kind != "text/event-stream" {
		t.Fatalf("%s %s", first.response.Status, kind)
	}
	two := s.tick()
	first.want(s, two)
	first.hangUp()
	next := s.fleet
	next.SignedAt, next.Closures = next.SignedAt.Add(time.Second), 1
	s.publish(next)
	three, four := s.tick(), s.tick()
	s.held(four)
	again := s.listen(url, first.lastID)
	again.want(s, three, four)
	five := s.tick()
	again.want(s, five)
	s.listen(url, "0").want(s, one, two, three, four, five)

	for again.silent < 3 { // it is written to although nothing happens
		line, err := again.lines.ReadString('\n')
		s.must(err)
		if strings.HasPrefix(line, ":") {
			again.silent++
		}
	}
	for id, want := range map[string]int{
		"x": 400, s.log.Lineage(): 400, s.log.Lineage() + "/-1": 400, s.log.Lineage() + "/1000000": 410, s.log.Lineage() + "/2": 410,
		"another/1": 410,
	} {
		if got := s.listen(url, id).response.StatusCode; got != want {
			t.Errorf("Last-Event-ID %q: %d, want %d", id, got, want)
		}
	}
}

// TestListenersAreBounded: one too many is told to come back, and is let in when
// another has left.
func TestListenersAreBounded(t *testing.T) {
	s := newScene(t, brokertest.Start(t), "prod")
	url := s.serveSet()
	s.held(s.tick())
	var all []*listening
	for len(all) < 16 {
		l := s.listen(url, "")
		if l.response.StatusCode != http.StatusOK {
			t.Fatalf("listener %d: %s", len(all), l.response.Status)
		}
		all = append(all, l)
	}
	refused := s.listen(url, "").response
	if refused.StatusCode != http.StatusServiceUnavailable || refused.Header.Get("Retry-After") != "10" {
		t.Errorf("one more: %s, retry after %q", refused.Status, refused.Header.Get("Retry-After"))
	}
	all[0].hangUp()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for deadline := time.After(20 * time.Second); s.listen(url, "").response.StatusCode != http.StatusOK; {
		select {
		case <-look.C:
		case <-deadline:
			t.Fatal("nobody is let in after one has left")
		}
	}
}

// deaf is a client that takes nothing, and whose connection does not end.
type deaf struct{ header http.Header }

func (d deaf) Header() http.Header              { return d.header }
func (d deaf) WriteHeader(int)                  {}
func (d deaf) Write([]byte) (int, error)        { return 0, os.ErrDeadlineExceeded }
func (d deaf) FlushError() error                { return nil }
func (d deaf) SetWriteDeadline(time.Time) error { return nil }

// TestDeafListenerIsLeft: it does not hold its place.
func TestDeafListenerIsLeft(t *testing.T) {
	s := newScene(t, brokertest.Start(t), "prod")
	s.held(s.tick())
	server := &web.Server{Source: s.reducer, Clock: s.clock, Ready: func() error { return nil }, Log: s.reducer.Followed}
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		server.Handler(http.NotFoundHandler()).ServeHTTP(deaf{http.Header{}}, httptest.NewRequest(http.MethodGet, "/v1/events", nil))
	}()
	select {
	case <-answered:
	case <-time.After(20 * time.Second):
		t.Fatal("still listening")
	}
}
