package process

import (
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

// gathered are the values of all gauges, by name and first label value.
func gathered(t *testing.T, c prometheus.Collector) map[string]float64 {
	t.Helper()
	metrics := prometheus.NewPedanticRegistry()
	metrics.MustRegister(c)
	families, err := metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.Metric {
			all[f.GetName()+" "+m.Label[0].GetValue()] = m.Gauge.GetValue()
		}
	}
	return all
}

func wantGathered(t *testing.T, c prometheus.Collector, want map[string]float64) {
	t.Helper()
	if diff := cmp.Diff(want, gathered(t, c)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestClientCertificateIsAMetric: it moves with the files, and stands while they
// are broken.
func TestClientCertificateIsAMetric(t *testing.T) {
	a := newAuthority(t)
	files := a.client(t, t.TempDir(), "one")
	transport := open(t, files, func(error) {})
	check := func() {
		t.Helper()
		inForce, err := readCertificate(namedFile{"", files.Cert}, namedFile{"", files.Key})
		if err != nil {
			t.Fatal(err)
		}
		wantGathered(t, transport.Metrics(), map[string]float64{
			"nixfleet_tls_cert_start_timestamp_seconds client":  float64(inForce.Leaf.NotBefore.Unix()),
			"nixfleet_tls_cert_expiry_timestamp_seconds client": float64(inForce.Leaf.NotAfter.Unix()),
		})
	}
	check()
	cert, err := os.ReadFile(files.Cert)
	if err != nil {
		t.Fatal(err)
	}
	before := gathered(t, transport.Metrics())
	write(t, files.Cert, []byte("broken"), 0o600)
	wantGathered(t, transport.Metrics(), before)
	write(t, files.Cert, cert, 0o600)
	check()
	a.lifetime *= 2
	a.client(t, filepath.Dir(files.Cert), "another")
	check()
	if cmp.Equal(before, gathered(t, transport.Metrics())) {
		t.Error("another certificate has the same times")
	}
	none := map[string]float64{"nixfleet_tls_cert_start_timestamp_seconds client": 0, "nixfleet_tls_cert_expiry_timestamp_seconds client": 0}
	wantGathered(t, open(t, TLSFiles{CA: files.CA}, nil).Metrics(), none)
	wantGathered(t, (*Transport)(nil).Metrics(), none)
}

func TestLastCertificate(t *testing.T) {
	var c *x509.Certificate
	var err error
	last := LastCertificate(func() (*x509.Certificate, error) { return c, err })
	if last() != nil {
		t.Error("there is one at first")
	}
	c = &x509.Certificate{}
	if last() != c {
		t.Error("it is not the one that was read")
	}
	read := c
	c, err = nil, errors.New("file is being written")
	if last() != read {
		t.Error("an unreadable file takes it out of use")
	}
}

func TestRotationsAreMetrics(t *testing.T) {
	const name = "nixfleet_trust_key_retire_timestamp_seconds "
	path := filepath.Join(t.TempDir(), "trust.json")
	slot := func(text string) []byte { return []byte(`{"schemaVersion":1,"ciReleaseKey":{` + text + `}}`) }
	write(t, path, slot(""), 0o600)
	metrics, err := TrustFile(path).Metrics()
	if err != nil {
		t.Fatal(err)
	}
	wantGathered(t, metrics, map[string]float64{name + "ciReleaseKey": 0, name + "orgRootKey": 0})
	write(t, path, slot(`"successor":{"algorithm":"ed25519","public":"x"},"retireAt":"1970-01-01T00:01:40Z"`), 0o600)
	due := map[string]float64{name + "ciReleaseKey": 100, name + "orgRootKey": 0}
	wantGathered(t, metrics, due)
	write(t, path, []byte("{"), 0o600)
	wantGathered(t, metrics, due)
	if _, err := TrustFile(path).Metrics(); err == nil {
		t.Error("a broken file is taken at first")
	}
}
