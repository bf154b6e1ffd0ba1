package eventlog

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"fleetlog/events"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// source reads single messages of one stream. A writer reads from the leader,
// because what it decides must not rest on a copy that lags behind; a reader
// from any copy.
type source interface {
	message(ctx context.Context, seq uint64) (events.Message, error)
	// last is the place of the newest message on the subject.
	last(ctx context.Context, subject string) (seq uint64, err error)
	// next reads the first message on the subject at or behind seq.
	next(ctx context.Context, subject string, seq uint64) (events.Message, uint64, error)
}

// anyCopy reads by direct get.
type anyCopy struct {
	stream jetstream.Stream
	log    *Log
}

func (s anyCopy) message(ctx context.Context, seq uint64) (events.Message, error) {
	m, err := s.stream.GetMsg(ctx, seq)
	if err != nil {
		return events.Message{}, apiError(fmt.Sprintf("read sequence %d of %s", seq, s.stream.CachedInfo().Config.Name), err)
	}
	return stored(m), nil
}

// last asks on the subject on which single sequences are read: the library would
// ask on one of its own, which a user who follows the log need not have.
func (s anyCopy) last(ctx context.Context, subject string) (uint64, error) {
	what := "read last " + subject
	payload, err := json.Marshal(messageRequest{Last: subject})
	if err != nil {
		return 0, fmt.Errorf("%s: %w", what, err)
	}
	ctx, cancel := context.WithTimeout(ctx, s.log.wait.api)
	defer cancel()
	reply, err := s.log.nc.RequestWithContext(ctx, s.log.api("DIRECT.GET."+s.stream.CachedInfo().Config.Name), payload)
	if err != nil {
		return 0, apiError(what, err)
	}
	if text := reply.Header.Get(jetstream.SequenceHeader); text != "" {
		return strconv.ParseUint(text, 10, 64)
	}
	if reply.Header.Get("Status") == "404" {
		return 0, fmt.Errorf("%s: %w", what, ErrNoMessage)
	}
	return 0, fmt.Errorf("%s: %w: it answers %q", what, ErrUnavailable, reply.Header.Get("Description"))
}

func (s anyCopy) next(ctx context.Context, subject string, seq uint64) (events.Message, uint64, error) {
	m, err := s.stream.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(subject))
	if err != nil {
		return events.Message{}, 0, apiError("read next "+subject, err)
	}
	return stored(m), m.Sequence, nil
}

func stored(m *jetstream.RawStreamMsg) events.Message {
	return events.Message{Subject: m.Subject, Header: m.Header, Body: m.Data}
}

// leader asks $JS.API.STREAM.MSG.GET, which the stream's leader alone answers;
// the library's own Get would ask any copy.
type leader struct {
	log    *Log
	stream string
}

type messageRequest struct {
	Seq  uint64 `json:"seq,omitzero"`
	Last string `json:"last_by_subj,omitzero"`
	Next string `json:"next_by_subj,omitzero"`
}

type messageResponse struct {
	Error   *jetstream.APIError `json:"error"`
	Message struct {
		Subject string    `json:"subject"`
		Seq     uint64    `json:"seq"`
		Header  []byte    `json:"hdrs"`
		Data    []byte    `json:"data"`
		Time    time.Time `json:"time"` // of the broker
	} `json:"message"`
}

func (s leader) last(ctx context.Context, subject string) (uint64, error) {
	r, err := s.get(ctx, messageRequest{Last: subject})
	return r.Message.Seq, err
}

func (s leader) next(ctx context.Context, subject string, seq uint64) (events.Message, uint64, error) {
	r, err := s.get(ctx, messageRequest{Seq: seq, Next: subject})
	return r.read(), r.Message.Seq, err
}

func (r messageResponse) read() events.Message {
	header, err := nats.DecodeHeadersMsg(r.Message.Header)
	if err != nil {
		header = nil // unreadable headers make the message noise, not an obstacle
	}
	return events.Message{Subject: r.Message.Subject, Header: header, Body: r.Message.Data}
}

func (s leader) get(ctx context.Context, request messageRequest) (response messageResponse, err error) {
	what := "read from the leader of " + s.stream
	if request.Seq > 0 {
		what = fmt.Sprintf("read sequence %d from the leader of %s", request.Seq, s.stream)
	}
	payload, err := json.Marshal(request)
	if err != nil {
		return response, fmt.Errorf("%s: %w", what, err)
	}
	ctx, cancel := context.WithTimeout(ctx, s.log.wait.api)
	defer cancel()
	reply, err := s.log.nc.RequestWithContext(ctx, s.log.api("STREAM.MSG.GET."+s.stream), payload)
	if err != nil {
		return response, apiError(what, err)
	}
	if err := json.Unmarshal(reply.Data, &response); err != nil {
		return response, fmt.Errorf("%s: %w", what, err)
	}
	if response.Error != nil {
		return response, apiError(what, response.Error)
	}
	return response, nil
}

func (l *Log) api(request string) string {
	if l.place.Domain == "" {
		return "$JS.API." + request
	}
	return "$JS." + l.place.Domain + ".API." + request
}
