package broker

import (
	"crypto/x509"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/prometheus/client_golang/prometheus"
)

// Metrics tell how the server fares at the moment of being asked, which it is in
// this process. Every series is there from the start.
func (b *Broker) Metrics() prometheus.Collector {
	return &metrics{
		broker:      b,
		healthy:     describe("healthy", "1 while the server's own health check passes, JetStream's included, else 0."),
		connections: describe("connections", "Clients that are connected."),
		bytes:       describe("jetstream_bytes", "Bytes on disk that all streams of this server take."),
		maxBytes:    describe("jetstream_max_bytes", "Bytes on disk that all streams of this server may take."),
	}
}

type metrics struct {
	broker                                *Broker
	healthy, connections, bytes, maxBytes *prometheus.Desc
}

func describe(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("nixfleet_broker_"+name, help, nil, nil)
}

// Describe says what Collect collects.
func (m *metrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.healthy, m.connections, m.bytes, m.maxBytes} {
		to <- d
	}
}

// Collect sends one metric for every series.
func (m *metrics) Collect(to chan<- prometheus.Metric) {
	gauge := func(of *prometheus.Desc, value float64) {
		to <- prometheus.MustNewConstMetric(of, prometheus.GaugeValue, value)
	}
	healthy := 0.0
	if m.broker.Healthy() == nil {
		healthy = 1
	}
	gauge(m.healthy, healthy)
	gauge(m.connections, float64(m.broker.server.NumClients()))
	var used, most uint64
	if js, err := m.broker.server.Jsz(&server.JSzOptions{}); err == nil && !js.Disabled {
		used, most = js.Store, uint64(max(0, js.Config.MaxStore))
	}
	gauge(m.bytes, float64(used))
	gauge(m.maxBytes, float64(most))
}

// Certificate is what the server shows its clients, nil when it speaks no TLS.
func (b *Broker) Certificate() *x509.Certificate { return b.shown }
