package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"fleetlog/consumers/past"
	"fleetlog/consumers/status"
	"fleetlog/internal/process"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

type statusFlags struct {
	pastFlags
	daemonFlags
	watch, oneline bool
}

// daemonFlags name the processes that are asked themselves.
type daemonFlags struct {
	reducerURL, pollerURL string
	tls                   process.TLSFiles
}

func (f *daemonFlags) register(fs *pflag.FlagSet) {
	fs.StringVar(&f.reducerURL, "reducer-url", "", "ask this reducer too: http://127.0.0.1:PORT, https://HOST:PORT or unix:PATH of its --http-listen")
	fs.StringVar(&f.pollerURL, "poller-url", "", "ask this poller too, likewise")
	f.tls.Flags(fs)
}

// daemons are those that are asked; nil for one that is not.
func (f *daemonFlags) daemons() (reducer, poller *daemon, err error) {
	if f.reducerURL != "" {
		if reducer, err = newDaemon(status.Reducer, f.reducerURL, f.tls); err != nil {
			return nil, nil, err
		}
	}
	if f.pollerURL != "" {
		poller, err = newDaemon(status.Poller, f.pollerURL, f.tls)
	}
	return reducer, poller, err
}

func statusCommand() *cobra.Command {
	var f statusFlags
	cmd := &cobra.Command{
		Use:   "status",
		Short: "say at a glance whether the fleet's truth is current",
		Long: `status shows the poller's last attempt and its last success, the broker, and each
channel: what it is of, how old its signature is, when that expires, and in one word
how it stands. It is read from the log alone, so that no daemon need run; which are
given by --reducer-url and --poller-url are asked too, and one that does not answer
makes the fleet's status degraded. Where the broker cannot be reached, the reducer's
word is taken.

Exit status: 0 healthy, 1 degraded, 2 unknown or could not tell.`,
		Example: `fleetlog status --fleet prod --trust-file trust.json
fleetlog status --fleet prod --watch --reducer-url http://127.0.0.1:9478
fleetlog status --fleet prod --oneline`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	f.pastFlags.register(cmd.Flags())
	f.daemonFlags.register(cmd.Flags())
	cmd.Flags().BoolVarP(&f.watch, "watch", "w", false, "go on, and show it anew when something changes")
	cmd.Flags().BoolVar(&f.oneline, "oneline", false, "answer in one line, for a status bar")
	return cmd
}

// shown of the past beside the present.
const (
	shownRecent  = 5
	shownOutages = 5
)

func (f *statusFlags) run(cmd *cobra.Command) error {
	if f.oneline && f.output != process.TableForm {
		return could(errors.New("give --oneline or --output, not both"))
	}
	reducer, poller, err := f.daemons()
	if err != nil {
		return could(err)
	}
	look := &looking{flags: f, reducer: reducer, poller: poller}
	reader, nc, err := f.reader(cmd)
	if err != nil && reducer == nil {
		return could(err)
	}
	look.unreachable = err
	if err == nil {
		defer nc.Close()
		look.reader, look.nc = reader, nc
	}
	if f.watch {
		if look.reader == nil {
			return could(err)
		}
		return look.watch(cmd)
	}
	s, err := look.once(cmd.Context())
	if err != nil {
		return could(err)
	}
	return healthy(s, f.print(cmd.OutOrStdout(), s))
}

// healthy is the exit code of a status that was printed.
func healthy(s *status.Status, err error) error {
	switch {
	case err != nil:
		return could(err)
	case s.Health == status.Degraded:
		return process.Exit(process.ExitNo, nil)
	case s.Health != status.Healthy:
		return process.Exit(process.ExitUnknown, nil)
	}
	return nil
}

func (f *statusFlags) print(w io.Writer, s *status.Status) error {
	switch {
	case f.oneline:
		return s.OneLine(w)
	case f.output == process.TableForm:
		return s.Table(w)
	}
	return process.PrintJSON(w, s)
}

// looking looks at the log and asks the daemons.
type looking struct {
	flags           *statusFlags
	reader          *past.Reader // nil: the log could not be opened
	nc              *nats.Conn
	unreachable     error
	reducer, poller *daemon
}

func (l *looking) once(ctx context.Context) (*status.Status, error) {
	s, err := l.log(ctx)
	if err != nil && l.reducer != nil && ctx.Err() == nil {
		served, asked := l.reducer.served(ctx, l.flags.fleet, err)
		if asked != nil {
			return nil, fmt.Errorf("%w; and the reducer cannot say either: %w", err, asked)
		}
		return served, nil
	}
	if err != nil {
		return nil, err
	}
	if l.reducer != nil {
		s.Add(l.reducer.reducer(ctx, s))
	}
	if l.poller != nil {
		s.Add(l.poller.process(ctx))
	}
	return s, nil
}

func (l *looking) log(ctx context.Context) (*status.Status, error) {
	if l.reader == nil {
		return nil, l.unreachable
	}
	r := &status.Reader{Past: l.reader, Recent: shownRecent, Outages: shownOutages}
	return r.Status(ctx, time.Now())
}

// isTerminal tells whether a person looks at what is written.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
