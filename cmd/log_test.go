package cmd_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"time"

	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/process"
	"fleetlog/manifest"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rogpeppe/go-internal/testscript"
)

// connect connects to the script's broker until the script ends.
func connect(ts *testscript.TestScript) (context.Context, *nats.Conn, jetstream.JetStream) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	nc, err := nats.Connect(ts.Getenv("NATS"))
	ts.Check(err)
	ts.Defer(func() {
		nc.Close()
		cancel()
	})
	js, err := jetstream.New(nc)
	ts.Check(err)
	return ctx, nc, js
}

// last STREAM SEQ checks the newest sequence of the log's events or artifacts;
// none stands for a stream that does not exist.
func checkLast(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: last events|artifacts sequence|none")
	}
	ctx, _, js := connect(ts)
	got := "none"
	if stream, err := js.Stream(ctx, "nixfleet-"+fleet+"-"+args[0]); err == nil {
		got = strconv.FormatUint(stream.CachedInfo().State.LastSeq, 10)
	} else if !errors.Is(err, jetstream.ErrStreamNotFound) {
		ts.Fatalf("%v", err)
	}
	if got != args[1] {
		ts.Fatalf("last sequence of the %s is %s, want %s", args[0], got, args[1])
	}
}

// lossy STREAM... makes the log's events or artifacts with settings under which
// history can be lost.
func makeLossy(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: lossy events|artifacts...")
	}
	ctx, _, js := connect(ts)
	subjects := map[string]string{"events": "nixfleet." + fleet + ".event.>", "artifacts": "nixfleet-artifact." + fleet + ".>"}
	for _, name := range args {
		_, err := js.CreateStream(ctx, jetstream.StreamConfig{
			Name: "nixfleet-" + fleet + "-" + name, Subjects: []string{subjects[name]}, MaxAge: time.Hour,
		})
		ts.Check(err)
	}
}

// forget deletes both streams of the log.
func forget(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: forget")
	}
	ctx, _, js := connect(ts)
	for _, name := range []string{"events", "artifacts"} {
		ts.Check(js.DeleteStream(ctx, "nixfleet-"+fleet+"-"+name))
	}
}

// stream NAME SUBJECT makes a stream beside the log.
func makeStream(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: stream name subject")
	}
	ctx, _, js := connect(ts)
	_, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: args[0], Subjects: []string{args[1]}, Storage: jetstream.MemoryStorage})
	ts.Check(err)
}

// junk SUBJECT puts a message on the subject that is no event.
func writeJunk(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: junk subject")
	}
	ctx, _, js := connect(ts)
	_, err := js.Publish(ctx, args[0], []byte("junk"))
	ts.Check(err)
}

// pen KEY appends, with the writer key in that file, a valid tick that holds an
// event of a type that no program here knows.
func writeUnknown(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: pen key-file")
	}
	appendTick(ts, args[0], unknownTick)
}

// lie KEY appends, with the writer key in that file, a valid tick that names
// another set than its statement makes.
func writeLie(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: lie key-file")
	}
	appendTick(ts, args[0], func(key ed25519.PrivateKey, base events.Base, first uint64) ([]events.Message, error) {
		base.Head.Completed.Set.Digest[0] ^= 1
		return skippedTick(key, base, first)
	})
}

// composition makes the messages of a tick that will be stored from first on.
type composition func(key ed25519.PrivateKey, base events.Base, first uint64) ([]events.Message, error)

// appendTick appends what is composed behind whatever the log holds.
func appendTick(ts *testscript.TestScript, keyFile string, compose composition) {
	key, err := process.ReadWriterKey(ts.MkAbs(keyFile))
	ts.Check(err)
	ctx, nc, js := connect(ts)
	name, err := events.ParseFleetName(fleet)
	ts.Check(err)
	log, err := eventlog.Open(ctx, nc, eventlog.Place{Fleet: name})
	ts.Check(err)
	head, err := log.Head(ctx)
	ts.Check(err)
	end, err := log.LastSequence(ctx)
	ts.Check(err)
	messages, err := compose(key, events.Base{Fleet: name, Head: head}, end+1)
	ts.Check(err)
	for i, m := range messages {
		_, err := js.PublishMsg(ctx, &nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Body},
			jetstream.WithExpectLastSequence(end+uint64(i)))
		ts.Check(err)
	}
}

// skippedTick composes a tick whose fleet was not fetched in time.
func skippedTick(key ed25519.PrivateKey, base events.Base, first uint64) ([]events.Message, error) {
	writer, err := events.NewWriter(key)
	if err != nil {
		return nil, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, err
	}
	draft := events.Draft{
		Tick: id.String(), Time: events.TimeOf(time.Now()), Floor: base.Head.Floor(), Interval: time.Second,
		Findings: []events.Finding{&events.FleetRejected{Stage: events.StageFetch, Reason: events.Timeout}},
	}
	if base.Head.Completed != nil {
		draft.Set = base.Head.Completed.Set
	}
	return events.Compose(base, draft, events.Terms{Writer: writer}, first)
}

// unknownTick composes a skipped tick and renames the type of its finding.
func unknownTick(key ed25519.PrivateKey, base events.Base, first uint64) ([]events.Message, error) {
	messages, err := skippedTick(key, base, first)
	if err != nil {
		return nil, err
	}
	finding, completed := &messages[0], &messages[1]
	before, err := events.StatementDigest([][]byte{finding.Body})
	if err != nil {
		return nil, err
	}
	rename := strings.NewReplacer("FleetRejected", "FleetPondered")
	finding.Subject = rename.Replace(finding.Subject)
	finding.Body = []byte(rename.Replace(string(finding.Body)))
	finding.Header["ce-type"] = []string{rename.Replace(finding.Header["ce-type"][0])}
	after, err := events.StatementDigest([][]byte{finding.Body})
	if err != nil {
		return nil, err
	}
	completed.Body = []byte(strings.Replace(string(completed.Body), before.String(), after.String(), 1))
	signed := "fleetlog/v1\n" + base.Head.Lineage + "\n" + manifest.Sum(completed.Body).String()
	completed.Header[events.SignatureHeader] = []string{base64.StdEncoding.EncodeToString(ed25519.Sign(key, []byte(signed)))}
	return messages, nil
}
