package process

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// authority is a CA that issues certificates for this machine.
type authority struct {
	key      ed25519.PrivateKey
	cert     *x509.Certificate
	lifetime time.Duration // of what it signs
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{key: newKey(t), lifetime: time.Hour}
	a.cert = a.sign(t, "ca", a.key.Public(), nil)
	return a
}

func (a *authority) sign(t *testing.T, name string, public crypto.PublicKey, parent *x509.Certificate) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(a.lifetime),
		BasicConstraintsValid: true, IsCA: parent == nil, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if parent == nil {
		parent, template.ExtKeyUsage = template, nil
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, a.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func certPEM(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

// server demands client certificates of the authority and answers with the name
// in the one it was shown.
func (a *authority) server(t *testing.T) string {
	t.Helper()
	key := newKey(t)
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.TLS.PeerCertificates[0].Subject.CommonName)
	}))
	s.TLS = &tls.Config{
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, MinVersion: tls.VersionTLS12,
		Certificates: []tls.Certificate{{Certificate: [][]byte{a.sign(t, "server", key.Public(), a.cert).Raw}, PrivateKey: key}},
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL
}

// client writes the files of a client with the given name into dir.
func (a *authority) client(t *testing.T, dir, name string) TLSFiles {
	t.Helper()
	key := newKey(t)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return TLSFiles{
		CA:   write(t, filepath.Join(dir, "ca.pem"), certPEM(a.cert), 0o600),
		Cert: write(t, filepath.Join(dir, "cert.pem"), certPEM(a.sign(t, name, key.Public(), a.cert)), 0o600),
		Key:  write(t, filepath.Join(dir, "key"), openSSH(t, key), 0o600),
	}
}

// ask makes one request over the transport.
func ask(t *testing.T, transport *Transport, url string) (string, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

func mustAsk(t *testing.T, transport *Transport, url, want string) {
	t.Helper()
	if got, err := ask(t, transport, url); err != nil || got != want {
		t.Errorf("server saw %q, %v, want %q", got, err, want)
	}
}

func open(t *testing.T, files TLSFiles, broken func(error)) *Transport {
	t.Helper()
	transport, err := files.Transport(broken)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { transport.inForce().CloseIdleConnections() })
	return transport
}

func TestTransportPresentsTheCertificate(t *testing.T) {
	a := newAuthority(t)
	url := a.server(t)
	files := a.client(t, t.TempDir(), "one")
	never := func(err error) { t.Errorf("reported %v", err) }
	mustAsk(t, open(t, files, never), url, "one")

	key, err := ReadWriterKey(files.Key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, files.Key, pkcs8(t, key), 0o600)
	mustAsk(t, open(t, files, never), url, "one")

	write(t, files.CA, certPEM(newAuthority(t).cert), 0o600)
	_, err = ask(t, open(t, files, never), url)
	var unknown x509.UnknownAuthorityError
	if !errors.As(err, &unknown) {
		t.Errorf("under another CA: %v, want an unknown authority", err)
	}
}

// age gives all files of a directory the same old time, as the Nix store does.
func age(t *testing.T, files TLSFiles) {
	t.Helper()
	for _, path := range []string{files.CA, files.Cert, files.Key} {
		if err := os.Chtimes(path, time.Unix(1, 0), time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTransportPicksUpChangedFiles(t *testing.T) {
	a, b := newAuthority(t), newAuthority(t)
	dir := t.TempDir()
	for name, issuer := range map[string]*authority{"one": a, "two": a, "three": b} {
		age(t, issuer.client(t, filepath.Join(dir, name), name))
	}
	link := filepath.Join(dir, "current")
	use := func(name string) {
		t.Helper()
		if err := os.RemoveAll(link); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(name, link); err != nil {
			t.Fatal(err)
		}
	}
	use("one")
	files := TLSFiles{CA: link + "/ca.pem", Cert: link + "/cert.pem", Key: link + "/key"}
	transport := open(t, files, func(err error) { t.Errorf("reported %v", err) })
	urlA, urlB := a.server(t), b.server(t)
	mustAsk(t, transport, urlA, "one")
	use("two") // same CA, same times
	mustAsk(t, transport, urlA, "two")
	use("three")
	mustAsk(t, transport, urlB, "three")
	if _, err := ask(t, transport, urlA); err == nil {
		t.Error("the old CA is still trusted")
	}
}

func TestTransportKeepsTheOldFilesWhileTheNewAreBroken(t *testing.T) {
	a := newAuthority(t)
	url := a.server(t)
	dir := t.TempDir()
	files := a.client(t, dir, "one")
	oldKey, err := os.ReadFile(files.Key)
	if err != nil {
		t.Fatal(err)
	}
	var reported []string
	transport := open(t, files, func(err error) { reported = append(reported, err.Error()) })
	mustAsk(t, transport, url, "one")

	next := a.client(t, filepath.Join(dir, "next"), "two")
	rename := func(from, to string) {
		t.Helper()
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	rename(next.Cert, files.Cert) // half a rotation
	mustAsk(t, transport, url, "one")
	mustAsk(t, transport, url, "one")
	if len(reported) != 1 || !strings.Contains(reported[0], "is not the key of") {
		t.Errorf("half a rotation was reported as %q, want one line", reported)
	}
	rename(next.Key, files.Key)
	mustAsk(t, transport, url, "two")

	for _, breakIt := range []func(){
		func() { write(t, files.Cert, []byte("no PEM"), 0o600) },
		func() { write(t, files.Key, oldKey, 0o640) },
		func() { write(t, files.CA, nil, 0o600) },
		func() { _ = os.Remove(files.CA) },
	} {
		before := len(reported)
		breakIt()
		mustAsk(t, transport, url, "two")
		if len(reported) != before+1 {
			t.Errorf("reported %q, want one more line", reported[before:])
		}
	}
}

func TestTransportRefusesBrokenFilesAtStart(t *testing.T) {
	a := newAuthority(t)
	good := a.client(t, t.TempDir(), "one")
	other := a.client(t, t.TempDir(), "two")
	for name, files := range map[string]TLSFiles{
		"no key":           {CA: good.CA, Cert: good.Cert},
		"no certificate":   {CA: good.CA, Key: good.Key},
		"key of another":   {CA: good.CA, Cert: good.Cert, Key: other.Key},
		"key as CA":        {CA: good.Key},
		"missing CA":       {CA: good.CA + "x", Cert: good.Cert, Key: good.Key},
		"certificate mix":  {CA: good.CA, Cert: good.Key, Key: good.Key},
		"key is not a key": {CA: good.CA, Cert: good.Cert, Key: good.Cert},
	} {
		if _, err := files.Transport(nil); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want one line", name, err)
		}
	}
}
