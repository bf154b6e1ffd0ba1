package broker

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"

	"github.com/nats-io/nats-server/v2/server"
)

func splitListen(listen string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(listen)
	if err == nil {
		port, err = strconv.Atoi(text)
	}
	if err != nil || host == "" || port == 0 || port < server.RANDOM_PORT || port > 65535 {
		return "", 0, fmt.Errorf("listen address %q: want host:port", listen)
	}
	return host, port, nil
}

// listener is one address at which the server lets somebody in.
type listener struct {
	name          string // before its error; none for clients
	host          string
	port          int // 0: it does not listen
	encrypted     bool
	authenticated bool
}

// listeners are all that lead to the log. Monitoring is none: it shows what there
// is, but no message.
func listeners(o *server.Options) []listener {
	known := o.NoAuthUser == "" && (o.Users != nil || o.Nkeys != nil || o.Username != "" || o.Authorization != "" || o.TrustedOperators != nil)
	w, m, leaf := &o.Websocket, &o.MQTT, &o.LeafNode
	return []listener{
		{"", o.Host, o.Port, (o.TLSConfig != nil || o.TLS) && !o.AllowNonTLS, known || o.NoAuthUser == "" && verifies(o.TLSConfig)},
		{"websocket: ", w.Host, w.Port, w.TLSConfig != nil && !w.NoTLS, w.NoAuthUser == "" && (known || w.Username != "" || w.Token != "")},
		{"mqtt: ", m.Host, m.Port, m.TLSConfig != nil, m.NoAuthUser == "" && (known || m.Username != "" || m.Token != "")},
		{"leafnodes: ", leaf.Host, leaf.Port, leaf.TLSConfig != nil, known || leaf.Username != "" || leaf.Nkey != "" || leaf.Users != nil || verifies(leaf.TLSConfig)},
		{"cluster: ", o.Cluster.Host, o.Cluster.Port, o.Cluster.TLSConfig != nil, o.Cluster.Username != "" || verifies(o.Cluster.TLSConfig)},
		{"gateway: ", o.Gateway.Host, o.Gateway.Port, o.Gateway.TLSConfig != nil, o.Gateway.Username != "" || verifies(o.Gateway.TLSConfig)},
	}
}

func verifies(c *tls.Config) bool { return c != nil && c.ClientAuth == tls.RequireAndVerifyClientCert }

// checkListen refuses to offer the log to a network that nobody has to
// identify on.
func checkListen(o *server.Options) error {
	for _, l := range listeners(o) {
		ip := net.ParseIP(l.host)
		loopback := l.host == "localhost" || ip != nil && ip.IsLoopback()
		if l.port == 0 || loopback || l.encrypted && l.authenticated {
			continue
		}
		return fmt.Errorf("%slistening on %s without TLS and authentication lets anyone read and write the log: listen on 127.0.0.1, configure both, or give --allow-insecure-listen",
			l.name, cmp.Or(l.host, server.DEFAULT_HOST))
	}
	return nil
}

// checkFree refuses an address that is in use before anything is written: the
// server itself listens last.
func checkFree(o *server.Options) error {
	if o.Port == server.RANDOM_PORT {
		return nil
	}
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", net.JoinHostPort(o.Host, strconv.Itoa(o.Port)))
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w: stop the process that listens there, or give another --listen", err)
	}
	if err != nil {
		return err
	}
	return l.Close()
}
