package process

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
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
func (f TLSFiles) load() (*http.Transport, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	var err error
	if f.CA != "" {
		if config.RootCAs, err = readPool(namedFile{"--ca-cert", f.CA}); err != nil {
			return nil, err
		}
	}
	if (f.Cert == "") != (f.Key == "") {
		return nil, errors.New("--client-cert and --client-key are given together or not at all")
	}
	if f.Cert == "" {
		return newTransport(config), nil
	}
	certificate, err := readCertificate(namedFile{"--client-cert", f.Cert}, namedFile{"--client-key", f.Key})
	if err != nil {
		return nil, err
	}
	config.Certificates = []tls.Certificate{certificate}
	return newTransport(config), nil
}

// namedFile is a file and the flag that named it.
type namedFile struct{ flag, path string }

func readPool(f namedFile) (*x509.CertPool, error) {
	data, err := os.ReadFile(f.path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", f.flag, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("read %s %s: it holds no certificate in PEM", f.flag, f.path)
	}
	return pool, nil
}

func readCertificate(cert, key namedFile) (tls.Certificate, error) {
	var c tls.Certificate
	data, err := os.ReadFile(cert.path)
	if err != nil {
		return c, fmt.Errorf("read %s: %w", cert.flag, err)
	}
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			c.Certificate = append(c.Certificate, block.Bytes)
		}
	}
	if len(c.Certificate) == 0 {
		return c, fmt.Errorf("read %s %s: it holds no certificate in PEM", cert.flag, cert.path)
	}
	if c.Leaf, err = x509.ParseCertificate(c.Certificate[0]); err != nil {
		return c, fmt.Errorf("read %s %s: %w", cert.flag, cert.path, err)
	}
	private, err := ReadPrivateFile(key.path)
	if err != nil {
		return c, fmt.Errorf("read %s: %w", key.flag, err)
	}
	if c.PrivateKey, err = parsePrivateKey(private); err != nil {
		return c, fmt.Errorf("read %s %s: %w", key.flag, key.path, err)
	}
	if !belongs(c) {
		return c, fmt.Errorf("%s %s is not the key of %s %s", key.flag, key.path, cert.flag, cert.path)
	}
	return c, nil
}

// belongs tells whether the certificate is for the key. While the two files are
// replaced one after the other it is not.
func belongs(c tls.Certificate) bool {
	signer, ok := c.PrivateKey.(crypto.Signer)
	if !ok {
		return false
	}
	public, ok := signer.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(c.Leaf.PublicKey)
}

// Transport is an HTTP transport whose TLS files are looked at before every
// request: changed files are taken into force together, and a broken one leaves
// the old ones in force and is reported once.
type Transport struct{ files *watched[*http.Transport] }

// Transport loads the files. broken is told when changed files cannot be used.
func (f TLSFiles) Transport(broken func(error)) (*Transport, error) {
	files, err := watch([]string{f.CA, f.Cert, f.Key}, f.load, broken)
	return &Transport{files}, err
}

// idleConnections is how many connections are kept open to the one server: more
// than are in use at once, or every tick would open some anew. Two requests for each
// artifact that is fetched at once are that many at eight times the default.
const idleConnections = 512

// An HTTP/2 connection is kept whatever becomes of its requests. One from which
// nothing came for pingAfter, and no answer to a ping either, is given up: a
// network that has forgotten it would swallow every request for a quarter of an hour.
const (
	pingAfter   = 15 * time.Second
	pingTimeout = 5 * time.Second
)

func newTransport(config *tls.Config) *http.Transport {
	return &http.Transport{
		TLSClientConfig: config, ForceAttemptHTTP2: true, DisableCompression: true,
		MaxIdleConnsPerHost: idleConnections, IdleConnTimeout: 90 * time.Second,
		TLSHandshakeTimeout: 10 * time.Second, MaxResponseHeaderBytes: 64 << 10,
		HTTP2: &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
	}
}

// RoundTrip makes one request with the files in force.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	return t.inForce().RoundTrip(r)
}

func (t *Transport) inForce() *http.Transport {
	current, replaced := t.files.inForce()
	if replaced != nil {
		replaced.CloseIdleConnections()
	}
	return current
}
