package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"fleetlog/consumers/bundle"
	"fleetlog/consumers/check"
	"fleetlog/events"
	"fleetlog/internal/durable"
	"fleetlog/internal/process"

	"github.com/spf13/cobra"
)

type exportFlags struct {
	rangeFlags
	trusts []string
	output string
}

func exportCommand() *cobra.Command {
	var f exportFlags
	cmd := &cobra.Command{
		Use:   "export FILE",
		Short: "take a part of the log away as one file that proves itself",
		Long: `export writes a tar archive with the log's events from --from to --to, the artifacts
that they name, the trust files, the settings of the streams, the last tick as a signed
note, and a README that says how to verify all of it by hand, with sha256sum, openssl and
jq. audit --bundle verifies it without a broker. Two exports of one part are the same
bytes, whoever makes them. docs/bundle.md has the form.

A part begins at the statement that the set at --from is of, which may be some ticks
earlier. --trust-file may be given several times, as TIME=FILE for a file that held from
a moment on. FILE is replaced when it is there.

Exit status: 0 written, 2 could not.`,
		Example: `fleetlog export --fleet prod --trust-file trust.json all.tar
fleetlog export --fleet prod --from 2026-07-01T00:00:00Z --to 2026-10-01T00:00:00Z --trust-file trust.json q3.tar`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return could(export(cmd, &f, args[0])) },
	}
	f.register(cmd.Flags())
	fs := cmd.Flags()
	fs.StringVar(&f.from, "from", "", "point from which on the log is taken; its beginning without it")
	fs.StringVar(&f.to, "to", "", "point up to which it is taken; its last tick without it")
	fs.StringSliceVar(&f.trusts, "trust-file", nil, "trust.json under which artifacts were signed, or TIME=FILE for one that held from a moment on")
	process.OutputVar(fs, &f.output)
	completeFlag(cmd, f.live(points), "from", "to")
	return cmd
}

// exported is what was written.
type exported struct {
	File  string `json:"file"`
	First uint64 `json:"first"` // sequences
	Last  uint64 `json:"last"`
}

func export(cmd *cobra.Command, f *exportFlags, path string) error {
	if len(f.trusts) == 0 {
		return errors.New("no trust file: give --trust-file, so that the bundle says under which keys it holds")
	}
	trusts, err := readTrusts(f.trusts)
	if err == nil {
		_, err = parseTrusts(trusts)
	}
	if err != nil {
		return err
	}
	from, to, err := f.points(time.Now())
	if err != nil {
		return err
	}
	nc, place, err := f.connect(cmd.ErrOrStderr(), nil)
	if err != nil {
		return err
	}
	defer nc.Close()
	log, err := f.open(cmd, nc, place)
	if err != nil {
		return err
	}
	part, err := check.Between(cmd.Context(), log, from, to)
	if err == nil && part.End == 0 {
		var newest events.Head
		newest, err = log.Head(cmd.Context())
		part.End = newest.Seq
	}
	if err != nil {
		return err
	}
	shown := newProgress(cmd.ErrOrStderr(), time.Now)
	err = durable.ReplaceWith(path, 0o644, func(w io.Writer) error {
		return bundle.Write(cmd.Context(), w, check.OnBroker(log), bundle.Contents{
			Part: part, Trust: trusts, Streams: log.Settings(), Progress: shown.at,
		})
	})
	shown.end()
	if err != nil {
		return err
	}
	return printExported(cmd.OutOrStdout(), f.output, exported{path, part.Before.Seq + 1, part.End})
}

func printExported(w io.Writer, output string, e exported) error {
	if output != process.TableForm {
		return process.PrintJSON(w, e)
	}
	_, err := fmt.Fprintf(w, "%s holds seq:%d to seq:%d, verify it with fleetlog audit --bundle %s\n", e.File, e.First, e.Last, e.File)
	return err
}
