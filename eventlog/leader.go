package eventlog

import (
	"context"
	"fmt"
	"time"

	"fleetlog/events"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// source reads single messages of the events stream. A writer reads from the
// leader, because what it decides must not rest on a copy that lags behind; a
// reader from any copy.
type source interface {
	message(ctx context.Context, seq uint64) (events.Message, error)
	last(ctx context.Context, subject string) (seq uint64, err error)
}

// anyCopy reads by direct get.
type anyCopy struct{ log *Log }

func (s anyCopy) message(ctx context.Context, seq uint64) (events.Message, error) {
	return s.log.Message(ctx, seq)
}

func (s anyCopy) last(ctx context.Context, subject string) (uint64, error) {
	m, err := s.log.events.GetLastMsgForSubject(ctx, subject)
	if err != nil {
		return 0, apiError("read last "+subject, err)
	}
	return m.Sequence, nil
}

// leader asks $JS.API.STREAM.MSG.GET, which the stream's leader alone answers;
// the library's own Get would ask any copy.
type leader struct{ log *Log }

type messageRequest struct {
	Seq  uint64 `json:"seq,omitzero"`
	Last string `json:"last_by_subj,omitzero"`
}

type messageResponse struct {
	Error   *jetstream.APIError `json:"error"`
	Message struct {
		Subject string `json:"subject"`
		Seq     uint64 `json:"seq"`
		Header  []byte `json:"hdrs"`
		Data    []byte `json:"data"`
	} `json:"message"`
}

func (s leader) message(ctx context.Context, seq uint64) (events.Message, error) {
	r, err := s.get(ctx, messageRequest{Seq: seq})
	if err != nil {
		return events.Message{}, err
	}
	header, err := nats.DecodeHeadersMsg(r.Message.Header)
	if err != nil && len(r.Message.Header) > 0 {
		header = nil // unreadable headers make the message noise, not an obstacle
	}
	return events.Message{Subject: r.Message.Subject, Header: header, Body: r.Message.Data}, nil
}

func (s leader) last(ctx context.Context, subject string) (uint64, error) {
	r, err := s.get(ctx, messageRequest{Last: subject})
	if err != nil {
		return 0, err
	}
	return r.Message.Seq, nil
}

func (s leader) get(ctx context.Context, request messageRequest) (*messageResponse, error) {
	payload, err := json.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("read from leader: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	reply, err := s.log.nc.RequestWithContext(ctx, s.log.api("STREAM.MSG.GET."+s.log.place.Fleet.EventsStream()), payload)
	if err != nil {
		return nil, apiError("read from leader", err)
	}
	var response messageResponse
	if err := json.Unmarshal(reply.Data, &response); err != nil {
		return nil, fmt.Errorf("read from leader: %w", err)
	}
	if response.Error != nil {
		return nil, apiError("read from leader", response.Error)
	}
	return &response, nil
}

// apiTimeout bounds one question to the broker.
const apiTimeout = 5 * time.Second

func (l *Log) api(request string) string {
	if l.place.Domain == "" {
		return "$JS.API." + request
	}
	return "$JS." + l.place.Domain + ".API." + request
}
