package process

import (
	"crypto/x509"
	"sync"

	"fleetlog/manifest"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// NewRegistry has what every process tells of itself: Go's metrics, the process's
// own, and its version as nixfleet_NAME_build_info.
func NewRegistry(name string) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "nixfleet_" + name + "_build_info", Help: "Version of the program; always 1.",
			ConstLabels: prometheus.Labels{"version": Version()},
		}, func() float64 { return 1 }),
	)
	return registry
}

// certificateMetrics tell between which times a certificate is valid.
type certificateMetrics struct {
	start, expiry *prometheus.Desc
	read          func() *x509.Certificate
}

// CertificateMetrics are of the certificate that read gives at every scrape; of
// none, nil, they are 0.
func CertificateMetrics(use string, read func() *x509.Certificate) prometheus.Collector {
	labels := prometheus.Labels{"use": use}
	return &certificateMetrics{
		start:  prometheus.NewDesc("nixfleet_tls_cert_start_timestamp_seconds", "When the certificate in use began to be valid; 0 without one.", nil, labels),
		expiry: prometheus.NewDesc("nixfleet_tls_cert_expiry_timestamp_seconds", "When the certificate in use ends; 0 without one.", nil, labels),
		read:   read,
	}
}

// Describe says what Collect collects.
func (m *certificateMetrics) Describe(to chan<- *prometheus.Desc) { to <- m.start; to <- m.expiry }

// Collect sends both times.
func (m *certificateMetrics) Collect(to chan<- prometheus.Metric) {
	var start, expiry float64
	if c := m.read(); c != nil {
		start, expiry = float64(c.NotBefore.Unix()), float64(c.NotAfter.Unix())
	}
	to <- prometheus.MustNewConstMetric(m.start, prometheus.GaugeValue, start)
	to <- prometheus.MustNewConstMetric(m.expiry, prometheus.GaugeValue, expiry)
}

// Metrics tell of the client certificate in force; nil is a transport without one.
func (t *Transport) Metrics() prometheus.Collector {
	return CertificateMetrics("client", func() *x509.Certificate {
		if t == nil {
			return nil
		}
		if shown := t.inForce().TLSClientConfig.Certificates; len(shown) > 0 {
			return shown[0].Leaf
		}
		return nil
	})
}

// LastCertificate gives what read gave last: a file that cannot be read for a
// moment takes no certificate out of use.
func LastCertificate(read func() (*x509.Certificate, error)) func() *x509.Certificate {
	var mu sync.Mutex
	var last *x509.Certificate
	return func() *x509.Certificate {
		mu.Lock()
		defer mu.Unlock()
		if c, err := read(); err == nil {
			last = c
		}
		return last
	}
}

// trustMetrics tell when announced rotations of keys are due.
type trustMetrics struct {
	retire *prometheus.Desc
	files  *watched[*manifest.Trust]
}

// Metrics tell of the trust file as it is, or, while it is refused, as it was.
// Errors are those of [TrustFile.Parse].
func (f TrustFile) Metrics() (prometheus.Collector, error) {
	files, err := watch([]string{string(f)}, f.Parse, func(error) {})
	return &trustMetrics{
		prometheus.NewDesc("nixfleet_trust_key_retire_timestamp_seconds",
			"When the successor in this slot of trust.json must have been made current; 0 while none is announced.", []string{"slot"}, nil),
		files,
	}, err
}

// Describe says what Collect collects.
func (m *trustMetrics) Describe(to chan<- *prometheus.Desc) { to <- m.retire }

// Collect sends one time for every slot.
func (m *trustMetrics) Collect(to chan<- prometheus.Metric) {
	trust, _ := m.files.inForce()
	due := trust.Rotations()
	for _, slot := range []string{"ciReleaseKey", "orgRootKey"} {
		at := 0.0
		if instant, ok := due[slot]; ok {
			at = float64(instant.Time().Unix())
		}
		to <- prometheus.MustNewConstMetric(m.retire, prometheus.GaugeValue, at, slot)
	}
}
