package eventlog

import (
	"context"
	"fmt"
	"strconv"

	"fleetlog/internal/failpoint"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
	"github.com/synadia-io/orbit.go/jetstreamext"
)

// answerEvery bounds how many messages of a batch are under way unanswered. The
// first is always answered: a server that takes no batches says so there.
const answerEvery = 500

// publishBatch stores the messages as one atomic batch, and returns the sequence
// of the last one.
func (l *Log) publishBatch(ctx context.Context, messages []*nats.Msg) (uint64, error) {
	id, commit := nuid.Next(), len(messages)-1
	for i, m := range messages {
		m.Header.Set(jetstreamext.BatchIDHeader, id)
		m.Header.Set(jetstreamext.BatchSeqHeader, strconv.Itoa(i+1))
		if i == commit {
			m.Header.Set(jetstreamext.BatchCommitHeader, "1")
			break
		}
		if i > 0 {
			if err := failpoint.At("batch"); err != nil {
				return 0, err
			}
		}
		if err := l.addToBatch(ctx, m, i%answerEvery == 0); err != nil {
			return 0, fmt.Errorf("message %d of the batch: %w", i+1, err)
		}
	}
	if err := failpoint.At("commit"); err != nil {
		return 0, err
	}
	stored, err := l.ask(ctx, messages[commit])
	if err != nil {
		return 0, err
	}
	if stored.Batch != id || stored.Count != len(messages) {
		return 0, fmt.Errorf("server stored %d messages of batch %q, want %d of %q", stored.Count, stored.Batch, len(messages), id)
	}
	return stored.Seq, nil
}

func (l *Log) addToBatch(ctx context.Context, m *nats.Msg, answered bool) error {
	if !answered {
		return l.nc.PublishMsg(m)
	}
	_, err := l.ask(ctx, m)
	return err
}

// batchAnswer is what the server says to a message of a batch. In good order it
// says nothing before the commit.
type batchAnswer struct {
	Error *jetstream.APIError `json:"error"`
	Seq   uint64              `json:"seq"`
	Batch string              `json:"batch"`
	Count int                 `json:"count"`
}

func (l *Log) ask(ctx context.Context, m *nats.Msg) (batchAnswer, error) {
	var answer batchAnswer
	reply, err := l.nc.RequestMsgWithContext(ctx, m)
	if err != nil || len(reply.Data) == 0 {
		return answer, err
	}
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		return answer, fmt.Errorf("%w: %w", jetstream.ErrInvalidJSAck, err)
	}
	if answer.Error != nil {
		return answer, answer.Error
	}
	return answer, nil
}
