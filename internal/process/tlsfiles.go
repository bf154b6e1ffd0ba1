package process

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/spf13/pflag"
)

// TLSFiles are the files of an HTTPS client.
type TLSFiles struct{ CA, Cert, Key string }

// Flags registers the flags under upstream's names.
func (f *TLSFiles) Flags(fs *pflag.FlagSet) {
	fs.StringVar(&f.CA, "ca-cert", "", "CA that signed the server's certificate, PEM; the system's roots are then not trusted")
	fs.StringVar(&f.Cert, "client-cert", "", "client certificate, PEM")
	fs.StringVar(&f.Key, "client-key", "", "key of the client certificate, PEM or OpenSSH ed25519")
}

// load reads all files.
func (f TLSFiles) load() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if f.CA != "" {
		data, err := os.ReadFile(f.CA)
		if err != nil {
			return nil, fmt.Errorf("read --ca-cert: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(data) {
			return nil, fmt.Errorf("read --ca-cert %s: it holds no certificate in PEM", f.CA)
		}
	}
	if (f.Cert == "") != (f.Key == "") {
		return nil, errors.New("--client-cert and --client-key are given together or not at all")
	}
	if f.Cert == "" {
		return config, nil
	}
	certificate, err := f.certificate()
	if err != nil {
		return nil, err
	}
	config.Certificates = []tls.Certificate{certificate}
	return config, nil
}

func (f TLSFiles) certificate() (tls.Certificate, error) {
	var c tls.Certificate
	data, err := os.ReadFile(f.Cert)
	if err != nil {
		return c, fmt.Errorf("read --client-cert: %w", err)
	}
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			c.Certificate = append(c.Certificate, block.Bytes)
		}
	}
	if len(c.Certificate) == 0 {
		return c, fmt.Errorf("read --client-cert %s: it holds no certificate in PEM", f.Cert)
	}
	if c.Leaf, err = x509.ParseCertificate(c.Certificate[0]); err != nil {
		return c, fmt.Errorf("read --client-cert %s: %w", f.Cert, err)
	}
	key, err := ReadPrivateFile(f.Key)
	if err != nil {
		return c, fmt.Errorf("read --client-key: %w", err)
	}
	if c.PrivateKey, err = parsePrivateKey(key); err != nil {
		return c, fmt.Errorf("read --client-key %s: %w", f.Key, err)
	}
	return c, nil
}

// Transport is an HTTP transport whose TLS files are looked at before every
// request: changed files are taken into force together, and a broken one leaves
// the old ones in force and is reported once.
type Transport struct {
	files  TLSFiles
	broken func(error)

	mu      sync.Mutex
	stamp   []time.Time
	current *http.Transport
}

// Transport loads the files. broken is told when changed files cannot be used.
func (f TLSFiles) Transport(broken func(error)) (*Transport, error) {
	t := &Transport{files: f, broken: broken}
	t.stamp = f.stamp()
	config, err := f.load()
	if err != nil {
		return nil, err
	}
	t.current = newTransport(config)
	return t, nil
}

// idleConnections is how many connections are kept open to the one server.
const idleConnections = 32

func newTransport(config *tls.Config) *http.Transport {
	return &http.Transport{
		TLSClientConfig: config, ForceAttemptHTTP2: true, DisableCompression: true,
		MaxIdleConnsPerHost: idleConnections, IdleConnTimeout: 90 * time.Second,
		TLSHandshakeTimeout: 10 * time.Second, MaxResponseHeaderBytes: 64 << 10,
	}
}

func (f TLSFiles) stamp() []time.Time {
	var stamps []time.Time
	for _, path := range []string{f.CA, f.Cert, f.Key} {
		var at time.Time
		if info, err := os.Stat(path); err == nil {
			at = info.ModTime()
		}
		stamps = append(stamps, at)
	}
	return stamps
}

// RoundTrip makes one request with the files in force.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) { return t.inForce().RoundTrip(r) }

func (t *Transport) inForce() *http.Transport {
	t.mu.Lock()
	defer t.mu.Unlock()
	stamp := t.files.stamp()
	if slices.EqualFunc(stamp, t.stamp, time.Time.Equal) {
		return t.current
	}
	t.stamp = stamp
	config, err := t.files.load()
	if err != nil {
		t.broken(err)
		return t.current
	}
	t.current.CloseIdleConnections()
	t.current = newTransport(config)
	return t.current
}
