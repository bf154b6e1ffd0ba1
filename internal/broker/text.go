package broker

import (
	"fmt"
	"strings"
)

// User is one who may connect with an nkey, and may publish and subscribe to
// these subjects only.
type User struct {
	Name      string // for people; the server knows the key alone
	Key       string // public
	Publish   []string
	Subscribe []string
}

// Setup is what a config file says beside the broker's defaults.
type Setup struct {
	Listen   string
	StoreDir string
	Account  string
	Users    []User
}

// Limits of a config file against clients that run wild.
const (
	maxConnections   = 1000
	maxSubscriptions = 1000 // of one connection
	maxStreams       = 10
	maxConsumers     = 100000 // no less than a stream of the log asks for
)

// ConfigText is a config file in NATS's own format with the broker's defaults,
// which lets in the users given and nobody else. The same setup gives the same text.
func ConfigText(s Setup) string {
	var t strings.Builder
	fmt.Fprint(&t, "# A NATS server for fleetlog. Every setting of nats-server may be used here.\n")
	fmt.Fprintf(&t, "server_name: fleetlog\nlisten: %q\n", s.Listen)
	fmt.Fprintf(&t, "max_payload: %d\nmax_connections: %d\nmax_subscriptions: %d\n\n", DefaultMaxPayload, maxConnections, maxSubscriptions)
	fmt.Fprintf(&t, "jetstream {\n  store_dir: %q\n  sync: always\n  max_file_store: %d\n  max_memory_store: %d\n", s.StoreDir, int64(DefaultMaxStore), DefaultMaxMemory)
	fmt.Fprintf(&t, "  limits { batch { max_msgs: %d } }\n}\n\n", DefaultMaxBatch)
	fmt.Fprintf(&t, "accounts {\n  %s {\n", s.Account)
	fmt.Fprintf(&t, "    jetstream { max_file: %d, max_mem: %d, max_streams: %d, max_consumers: %d, max_bytes_required: true }\n",
		int64(DefaultMaxStore), DefaultMaxMemory, maxStreams, maxConsumers)
	fmt.Fprint(&t, "    users: [\n")
	for _, u := range s.Users {
		fmt.Fprintf(&t, "      # %s\n      { nkey: %s, permissions: {\n", u.Name, u.Key)
		writeSubjects(&t, "publish", u.Publish)
		writeSubjects(&t, "subscribe", u.Subscribe)
		fmt.Fprint(&t, "      } }\n")
	}
	fmt.Fprint(&t, "    ]\n  }\n}\n")
	return t.String()
}

// writeSubjects writes all that is allowed; without any, nothing is.
func writeSubjects(t *strings.Builder, what string, subjects []string) {
	if len(subjects) == 0 {
		fmt.Fprintf(t, "        %s: { deny: \">\" }\n", what)
		return
	}
	fmt.Fprintf(t, "        %s: { allow: [\n", what)
	for _, subject := range subjects {
		fmt.Fprintf(t, "          %q\n", subject)
	}
	fmt.Fprint(t, "        ] }\n")
}
