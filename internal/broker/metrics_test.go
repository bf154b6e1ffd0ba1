package broker_test

import (
	"testing"

	"fleetlog/internal/broker"
	"fleetlog/internal/broker/brokertest"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
)

// TestMetricsOfAServer with a client and a stream.
func TestMetricsOfAServer(t *testing.T) {
	b := brokertest.Start(t, func(c *broker.Config) { c.MaxStore, c.NoSync = 1<<20, true })
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(b.Metrics())
	values := func() map[string]float64 {
		t.Helper()
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		all := map[string]float64{}
		for _, f := range families {
			all[f.GetName()] = f.Metric[0].Gauge.GetValue()
		}
		return all
	}
	want := map[string]float64{
		"nixfleet_broker_healthy": 1, "nixfleet_broker_connections": 0,
		"nixfleet_broker_jetstream_bytes": 0, "nixfleet_broker_jetstream_max_bytes": 1 << 20,
	}
	if diff := cmp.Diff(want, values()); diff != "" {
		t.Errorf("alone (-want +got):\n%s", diff)
	}
	nc, err := nats.Connect(b.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "s", Subjects: []string{"s"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "s", make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	got := values()
	if stored := got["nixfleet_broker_jetstream_bytes"]; stored < 1000 || got["nixfleet_broker_connections"] != 1 {
		t.Errorf("with a client and a stream: %v", got)
	}
	if b.Certificate() != nil {
		t.Error("a server without TLS has a certificate")
	}
}
