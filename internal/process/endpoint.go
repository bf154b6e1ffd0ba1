package process

import "github.com/spf13/pflag"

// Endpoint is how a command reaches the broker.
type Endpoint struct {
	URL         string
	Context     string
	NKeyFile    string
	CredsFile   string
	CAFile      string
	CertFile    string
	KeyFile     string
	InboxPrefix string
}

// Flags registers the flags.
func (e *Endpoint) Flags(fs *pflag.FlagSet) {
	fs.StringVar(&e.URL, "nats-url", "nats://127.0.0.1:4222", "URL of the NATS server; several are separated by commas")
	fs.StringVar(&e.Context, "context", "", "saved context of the nats CLI, or the path of its file, instead of --nats-url")
	fs.StringVar(&e.NKeyFile, "nats-nkey-file", "", "file with the nkey seed to connect with")
	fs.StringVar(&e.CredsFile, "nats-creds-file", "", "credentials file to connect with")
	fs.StringVar(&e.CAFile, "nats-ca-cert", "", "CA of the NATS server, PEM")
	fs.StringVar(&e.CertFile, "nats-client-cert", "", "client certificate for the NATS server, PEM")
	fs.StringVar(&e.KeyFile, "nats-client-key", "", "key of that certificate, PEM")
	fs.StringVar(&e.InboxPrefix, "nats-inbox-prefix", "", "prefix of reply subjects, where the user's permissions name one")
}
