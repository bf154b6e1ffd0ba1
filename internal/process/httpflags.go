package process

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	"github.com/spf13/pflag"
)

// HTTPFlags say where and to whom a command serves HTTP.
type HTTPFlags struct {
	Address             string
	AllowRemote         bool
	Cert, Key, ClientCA string

	inForce *watched[*tls.Config] // once listening with certificates
}

// Flags registers the flags. what is served, for the help text.
func (h *HTTPFlags) Flags(fs *pflag.FlagSet, what string) {
	fs.StringVar(&h.Address, "http-listen", "", "address to serve "+what+" on, HOST:PORT or unix:PATH: loopback unless clients show certificates; off unless given")
	fs.StringVar(&h.Cert, "http-cert", "", "certificate to serve HTTPS with, PEM; with --http-key and --http-client-ca")
	fs.StringVar(&h.Key, "http-key", "", "key of that certificate, PEM or OpenSSH ed25519, mode 0600")
	fs.StringVar(&h.ClientCA, "http-client-ca", "", "CA whose client certificates are let in, PEM")
	fs.BoolVar(&h.AllowRemote, "http-allow-remote", false, "let --http-listen be any address although nobody is asked for a certificate")
}

// Listen opens the address and logs what it has become. Without an address there
// is no listener, and no error. With certificates it speaks TLS, and client
// certificates, where they are shown, are verified: who shows none is the
// handler's to refuse. The files are looked at at every handshake; those that
// changed are in force for new connections.
func (h *HTTPFlags) Listen(ctx context.Context, log logrus.FieldLogger) (net.Listener, error) {
	secure := h.Cert != "" && h.Key != "" && h.ClientCA != ""
	if !secure && h.Cert+h.Key+h.ClientCA != "" {
		return nil, errors.New("--http-cert, --http-key and --http-client-ca are given together or not at all")
	}
	if h.Address == "" {
		if secure || h.AllowRemote {
			return nil, errors.New("nothing is served: give --http-listen")
		}
		return nil, nil
	}
	var config *tls.Config
	if secure {
		var err error
		if config, err = h.config(log); err != nil {
			return nil, err
		}
	}
	l, err := Listen(ctx, h.Address, secure || h.AllowRemote)
	if errors.Is(err, ErrRemoteListen) {
		return nil, fmt.Errorf("--http-listen: %w, or --http-cert, --http-key and --http-client-ca, or --http-allow-remote", err)
	}
	if err != nil {
		return nil, fmt.Errorf("--http-listen: %w", err)
	}
	log.WithField("address", l.Addr().String()).Info("serving HTTP")
	if secure {
		l = tls.NewListener(l, config)
	}
	return l, nil
}

// config takes what the files hold at each handshake. No session is resumed: it
// would be on the word of files that may have been replaced.
func (h *HTTPFlags) config(log logrus.FieldLogger) (*tls.Config, error) {
	files, err := watch([]string{h.Cert, h.Key, h.ClientCA}, h.load, func(err error) {
		log.WithError(err).Warn("changed TLS files cannot be used: those read before stay in force")
	})
	if err != nil {
		return nil, err
	}
	h.inForce = files
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			current, _ := files.inForce()
			return current, nil
		},
	}, nil
}

func (h *HTTPFlags) load() (*tls.Config, error) {
	certificate, err := readCertificate(namedFile{"--http-cert", h.Cert}, namedFile{"--http-key", h.Key})
	if err != nil {
		return nil, err
	}
	clients, err := readPool(namedFile{"--http-client-ca", h.ClientCA})
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, SessionTicketsDisabled: true,
		Certificates: []tls.Certificate{certificate}, ClientCAs: clients, ClientAuth: tls.VerifyClientCertIfGiven,
	}, nil
}

// Metrics tell of the certificate that is served.
func (h *HTTPFlags) Metrics() prometheus.Collector {
	return CertificateMetrics("http", func() *x509.Certificate {
		if h.inForce == nil {
			return nil
		}
		config, _ := h.inForce.inForce()
		return config.Certificates[0].Leaf
	})
}
