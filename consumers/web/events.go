package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"fleetlog/eventlog"
	"fleetlog/events"
)

const (
	// maxListeners is how many clients may listen at once: each is a consumer at
	// the broker.
	maxListeners = 16
	// defaultKeepAlive is how often a listener that hears nothing is written to.
	defaultKeepAlive = 15 * time.Second
	// listenerPatience is how long a listener may take to read what is written.
	listenerPatience = 30 * time.Second
)

// events streams the log as server-sent events: `event` is the type, `data` the
// body as it is stored. Only the last event of a tick has an id,
// LINEAGE/SEQUENCE, so that one who comes back with it in Last-Event-ID gets
// whole ticks and misses none; Last-Event-ID 0 is the log's beginning. Without
// one the stream begins behind the tick that is served. A place that this log
// does not have is 410, and a broker that goes away ends the stream.
func (s *Server) events() http.HandlerFunc {
	listeners := make(chan struct{}, maxListeners)
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case listeners <- struct{}{}:
			defer func() { <-listeners }()
		default:
			refuse(w, http.StatusServiceUnavailable)
			return
		}
		log := s.Log()
		if log == nil {
			refuse(w, http.StatusServiceUnavailable)
			return
		}
		head, err := s.place(r, log)
		if err != nil {
			refuse(w, statusOf(err))
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Cache-Control", "no-store")
		if r.Method == http.MethodGet {
			l := &listener{w, http.NewResponseController(w), log, cmp.Or(s.KeepAlive, defaultKeepAlive)}
			l.listen(r.Context(), head)
		}
	}
}

func refuse(w http.ResponseWriter, status int) {
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "10")
	}
	w.WriteHeader(status)
}

// errBadID: a Last-Event-ID that no stream of ours has given.
var errBadID = errors.New("not an id of this stream")

func statusOf(err error) int {
	switch {
	case errors.Is(err, errBadID):
		return http.StatusBadRequest
	case errors.Is(err, eventlog.ErrUnavailable):
		return http.StatusServiceUnavailable
	}
	return http.StatusGone
}

// place is the head behind which the request wants to listen.
func (s *Server) place(r *http.Request, log *eventlog.Log) (events.Head, error) {
	switch id := r.Header.Get("Last-Event-ID"); id {
	case "0":
		return log.Opening(), nil
	case "":
		_, at := s.Source.Current()
		if at.Lineage != log.Lineage() {
			return log.Opening(), nil
		}
		return log.HeadAt(r.Context(), at.Sequence)
	default:
		lineage, number, _ := strings.Cut(id, "/")
		seq, err := strconv.ParseUint(number, 10, 64)
		if err != nil {
			return events.Head{}, errBadID
		}
		if lineage != log.Lineage() {
			return events.Head{}, eventlog.ErrAhead
		}
		return log.HeadAt(r.Context(), seq)
	}
}

// listener is one client.
type listener struct {
	w         http.ResponseWriter
	control   *http.ResponseController
	log       *eventlog.Log
	keepAlive time.Duration
}

// listen writes the ticks behind head until the client has gone, or does not
// read, or the log cannot be followed.
func (l *listener) listen(ctx context.Context, head events.Head) {
	ctx, cancel := context.WithCancel(ctx)
	ticks, ended := make(chan *events.Tick), make(chan struct{})
	go func() {
		defer close(ended)
		l.follow(ctx, head, ticks)
	}()
	defer func() {
		cancel()
		<-ended
	}()
	beat := time.NewTicker(l.keepAlive)
	defer beat.Stop()
	for err := l.write(": listening\n\n"); err == nil; {
		select {
		case <-ctx.Done():
			return
		case <-ended:
			return
		case <-beat.C:
			err = l.write(":\n\n")
		case t := <-ticks:
			err = l.tick(t)
		}
	}
}

// follow moves the ticks behind head to the channel.
func (l *listener) follow(ctx context.Context, head events.Head, to chan<- *events.Tick) {
	for d, err := range l.log.Follow(ctx, head) {
		if err != nil {
			return
		}
		if d.Tick == nil {
			continue
		}
		select {
		case to <- d.Tick:
		case <-ctx.Done():
			return
		}
	}
}

// tick writes all events of a tick.
func (l *listener) tick(t *events.Tick) error {
	var text strings.Builder
	all := make([]events.Event, 0, len(t.Findings)+1)
	for _, f := range t.Findings {
		all = append(all, f)
	}
	for _, e := range append(all, t.Completed) {
		body, err := events.Encode(e)
		if err != nil {
			return err
		}
		if e == events.Event(t.Completed) {
			fmt.Fprintf(&text, "id: %s/%d\n", l.log.Lineage(), t.Head.Seq)
		}
		kind, _, _ := strings.Cut(events.Leaf(e), ".")
		fmt.Fprintf(&text, "event: %s\ndata: %s\n\n", kind, body)
	}
	return l.write(text.String())
}

// write writes what a client has the patience's time to take.
func (l *listener) write(text string) error {
	if err := l.control.SetWriteDeadline(time.Now().Add(listenerPatience)); err != nil {
		return err
	}
	if _, err := l.w.Write([]byte(text)); err != nil {
		return err
	}
	return l.control.Flush()
}
