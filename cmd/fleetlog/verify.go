package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"fleetlog/internal/process"
	"fleetlog/manifest"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// verifyFlags are what every verification is judged by.
type verifyFlags struct {
	trust     process.TrustFile
	now       string
	freshness process.Freshness
	output    string
}

func (f *verifyFlags) register(fs *pflag.FlagSet) {
	fs.StringVar((*string)(&f.trust), "trust-file", "", "trust.json with the keys that sign releases")
	fs.StringVar(&f.now, "now", "", "instant to judge by, RFC 3339; the present without it")
	f.freshness.Flags(fs, "freshness-window-secs")
	process.OutputVar(fs, &f.output)
}

func (f *verifyFlags) policy() (manifest.Policy, error) {
	p := f.freshness.Policy()
	p.Now = time.Now()
	if err := f.freshness.Validate(); err != nil {
		return p, could(err)
	}
	if f.trust == "" {
		return p, could(errors.New("no trust file: give --trust-file"))
	}
	if f.now != "" {
		at, err := manifest.ParseInstant(f.now)
		if err != nil {
			return p, could(fmt.Errorf("--now: %w", err))
		}
		p.Now = at.Time()
	}
	var err error
	p.Trust, err = f.trust.Parse()
	return p, err
}

// verdict is the answer about one artifact.
type verdict struct {
	Verified bool    `json:"verified"`
	Reason   *string `json:"reason"`
	Detail   *string `json:"detail"`
}

// judge turns an error of verification into an answer; other errors are not
// one.
func judge(err error) (verdict, error) {
	var rejection *manifest.Rejection
	switch {
	case err == nil:
		return verdict{Verified: true}, nil
	case !errors.As(err, &rejection):
		return verdict{}, err
	}
	reason := string(rejection.Kind)
	return verdict{Reason: &reason, Detail: &rejection.Detail}, nil
}

// print answers and sets the exit code.
func (v verdict) print(w io.Writer, output string) error {
	var err error
	switch {
	case output != process.TableForm:
		err = process.PrintJSON(w, v)
	case v.Verified:
		_, err = fmt.Fprintln(w, "verified")
	default:
		_, err = fmt.Fprintf(w, "refused: %s: %s\n", *v.Reason, *v.Detail)
	}
	if err == nil && !v.Verified {
		return process.Exit(process.ExitNo, nil)
	}
	return could(err)
}

func verifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "verify artifacts offline",
		Long: `verify judges signed artifacts by the NixFleet contract, without a network.

Exit status: 0 verified, 1 refused, 2 could not tell.`,
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(verifyFleetCommand(), verifyRolloutCommand(), verifyReleaseCommand())
	return cmd
}
