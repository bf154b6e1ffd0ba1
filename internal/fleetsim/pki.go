// Package fleetsim is a NixFleet control plane for tests and the demo: real
// mutual TLS, and the answers of the real one.
package fleetsim

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// PKI is one certificate authority for both sides, a server certificate for
// localhost and 127.0.0.1, and client certificates.
type PKI struct {
	ca     *x509.Certificate
	key    crypto.Signer
	now    time.Time
	serial int64
}

// Life is how long an authority and the certificates of its servers are valid.
const Life = 90 * 24 * time.Hour

// NewPKI makes an authority that is valid from the day before now on, for [Life].
func NewPKI(now time.Time) (*PKI, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make CA: %w", err)
	}
	p := &PKI{key: key, now: now}
	template := p.template("fleetlog simulated CA", now.Add(Life))
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make CA: %w", err)
	}
	p.ca, err = x509.ParseCertificate(der)
	return p, err
}

func (p *PKI) template(name string, until time.Time) *x509.Certificate {
	p.serial++
	return &x509.Certificate{
		SerialNumber: big.NewInt(p.serial), Subject: pkix.Name{CommonName: name},
		NotBefore: p.now.Add(-24 * time.Hour), NotAfter: until,
	}
}

// issue makes a certificate and its key.
func (p *PKI) issue(template *x509.Certificate) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("issue certificate: %w", err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, p.ca, key.Public(), p.key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("issue certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// server is the control plane's side of the connection.
func (p *PKI) server() (*tls.Config, error) {
	template := p.template("localhost", p.now.Add(Life))
	template.DNSNames, template.IPAddresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)}
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	certificate, err := p.issue(template)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(p.ca)
	return serverConfig(certificate, roots), nil
}

// WriteServer issues a server certificate and writes ca.pem, server.pem and
// server.key into dir, for [StartFromFiles] in another process.
func (p *PKI) WriteServer(dir string) error {
	config, err := p.server()
	if err != nil {
		return err
	}
	certificate := config.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		return fmt.Errorf("write server files: %w", err)
	}
	return writePEM(map[string]*pem.Block{
		filepath.Join(dir, "ca.pem"):     {Type: "CERTIFICATE", Bytes: p.ca.Raw},
		filepath.Join(dir, "server.pem"): {Type: "CERTIFICATE", Bytes: certificate.Certificate[0]},
		filepath.Join(dir, "server.key"): {Type: "PRIVATE KEY", Bytes: key},
	})
}

// readServer reads what WriteServer has written.
func readServer(dir string) (*tls.Config, error) {
	certificate, err := tls.LoadX509KeyPair(filepath.Join(dir, "server.pem"), filepath.Join(dir, "server.key"))
	if err != nil {
		return nil, fmt.Errorf("read server files: %w", err)
	}
	ca, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		return nil, fmt.Errorf("read server files: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	return serverConfig(certificate, roots), nil
}

func serverConfig(certificate tls.Certificate, roots *x509.CertPool) *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{certificate}, ClientCAs: roots,
		ClientAuth: tls.VerifyClientCertIfGiven, MinVersion: tls.VersionTLS12,
	}
}

func writePEM(blocks map[string]*pem.Block) error {
	for path, block := range blocks {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			return fmt.Errorf("write certificate files: %w", err)
		}
	}
	return nil
}

// ClientFiles are the files that a client needs.
type ClientFiles struct{ CA, Cert, Key string }

// WriteClient issues a client certificate that is valid until the given time,
// and writes ca.pem, client.pem and client.key into dir.
func (p *PKI) WriteClient(dir string, until time.Time) (ClientFiles, error) {
	template := p.template("agent-web-01.fleet.example.com", until)
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	certificate, err := p.issue(template)
	if err != nil {
		return ClientFiles{}, err
	}
	key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		return ClientFiles{}, fmt.Errorf("write client files: %w", err)
	}
	files := ClientFiles{filepath.Join(dir, "ca.pem"), filepath.Join(dir, "client.pem"), filepath.Join(dir, "client.key")}
	return files, writePEM(map[string]*pem.Block{
		files.CA:   {Type: "CERTIFICATE", Bytes: p.ca.Raw},
		files.Cert: {Type: "CERTIFICATE", Bytes: certificate.Certificate[0]},
		files.Key:  {Type: "PRIVATE KEY", Bytes: key},
	})
}
