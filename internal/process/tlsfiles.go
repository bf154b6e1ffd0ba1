package process

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
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
	if !belongs(c) {
		return c, fmt.Errorf("--client-key %s is not the key of --client-cert %s", f.Key, f.Cert)
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
type Transport struct {
	files  TLSFiles
	broken func(error)

	mu      sync.Mutex
	seen    []fs.FileInfo // what the files were when they were last read
	current *http.Transport
}

// Transport loads the files. broken is told when changed files cannot be used.
func (f TLSFiles) Transport(broken func(error)) (*Transport, error) {
	t := &Transport{files: f, broken: broken, seen: f.stat()}
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

// stat looks at the files; nil stands for one that cannot be seen.
func (f TLSFiles) stat() []fs.FileInfo {
	var infos []fs.FileInfo
	for _, path := range []string{f.CA, f.Cert, f.Key} {
		info, err := os.Stat(path)
		if err != nil {
			info = nil
		}
		infos = append(infos, info)
	}
	return infos
}

// unchanged compares more than times: where files are replaced by changing a
// symlink, as on NixOS, all may have the same one.
func unchanged(a, b fs.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

// RoundTrip makes one request with the files in force.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	return t.inForce().RoundTrip(r)
}

func (t *Transport) inForce() *http.Transport {
	t.mu.Lock()
	defer t.mu.Unlock()
	seen := t.files.stat()
	if slices.EqualFunc(seen, t.seen, unchanged) {
		return t.current
	}
	t.seen = seen
	config, err := t.files.load()
	if err != nil {
		t.broken(err)
		return t.current
	}
	t.current.CloseIdleConnections()
	t.current = newTransport(config)
	return t.current
}
