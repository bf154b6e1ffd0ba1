package eventlog

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"time"

	"fleetlog/events"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/sirupsen/logrus"
	"github.com/synadia-io/orbit.go/natscontext"
)

// Endpoint is where the broker is and who connects.
type Endpoint struct {
	URL         string // of one or several servers, separated by commas
	Context     string // saved `nats` context; its settings stand unless given here
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
	if err := checkSeed(c.NKeyFile, writer); err != nil {
		return nil, err
	}
	options, err := c.options()
	if err != nil {
		return nil, err
	}
	if c.Context == "" {
		nc, err := nats.Connect(c.URL, options...)
		if err != nil {
			return nil, fmt.Errorf("connect to %s: %w: %w", c.URL, ErrUnavailable, err)
		}
		return nc, nil
	}
	nc, settings, err := natscontext.Connect(c.Context, options...)
	if err != nil {
		return nil, fmt.Errorf("connect with context %s: %w: %w", c.Context, ErrUnavailable, err)
	}
	if err := checkSeed(settings.NKey, writer); err != nil {
		nc.Close()
		return nil, err
	}
	return nc, nil
}

func (c Connection) options() ([]nats.Option, error) {
	options := []nats.Option{
		nats.Name(c.Name), nats.MaxReconnects(-1), nats.ReconnectBufSize(-1),
		nats.ReconnectWait(time.Second), nats.PingInterval(10 * time.Second), nats.MaxPingsOutstanding(2),
		nats.RetryOnFailedConnect(c.Patient),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			c.Log.WithError(err).Warn("broker refused something") // a denied request looks like a timeout; the reason comes here
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

// checkSeed compares the public key of an nkey seed file with the writer's.
func checkSeed(path string, writer *events.PublicKey) error {
	if path == "" || writer == nil {
		return nil
	}
	seed, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read nkey seed: %w", err)
	}
	pair, err := nkeys.ParseDecoratedNKey(seed)
	if err != nil {
		return fmt.Errorf("read nkey seed %s: %w", path, err)
	}
	defer pair.Wipe()
	public, err := pair.PublicKey()
	if err != nil {
		return fmt.Errorf("read nkey seed %s: %w", path, err)
	}
	raw, err := nkeys.Decode(nkeys.PrefixByteUser, []byte(public))
	if err != nil || len(raw) != ed25519.PublicKeySize {
		return fmt.Errorf("read nkey seed %s: it is not a user's", path)
	}
	if events.PublicKey(raw) == *writer {
		return ErrSameKey
	}
	return nil
}
