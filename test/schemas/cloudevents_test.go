package schemas

import (
	"context"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"fleetlog/events"

	cejetstream "github.com/cloudevents/sdk-go/protocol/nats_jetstream/v2"
	"github.com/cloudevents/sdk-go/v2/binding"
	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
)

// TestCloudEventsSDKReadsTheLog lets the poller record good and bad releases, and
// the SDK's JetStream consumer read what is stored. Every stored event is of its
// schema, and its headers are of the AsyncAPI document.
func TestCloudEventsSDKReadsTheLog(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	s := newScene(ctx, t)
	fleets := s.record(ctx)
	nc, err := nats.Connect(s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	bodies, headers, seen := compiled(t), compiledHeaders(t), map[string]int{}
	for _, name := range fleets {
		fleet, err := events.ParseFleetName(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range receiveAll(ctx, t, nc, fleet) {
			validate(t, bodies, m.Msg.Data, seen)
			judge(ctx, t, m)
			judgeHeaders(t, headers, m.Msg)
		}
	}
	t.Logf("events by type: %v", seen)
	for _, name := range []string{
		events.TypeLogOpened, events.TypeFleetFetched, events.TypeFleetRejected, events.TypeRolloutVerified,
		events.TypeRolloutRejected, events.TypeCrossCheckFailed, events.TypeChannelIdle, events.TypeTickCompleted,
	} {
		if seen[name] == 0 {
			t.Errorf("the poller has recorded no %s", name)
		}
	}
}

// record records a log of many kinds of events, and one of each other kind of
// release, and returns the fleets.
func (s *scene) record(ctx context.Context) (fleets []string) {
	trust := s.release("medium-composite")
	first, second, third := trust+"/releases", s.release("resigned-1-composite")+"/releases", s.release("resigned-2-composite")+"/releases"
	s.poll(ctx, "prod", trust, first, 0)
	s.poll(ctx, "prod", trust, first, 0)
	s.poll(ctx, "prod", trust, s.path("empty"), 1)
	s.tamper("resigned-1-composite", "edge@*.json")
	s.poll(ctx, "prod", trust, second, 1)
	mixed := s.path("mixed") // a fleet, and the manifests of another one
	s.copy(third, mixed, "fleet.resolved.json*")
	s.copy(second, mixed, "rollouts/*")
	s.poll(ctx, "prod", trust, mixed, 1)
	s.poll(ctx, "prod", trust, first, 1) // older
	fleets = []string{"prod"}
	for _, name := range []string{"unicode", "p256", "nocommit", "small-composite"} {
		folder := s.release(name)
		s.poll(ctx, name, folder, folder+"/releases", 0)
		fleets = append(fleets, name)
	}
	return fleets
}

// receiveAll is all that is stored of the fleet's events, as the SDK receives it.
func receiveAll(ctx context.Context, t *testing.T, nc *nats.Conn, fleet events.FleetName) (all []*cejetstream.Message) {
	t.Helper()
	js, err := nc.JetStream()
	if err != nil {
		t.Fatal(err)
	}
	info, err := js.StreamInfo(fleet.EventsStream())
	if err != nil {
		t.Fatal(err)
	}
	consumer, err := cejetstream.NewConsumerFromConn(nc, fleet.EventsStream(), fleet.EventSubjects(), nil,
		[]nats.SubOpt{nats.OrderedConsumer(), nats.BindStream(fleet.EventsStream())})
	if err != nil {
		t.Fatal(err)
	}
	open, cancel := context.WithCancel(ctx)
	opened := make(chan error, 1)
	go func() { opened <- consumer.OpenInbound(open) }()
	for range info.State.Msgs {
		received, err := consumer.Receive(ctx)
		if err != nil {
			t.Fatalf("receive: %v", err)
		}
		all = append(all, received.(*cejetstream.Message))
	}
	cancel()
	if err := <-opened; err != nil {
		t.Errorf("consumer: %v", err)
	}
	return all
}

// judge compares what the SDK makes of a message with what its body says.
func judge(ctx context.Context, t *testing.T, m *cejetstream.Message) {
	t.Helper()
	if m.ReadEncoding() != binding.EncodingBinary {
		t.Errorf("%s: encoding is %s", m.Msg.Subject, m.ReadEncoding())
	}
	got, err := binding.ToEvent(ctx, m)
	if err == nil {
		err = got.Validate()
	}
	if err != nil {
		t.Fatalf("%s: %v", m.Msg.Subject, err)
	}
	event, err := events.Decode(m.Msg.Data)
	if err != nil {
		t.Fatal(err)
	}
	head := event.Head()
	want := cloudevents.New("1.0")
	want.SetID(head.Tick + "." + strconv.Itoa(head.Index))
	want.SetSource("/nixfleet/" + head.Fleet.String())
	want.SetType("io.nixfleet." + head.Type)
	want.SetTime(head.Time.Time())
	want.SetDataContentType("application/json")
	if channel, ok := event.ChannelName(); ok {
		want.SetSubject(events.ChannelToken(channel))
	}
	if diff := cmp.Diff(want.Context.AsV1(), got.Context.AsV1()); diff != "" {
		t.Errorf("%s: attributes (-want +got):\n%s", m.Msg.Subject, diff)
	}
	if diff := cmp.Diff(string(m.Msg.Data), string(got.Data())); diff != "" {
		t.Errorf("%s: data (-want +got):\n%s", m.Msg.Subject, diff)
	}
}

// plain is a value that is the same with and without percent-encoding.
var plain = regexp.MustCompile(`^[A-Za-z0-9._:/@=+-]+$`)

// judgeHeaders demands headers on which the text of the NATS binding and the SDK
// agree: binary by either rule, the content type by either name, values that
// need no encoding, and names in the case in which they are looked up.
func judgeHeaders(t *testing.T, schemas headerSchemas, m *nats.Msg) {
	t.Helper()
	flat := map[string]any{}
	for name, values := range m.Header {
		if len(values) != 1 || strings.HasPrefix(name, "ce-") && !plain.MatchString(values[0]) {
			t.Errorf("%s: header %s is %q", m.Subject, name, values)
		}
		flat[name] = values[0]
	}
	if err := schemas.of(t, m.Subject).Validate(flat); err != nil {
		t.Errorf("%s: headers %v: %v", m.Subject, flat, err)
	}
}
