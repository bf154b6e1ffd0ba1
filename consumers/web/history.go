package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"fleetlog/consumers/past"
	"fleetlog/consumers/view"
	"fleetlog/eventlog"
	"fleetlog/events"

	"github.com/go-json-experiment/json"
)

const (
	// defaultChanges and mostChanges are where an answer ends.
	defaultChanges = 100
	mostChanges    = 1000
	// historyPatience is how long the broker may take to give a history.
	historyPatience = 10 * time.Second
	// maxHistories is how many are read at once.
	maxHistories = 4
)

// historyQuery is what a request asks for.
type historyQuery struct {
	channel *string // nil: all, and the fleet
	since   *eventlog.Point
	exactly bool // since names one tick, which must be there
	limit   int
}

// historyAnswer is what `fleetlog history -o json` prints, as the log states it.
// Until is the last tick that was looked at: when Limited, a client goes on from
// there.
type historyAnswer struct {
	Changes []view.Change   `json:"changes"`
	Span    view.HistoryEnd `json:"span"`
	Limited bool            `json:"limited,omitzero"` // there may be more behind Until
}

// history answers with what changed behind a point of the log. It ends with the
// tick at which the limit is reached; that tick is never cut.
func (s *Server) history() http.HandlerFunc {
	places := make(chan struct{}, maxHistories)
	return func(w http.ResponseWriter, r *http.Request) {
		query, err := parseHistory(r.URL.RawQuery, s.Clock())
		if err != nil {
			decline(w, http.StatusBadRequest, err)
			return
		}
		select {
		case places <- struct{}{}:
			defer func() { <-places }()
		default:
			decline(w, http.StatusServiceUnavailable, errors.New("too many histories are being read"))
			return
		}
		log := s.Log()
		if log == nil {
			decline(w, http.StatusServiceUnavailable, errNotOpen)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), historyPatience)
		defer cancel()
		answer, err := readHistory(ctx, log, query)
		if err != nil {
			decline(w, historyStatus(err), err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.MarshalWrite(w, answer, json.Deterministic(true)) // the client is gone
	}
}

// errNotOpen: there is no log to read yet.
var errNotOpen = errors.New("the log is not open yet")

// parseHistory reads the query of a request, in which nothing may be what it
// does not know.
func parseHistory(raw string, now time.Time) (historyQuery, error) {
	q := historyQuery{limit: defaultChanges}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return q, err
	}
	for name, given := range values {
		if len(given) != 1 {
			return q, fmt.Errorf("%q is given %d times", name, len(given))
		}
		switch name {
		case "channel":
			q.channel = &given[0]
		case "since":
			point, err := eventlog.ParsePoint(given[0], now)
			if err != nil {
				return q, fmt.Errorf("since: %w", err)
			}
			q.since, q.exactly = &point, strings.HasPrefix(given[0], "tick:")
		case "limit":
			if q.limit, err = strconv.Atoi(given[0]); err != nil || q.limit < 1 || q.limit > mostChanges {
				return q, fmt.Errorf("limit: want a number from 1 to %d", mostChanges)
			}
		default:
			return q, fmt.Errorf("%q is not known: there are channel, since and limit", name)
		}
	}
	return q, nil
}

func readHistory(ctx context.Context, log *eventlog.Log, q historyQuery) (historyAnswer, error) {
	answer := historyAnswer{Changes: []view.Change{}}
	newest, err := log.At(ctx, eventlog.Point{})
	if errors.Is(err, eventlog.ErrNoTick) {
		answer.Span.Until = view.ResolvedAt(log.Opening())
		return answer, nil
	}
	if err != nil {
		return answer, err
	}
	span := past.Span{Last: newest}
	if q.since != nil {
		if span.After, err = log.At(ctx, *q.since); err != nil && (q.exactly || !errors.Is(err, eventlog.ErrNoTick)) {
			return answer, err
		}
	}
	if span.After != nil {
		since := view.ResolvedAt(span.After.Head)
		answer.Span.Since = &since
	}
	answer.Span.Until = view.ResolvedAt(newest.Head)
	for passed, err := range (&past.Reader{Log: log}).History(ctx, span) {
		if err != nil {
			return answer, err
		}
		answer.Changes = append(answer.Changes, slices.DeleteFunc(passed.Changes, func(c view.Change) bool {
			return q.channel != nil && (c.Channel == nil || *c.Channel != *q.channel)
		})...)
		if len(answer.Changes) >= q.limit {
			answer.Limited, answer.Span.Until = true, view.ResolvedAt(passed.Tick.Head)
			break
		}
	}
	return answer, nil
}

func historyStatus(err error) int {
	var unknown *events.UnknownTypeError
	switch {
	case errors.Is(err, eventlog.ErrNoTick):
		return http.StatusGone
	case errors.As(err, &unknown):
		return http.StatusInternalServerError
	}
	return http.StatusServiceUnavailable
}

// decline answers with why there is no answer.
func decline(w http.ResponseWriter, status int, why error) {
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "10")
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.MarshalWrite(w, struct {
		Error  string `json:"error"`
		Reason string `json:"reason"`
	}{strings.ToLower(http.StatusText(status)), why.Error()}) // the client is gone
}
