package eventlog_test

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fleetlog/eventlog"
	"fleetlog/internal/broker/brokertest"

	"github.com/nats-io/nats.go"
)

// former stands between a client and the server: it says that the streams are
// replicated and, so often as it is told to, it says what a server says that was
// the leader until a while ago.
type former struct {
	stale atomic.Int32 // answers to come
	nc    *nats.Conn
}

var lastSequence = regexp.MustCompile(`"last_seq":\d+`)

func (f *former) answer(request *nats.Msg) {
	api := "$JS.API." + strings.TrimPrefix(request.Subject, "$JS.former.API.")
	reply, err := f.nc.Request(api, request.Data, 5*time.Second)
	if err != nil {
		return
	}
	said := strings.NewReplacer(`"num_replicas":1`, `"num_replicas":3`, `"compression":"s2"`, `"compression":"none"`).Replace(string(reply.Data))
	info, message := strings.Contains(api, "STREAM.INFO."), strings.Contains(api, "STREAM.MSG.GET.")
	if (info || message) && f.stale.Add(-1) >= 0 {
		said = lastSequence.ReplaceAllString(said, `"last_seq":2`)
		if message {
			said = `{"error":{"code":404,"err_code":10037,"description":"no message found"}}`
		}
	}
	_ = request.RespondMsg(&nats.Msg{Header: reply.Header, Data: []byte(said)})
}

// TestFormerLeaderIsNotBelieved lets a server answer that has missed the last
// ticks: for a moment that means nothing, to a writer and to a reader.
func TestFormerLeaderIsNotBelieved(t *testing.T) {
	b := brokertest.Start(t)
	key := writerKey(t, 1)
	provision(t, dial(t, b), key)
	f := &former{nc: dial(t, b)}
	if _, err := f.nc.Subscribe("$JS.former.API.>", f.answer); err != nil {
		t.Fatal(err)
	}
	if err := f.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	log, err := eventlog.Open(t.Context(), dial(t, b), eventlog.Place{Fleet: fleetName(t), Domain: "former"})
	if err != nil {
		t.Fatal(err)
	}
	w := newWriter(t, log)
	for n := uint64(1); n <= 3; n++ {
		if _, err := appendTick(t.Context(), w, key, draft(n, uint32(n), 1)); err != nil {
			t.Fatal(err)
		}
	}
	head := w.Base().Head
	for stale := int32(1); stale <= 3; stale++ {
		f.stale.Store(stale)
		if other, err := w.Refresh(t.Context()); err != nil || other || w.Base().Head != head {
			t.Errorf("refresh behind %d answers of a former leader: other %v, %v", stale, other, err)
		}
		f.stale.Store(stale)
		if at, err := log.HeadAt(t.Context(), head.Seq); err != nil || at.Digest != head.Digest {
			t.Errorf("head behind %d answers of a former leader: %+v, %v", stale, at, err)
		}
	}

	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	f.stale.Store(1 << 20)
	if _, err := w.Refresh(ctx); !errors.Is(err, eventlog.ErrUnavailable) || errors.Is(err, eventlog.ErrAhead) {
		t.Errorf("refresh while a former leader answers: %v, want ErrUnavailable", err)
	}
}
