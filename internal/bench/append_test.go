package main

import (
	"fmt"
	"testing"
	"time"

	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/producers"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
)

// appends is how often each side appends in one round.
const appends = 20

// BenchmarkAppend appends ticks to a log whose server syncs every write, beside
// the same messages stored without anything around them.
func BenchmarkAppend(b *testing.B) {
	b.Run("statement", func(b *testing.B) { benchmarkAppend(b, 0) })
	b.Run("unchanged", func(b *testing.B) { benchmarkAppend(b, 24*time.Hour) })
}

func benchmarkAppend(b *testing.B, restateEvery time.Duration) {
	s := newScene(b)
	ours := s.appender(restateEvery)
	ours.append() // the first tick is always written out
	messages := ours.compose()
	bare := s.bare(messages)
	inTurns(b, appends, ours.append, bare).report(b, "ns", false)
}

type appender struct {
	*scene
	writer *eventlog.Writer
	terms  events.Terms
	result *producers.Result
}

func (s *scene) appender(restateEvery time.Duration) *appender {
	s.Helper()
	writer, err := s.log.NewWriter(s.Context(), func(uint64, uint64) {})
	s.must(err)
	return &appender{s, writer, events.Terms{Writer: s.writer, RestateEvery: restateEvery}, s.poll(1000, 12)}
}

func (a *appender) append() {
	draft := a.draft(a.result)
	_, err := a.writer.Append(a.Context(), func(base events.Base, firstSeq uint64) ([]events.Message, error) {
		return events.Compose(base, draft, a.terms, firstSeq)
	})
	a.must(err)
}

// compose makes the messages that append would store.
func (a *appender) compose() []events.Message {
	base := a.writer.Base()
	messages, err := events.Compose(base, a.draft(a.result), a.terms, base.Head.Seq+1)
	a.must(err)
	return messages
}

// bare stores such messages in another log's stream, behind what is there and
// with nothing else done: one by a fenced publish, several by the library's
// batch.
func (s *scene) bare(messages []events.Message) func() {
	other := s.provision("bare")
	js, err := jetstream.New(s.nc)
	s.must(err)
	end, err := other.LastSequence(s.Context())
	s.must(err)
	subject := other.Fleet().EventSubject("Bare")
	return func() {
		batch := make([]*nats.Msg, len(messages))
		for i, m := range messages {
			header := nats.Header{}
			for name, values := range m.Header {
				header[name] = values
			}
			batch[i] = &nats.Msg{Subject: subject, Header: header, Data: m.Body}
		}
		batch[0].Header.Set(jetstream.ExpectedLastSeqHeader, fmt.Sprint(end))
		if len(batch) == 1 {
			_, err = js.PublishMsg(s.Context(), batch[0])
		} else {
			_, err = jetstreamext.PublishMsgBatch(s.Context(), js, batch)
		}
		s.must(err)
		end += uint64(len(batch))
	}
}
