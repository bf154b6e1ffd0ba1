package eventlog

import (
	"crypto/ed25519"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"fleetlog/events"

	"github.com/nats-io/nats.go"
	"github.com/sirupsen/logrus"
	"github.com/synadia-io/orbit.go/natscontext"
)

// Endpoint is where the broker is and who connects.
type Endpoint struct {
	URL         string // of one or several servers, separated by commas
	Context     string // saved `nats` context, or its file; its settings stand unless given here
	NKeyFile    string // seed file
	CredsFile   string
	CAFile      string
	CertFile    string
	KeyFile     string
	InboxPrefix string
}

// Connection says how to connect.
type Connection struct {
	Endpoint
	Name    string // shown by the server's monitoring
	Patient bool   // true: start although no server answers yet
	Log     logrus.FieldLogger
}

// ErrSameKey refuses a connection whose nkey is the writer's key: a client signs
// whatever nonce a server sends, so that a server could obtain signatures of
// ticks.
var ErrSameKey = errors.New("nkey of the connection is the writer's key: use the writer key for nothing else")

// Connect opens a connection that never gives up: it reconnects for ever, and
// what is published while it is away fails at once instead of being replayed
// later. writer is the key that the connection must not use; nil when the
// caller signs nothing.
func Connect(c Connection, writer *events.PublicKey) (*nats.Conn, error) {
	options, err := c.options()
	if err != nil {
		return nil, err
	}
	if writer != nil {
		options = append(options, refuseKey(*writer)) // last: it looks at what the others have set
	}
	if c.Context == "" {
		nc, err := nats.Connect(c.URL, options...)
		if errors.Is(err, ErrSameKey) {
			return nil, err
		}
		if err != nil {
			return nil, fmt.Errorf("connect to %s: %w: %w: check that it runs there and takes these credentials", redact(c.URL), ErrUnavailable, err)
		}
		if !nc.IsConnected() {
			c.Log.WithField("url", redact(c.URL)).Warn("no broker answers yet, trying on: check that it runs there and takes these credentials")
		}
		return nc, nil
	}
	from, err := contextName(c.Context)
	if err != nil {
		return nil, err
	}
	nc, _, err := natscontext.Connect(from, options...)
	if errors.Is(err, ErrSameKey) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("connect with context %s: %w: %w", c.Context, ErrUnavailable, err)
	}
	return nc, nil
}

// contextName makes a path absolute, which the library tells files from names by.
func contextName(given string) (string, error) {
	if !strings.ContainsRune(given, filepath.Separator) {
		return given, nil
	}
	absolute, err := filepath.Abs(given)
	if err != nil {
		return "", fmt.Errorf("context %s: %w", given, err)
	}
	return absolute, nil
}

// redact hides the passwords in URLs separated by commas.
func redact(urls string) string {
	parts := strings.Split(urls, ",")
	for i, part := range parts {
		if !strings.Contains(part, "://") {
			part = "nats://" + part
		}
		parts[i] = "(not a URL)"
		if u, err := url.Parse(strings.TrimSpace(part)); err == nil {
			parts[i] = u.Redacted()
		}
	}
	return strings.Join(parts, ",")
}

// checkSecrets refuses files whose secret everybody on the machine may read. A
// group may: secrets are mounted so.
func (e Endpoint) checkSecrets() error {
	for _, path := range []string{e.NKeyFile, e.CredsFile, e.KeyFile} {
		if path == "" {
			continue
		}
		info, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("read secret of the connection: %w", err)
		}
		if info.Mode().Perm()&0o007 != 0 {
			return fmt.Errorf("%s is open to everybody (mode %#o): run chmod 600 %s", path, info.Mode().Perm(), path)
		}
	}
	return nil
}

func (c Connection) options() ([]nats.Option, error) {
	if err := c.checkSecrets(); err != nil {
		return nil, err
	}
	options := []nats.Option{
		nats.Name(c.Name), nats.MaxReconnects(-1), nats.ReconnectBufSize(-1),
		nats.ReconnectWait(time.Second), nats.PingInterval(10 * time.Second), nats.MaxPingsOutstanding(2),
		nats.RetryOnFailedConnect(c.Patient), nats.IgnoreAuthErrorAbort(),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			if errors.Is(err, nats.ErrPermissionViolation) { // the request itself looks like a timeout; the reason comes here alone
				c.Log.WithError(err).Error("broker does not permit this user what it must do: give it this permission")
				return
			}
			c.Log.WithError(err).Warn("broker refused something")
		}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				c.Log.WithError(err).Warn("connection to the broker lost")
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			c.Log.WithField("url", nc.ConnectedUrlRedacted()).Info("connected to the broker again")
		}),
	}
	if c.InboxPrefix != "" {
		options = append(options, nats.CustomInboxPrefix(c.InboxPrefix))
	}
	if c.NKeyFile != "" {
		option, err := nats.NkeyOptionFromSeed(c.NKeyFile)
		if err != nil {
			return nil, fmt.Errorf("read nkey seed %s: %w", c.NKeyFile, err)
		}
		options = append(options, option)
	}
	if c.CredsFile != "" {
		options = append(options, nats.UserCredentials(c.CredsFile))
	}
	if c.CAFile != "" {
		options = append(options, nats.RootCAs(c.CAFile))
	}
	if c.CertFile != "" || c.KeyFile != "" {
		options = append(options, nats.ClientCert(c.CertFile, c.KeyFile))
	}
	return options, nil
}

// refuseKey keeps the writer's key from signing what a server sends, whether an
// nkey seed, a credentials file or a saved context names it: before a connection
// is made, and should the file change, at every later one.
func refuseKey(writer events.PublicKey) nats.Option {
	return func(o *nats.Options) error {
		sign := o.SignatureCB
		if sign == nil {
			return nil
		}
		o.SignatureCB = func(nonce []byte) ([]byte, error) {
			signature, err := sign(nonce)
			if err == nil && ed25519.Verify(writer[:], nonce, signature) {
				return nil, ErrSameKey
			}
			return signature, err
		}
		_, err := o.SignatureCB([]byte("fleetlog: whose key is this?"))
		return err
	}
}

// ClientCertificate is what the connection shows a broker when it connects next;
// nil for a connection without one.
func ClientCertificate(nc *nats.Conn) (*x509.Certificate, error) {
	read := nc.Opts.TLSCertCB
	if read == nil {
		return nil, nil
	}
	shown, err := read()
	if err != nil {
		return nil, fmt.Errorf("read client certificate for the broker: %w", err)
	}
	return shown.Leaf, nil
}
