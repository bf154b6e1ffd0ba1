package cmd_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"fleetlog/eventlog"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	eventsStream    = "nixfleet-" + fleet + "-events"
	artifactsStream = "nixfleet-" + fleet + "-artifacts"
	tickEnds        = "nixfleet." + fleet + ".event.TickCompleted"
)

// operation is something that a client of the server may want, in one way or in
// several that all must come to the same.
type operation struct {
	name string
	ways func(eventlog.Role) []attempt
}

// attempt is one way. Its error is nil when the client got what it wants.
type attempt func(context.Context, client) error

func an(name string, ways ...attempt) operation {
	return operation{name, func(eventlog.Role) []attempt { return ways }}
}

func operations() []operation {
	return slices.Concat(reading(), writing(), around(), administering())
}

func reading() []operation {
	return []operation{
		an("look up the streams", api("STREAM.INFO."+eventsStream, ""), api("STREAM.INFO."+artifactsStream, "")),
		an("read an event from any copy", api("DIRECT.GET."+eventsStream, `{"seq":1}`)),
		an("read an artifact from any copy", api("DIRECT.GET."+artifactsStream, `{"seq":1}`)),
		an("read an event from the leader", api("STREAM.MSG.GET."+eventsStream, `{"seq":1}`)),
		an("read an artifact from the leader", api("STREAM.MSG.GET."+artifactsStream, `{"seq":1}`)),
		an("read the last event on a subject", api("DIRECT.GET."+eventsStream+"."+tickEnds, "")),
		an("follow the events", follow(eventsStream)),
		an("follow the events on one subject", follow(eventsStream, tickEnds)),
		an("follow the artifacts", consume(artifactsStream, "any", "")),
		an("list the streams", api("STREAM.NAMES", ""), api("STREAM.LIST", "")),
		an("ask what the account uses", api("INFO", "")),
		an("list who follows the events", api("CONSUMER.NAMES."+eventsStream, ""), api("CONSUMER.LIST."+eventsStream, "")),
		an("list who follows the artifacts", api("CONSUMER.NAMES."+artifactsStream, ""), api("CONSUMER.LIST."+artifactsStream, "")),
		an("see who asks JetStream for what", subscribe("$JS.EVENT.ADVISORY.>")),
		an("read another fleet's log", api("STREAM.INFO.nixfleet-other-events", ""), nothing(api("STREAM.MSG.GET.nixfleet-other-events", `{"seq":1}`)),
			nothing(api("DIRECT.GET.nixfleet-other-events", `{"seq":1}`)), consume("nixfleet-other-events", "any", "")),
	}
}

func writing() []operation {
	return []operation{
		an("append an event", publish(tickEnds)),
		an("append several as one batch", batch(tickEnds)),
		an("write a LogOpened", publish("nixfleet."+fleet+".event.LogOpened")),
		an("store an artifact", publish("nixfleet-artifact."+fleet+".fleet")),
		an("append to another fleet's log", publish("nixfleet.other.event.TickCompleted"), send("nixfleet-artifact.other.fleet")),
		an("publish elsewhere", send("elsewhere"), send("nixfleet."+fleet), send("nixfleet."+fleet+".other")),
	}
}

func around() []operation {
	return []operation{
		an("hear events before they are stored", subscribe("nixfleet."+fleet+".event.>"), subscribe(tickEnds)),
		an("hear everything", subscribe(">")),
		an("hear what others ask", subscribe("$JS.API.>"), subscribe("$JS.API.STREAM.INFO."+eventsStream)),
		{"hear the answers to another role", ofOthers(func(inbox string) attempt { return subscribe(inbox + ".>") })},
		{"answer another role", ofOthers(func(inbox string) attempt { return send(inbox + ".1") })},
		an("use an inbox without a role", subscribe("_INBOX.>")),
		an("forge an advisory", send("$JS.EVENT.ADVISORY.API")),
		an("ask the server about itself", send("$SYS.REQ.SERVER.PING"), subscribe("$SYS.>")),
	}
}

func administering() []operation {
	return []operation{
		an("leave a consumer of the events behind", consume(eventsStream, "left", `,"durable_name":"left","ack_policy":"none"`)),
		an("look up a consumer of the events", api("CONSUMER.INFO."+eventsStream+".left", "")),
		an("hold up another's consumer of the events", holdUp),
		an("end another's consumer of the events", api("CONSUMER.DELETE."+eventsStream+".left", "")),
		an("have the events delivered to any subject", consume(eventsStream, "delivered", `,"deliver_subject":"elsewhere","ack_policy":"none"`)),
		an("make a stream", stream(jetstream.JetStream.CreateStream, "new", jetstream.StreamConfig{Subjects: []string{"new"}, MaxBytes: 1 << 20})),
		an("make one without a limit", stream(jetstream.JetStream.CreateStream, "unlimited", jetstream.StreamConfig{Subjects: []string{"unlimited"}})),
		an("change what a stream keeps", keepLess(eventsStream), keepLess(artifactsStream)),
		an("let a stream be purged", allowPurge(eventsStream), allowPurge(artifactsStream)),
		an("delete an event", api("STREAM.MSG.DELETE."+eventsStream, `{"seq":2}`)),
		an("delete an artifact", api("STREAM.MSG.DELETE."+artifactsStream, `{"seq":1}`)),
		an("purge a stream", api("STREAM.PURGE."+eventsStream, ""), api("STREAM.PURGE."+artifactsStream, "")),
		an("back up a stream", backup(eventsStream), backup(artifactsStream)),
		an("restore a stream", api("STREAM.RESTORE.restored", restored)),
		an("delete the log", api("STREAM.DELETE."+eventsStream, ""), api("STREAM.DELETE."+artifactsStream, "")),
	}
}

const restored = `{"config":{"name":"restored","subjects":["restored"],"retention":"limits","storage":"file","discard":"new","max_bytes":1048576,"num_replicas":1},"state":{}}`

// ofOthers are attempts on the inboxes of all other roles.
func ofOthers(try func(inbox string) attempt) func(eventlog.Role) []attempt {
	return func(own eventlog.Role) (ways []attempt) {
		for _, r := range eventlog.Roles() {
			if r != own {
				ways = append(ways, try(r.InboxPrefix()))
			}
		}
		return ways
	}
}

func api(request, body string) attempt {
	return func(ctx context.Context, c client) error {
		return c.ask(ctx, &nats.Msg{Subject: "$JS.API." + request, Data: []byte(body)})
	}
}

// publish wants the message to be stored.
func publish(subject string) attempt {
	return func(ctx context.Context, c client) error {
		return c.ask(ctx, &nats.Msg{Subject: subject, Data: []byte("{}")})
	}
}

func batch(subject string) attempt {
	return func(ctx context.Context, c client) error {
		id := nats.NewInbox()
		first := nats.Header{"Nats-Batch-Id": {id}, "Nats-Batch-Sequence": {"1"}}
		if err := c.nc.PublishMsg(&nats.Msg{Subject: subject, Header: first, Data: []byte("{}")}); err != nil {
			return err
		}
		last := nats.Header{"Nats-Batch-Id": {id}, "Nats-Batch-Sequence": {"2"}, "Nats-Batch-Commit": {"1"}}
		return c.ask(ctx, &nats.Msg{Subject: subject, Header: last, Data: []byte("{}")})
	}
}

// send wants no answer.
func send(subject string) attempt {
	return func(_ context.Context, c client) error {
		return errors.Join(c.nc.Publish(subject, []byte("{}")), c.nc.Flush())
	}
}

func subscribe(subject string) attempt {
	return func(_ context.Context, c client) error {
		_, err := c.nc.SubscribeSync(subject)
		return errors.Join(err, c.nc.Flush())
	}
}

// follow wants a message by the consumer that readers make.
func follow(stream string, subjects ...string) attempt {
	return func(ctx context.Context, c client) error {
		consumer, err := c.js.OrderedConsumer(ctx, stream, jetstream.OrderedConsumerConfig{FilterSubjects: subjects})
		if err != nil {
			return err
		}
		messages, err := consumer.Messages()
		if err != nil {
			return err
		}
		defer messages.Stop()
		_, err = messages.Next(jetstream.NextContext(ctx))
		return err
	}
}

// consume makes a consumer with settings that begin with a comma.
func consume(stream, name, settings string) attempt {
	return api("CONSUMER.CREATE."+stream+"."+name, `{"stream_name":"`+stream+`","config":{"name":"`+name+`"`+settings+`}}`)
}

// holdUp has a consumer of whom it knows the name deliver nothing for an hour, by
// making it anew.
func holdUp(ctx context.Context, c client) error {
	until := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	return api("CONSUMER.CREATE."+eventsStream+".left",
		`{"stream_name":"`+eventsStream+`","config":{"name":"left","durable_name":"left","ack_policy":"none","pause_until":"`+until+`"}}`)(ctx, c)
}

// nothing wants to be told that there is no such message.
func nothing(try attempt) attempt {
	return func(ctx context.Context, c client) error {
		err := try(ctx, c)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		return errors.Join(err, c.nc.LastError())
	}
}

type change func(jetstream.JetStream, context.Context, jetstream.StreamConfig) (jetstream.Stream, error)

func stream(do change, name string, config jetstream.StreamConfig) attempt {
	return func(ctx context.Context, c client) error {
		config.Name = name
		_, err := do(c.js, ctx, config)
		return err
	}
}

// keepLess lets a stream hold less, which throws nothing away here.
func keepLess(name string) attempt {
	return stream(jetstream.JetStream.UpdateStream, name, changed(name, func(c *jetstream.StreamConfig) { c.MaxBytes /= 2 }))
}

func allowPurge(name string) attempt {
	return stream(jetstream.JetStream.UpdateStream, name, changed(name, func(c *jetstream.StreamConfig) { c.DenyPurge = false }))
}

// changed is what provision makes, but for one setting.
func changed(name string, change func(*jetstream.StreamConfig)) jetstream.StreamConfig {
	c := jetstream.StreamConfig{
		Subjects: []string{"nixfleet." + fleet + ".event.>"}, Description: "changed",
		Compression: jetstream.S2Compression, Discard: jetstream.DiscardNew, DenyDelete: true, DenyPurge: true,
		AllowAtomicPublish: true, AllowDirect: true, MaxMsgs: -1, MaxMsgsPerSubject: -1, MaxBytes: 2 << 30, MaxConsumers: 100000, Replicas: 1,
	}
	if name == artifactsStream {
		c.Subjects = []string{"nixfleet-artifact." + fleet + ".>"}
	}
	change(&c)
	return c
}

// backup wants the beginning of a snapshot.
func backup(stream string) attempt {
	return func(ctx context.Context, c client) error {
		chunks, err := c.nc.SubscribeSync(c.nc.NewInbox())
		if err != nil {
			return err
		}
		if err := api("STREAM.SNAPSHOT."+stream, `{"deliver_subject":"`+chunks.Subject+`","no_consumers":true}`)(ctx, c); err != nil {
			return err
		}
		chunk, err := chunks.NextMsgWithContext(ctx)
		if err == nil && len(chunk.Data) == 0 {
			err = fmt.Errorf("the snapshot is empty: %v", chunk.Header)
		}
		return err
	}
}
