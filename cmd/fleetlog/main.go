// Command fleetlog is the operator's and auditor's tool. See README.md beside
// this file.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/process"

	"github.com/nats-io/nats.go"
	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func main() { os.Exit(process.Main(command(), codeOf)) }

func command() *cobra.Command {
	root := &cobra.Command{
		Use:   "fleetlog",
		Short: "ask a fleet's log, and verify releases",
		Long: `fleetlog reads the log itself and needs no running reducer. Answers go to
standard output, notes to standard error; it never prompts.

Exit status: 0 yes, 1 no, 2 could not tell, 130 interrupted. fleetlog explain 2 says more.`,
		Args: cobra.NoArgs,
	}
	root.AddCommand(provisionCommand(), mirrorCommand(), headCommand(), verifyCommand(), canonicalizeCommand(), showCommand(), eventsCommand(), fsckCommand(),
		historyCommand(), diffCommand(), traceCommand(), whyCommand(), replayCommand(), explainCommand(), schemaCommand(),
		auditCommand(), exportCommand(), anchorCommand())
	root.AddCommand(statusCommand(), checkCommand(), waitCommand())
	root.SetArgs(arguments())
	root.Version = process.Version()
	process.EnvironmentFlags(root, "FLEETLOG")
	return root
}

// could marks an error as "could not tell", but that of a signal, which has a
// code of its own.
func could(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	return process.Exit(process.ExitUnknown, err)
}

// logFlags are the flags of every command that reads the log.
type logFlags struct {
	fleet    string
	domain   string
	writers  []string
	endpoint process.Endpoint
	logging  process.LogFlags
}

func (f *logFlags) register(fs *pflag.FlagSet) {
	fs.StringVar(&f.fleet, "fleet", "", "name of the fleet in the log")
	fs.StringSliceVar(&f.writers, "writer-key", nil, "public key of a writer whose ticks count, base64; without it those that the log names")
	fs.StringVar(&f.domain, "nats-domain", "", "JetStream domain of the log")
	f.endpoint.Flags(fs)
	f.logging.Register(fs)
}

// connect connects; the caller closes. writer is the key that the connection
// must not use.
func (f *logFlags) connect(stderr io.Writer, writer *events.PublicKey) (*nats.Conn, eventlog.Place, error) {
	var place eventlog.Place
	log, err := f.logging.New(stderr)
	if err != nil {
		return nil, place, err
	}
	if place.Fleet, err = events.ParseFleetName(f.fleet); err != nil {
		return nil, place, fmt.Errorf("--fleet: %w", err)
	}
	place.Domain = f.domain
	if place.Writers, err = publicKeys("--writer-key", f.writers); err != nil {
		return nil, place, err
	}
	nc, err := eventlog.Connect(eventlog.Connection{
		Endpoint: eventlog.Endpoint(f.endpoint), Name: "fleetlog " + f.fleet, Log: logrus.FieldLogger(log),
	}, writer)
	return nc, place, err
}

func publicKeys(flag string, texts []string) ([]events.PublicKey, error) {
	var keys []events.PublicKey
	for _, text := range texts {
		key, err := events.ParsePublicKey(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", flag, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// readLimited reads a file that may be no larger than limit.
func readLimited(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s is larger than %d bytes", path, limit)
	}
	return data, err
}
