package main

import (
	"context"
	"errors"
	"os"
	"regexp"
	"time"

	"fleetlog/consumers/past"
	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/process"
	"fleetlog/manifest"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// pastFlags are the flags of every command that looks at the past.
type pastFlags struct {
	logFlags
	output    string
	scheme    schemeFlag
	trust     process.TrustFile
	freshness process.Freshness
}

func (f *pastFlags) register(fs *pflag.FlagSet) {
	f.logFlags.register(fs)
	f.judging(fs)
	process.OutputVar(fs, &f.output)
}

// judging registers by what artifacts are judged.
func (f *pastFlags) judging(fs *pflag.FlagSet) {
	fs.StringVar((*string)(&f.trust), "trust-file", "", "verify under this trust.json")
	f.freshness.Flags(fs, "freshness-window-secs")
	f.scheme.register(fs)
}

// schemeFlag is what --rollout-id-scheme says.
type schemeFlag string

func (f *schemeFlag) register(fs *pflag.FlagSet) {
	process.ChoiceVar(fs, (*string)(f), "rollout-id-scheme", "", "how rollout ids are derived; what the poller has",
		"auto", string(manifest.Composite), string(manifest.ContentHash))
}

// scheme is empty when the fleet's revision decides.
func (f schemeFlag) scheme() manifest.Scheme {
	if f == "auto" {
		return ""
	}
	return manifest.Scheme(f)
}

// reader opens the log, once the points are read as such; the caller closes the
// connection.
func (f *pastFlags) reader(cmd *cobra.Command, points ...string) (*past.Reader, *nats.Conn, error) {
	for _, text := range points {
		if _, err := eventlog.ParsePoint(text, time.Now()); err != nil {
			return nil, nil, err
		}
	}
	r := &past.Reader{Policy: f.freshness.Policy(), Scheme: f.scheme.scheme()}
	if err := f.freshness.Validate(); err != nil {
		return nil, nil, err
	}
	if f.trust != "" {
		var err error
		if r.Policy.Trust, err = f.trust.Parse(); err != nil {
			return nil, nil, err
		}
	}
	nc, place, err := f.connect(cmd.ErrOrStderr(), nil)
	if err != nil {
		return nil, nil, err
	}
	if r.Log, err = f.open(cmd, nc, place); err != nil {
		nc.Close()
		return nil, nil, err
	}
	return r, nc, nil
}

// tickAt reads the tick that the text of a point resolves to.
func tickAt(ctx context.Context, r *past.Reader, text string) (*events.Tick, error) {
	point, err := eventlog.ParsePoint(text, time.Now())
	if err != nil {
		return nil, err
	}
	return r.Log.At(ctx, point)
}

// answered is the exit code of a question: a fleet that does not pass is a no.
func answered(yes bool, err error) error {
	var refused *manifest.Rejection
	var decided interface{ ExitCode() int }
	switch {
	case errors.As(err, &decided):
		return err
	case errors.As(err, &refused):
		return process.Exit(process.ExitNo, err)
	case err == nil && !yes:
		return process.Exit(process.ExitNo, nil)
	}
	return could(err)
}

// isAgo matches what [time.ParseDuration] reads as a time before now and a shell
// of flags would take for a shorthand.
var isAgo = regexp.MustCompile(`^-[0-9.][0-9.]*[a-zµ]`)

// arguments are those of the process, in which a point such as -2h is spelt
// now-2h, because it would be read as a flag.
func arguments() []string {
	args := append([]string(nil), os.Args[1:]...)
	for i, arg := range args {
		if _, err := time.ParseDuration(arg); err == nil && isAgo.MatchString(arg) {
			args[i] = "now" + arg
		}
	}
	return args
}
