package main

import (
	"fmt"
	"io"
	"time"

	"fleetlog/consumers/check"
	"fleetlog/internal/process"
	"fleetlog/internal/tabular"

	"github.com/spf13/cobra"
)

type fsckFlags struct {
	logFlags
	output string
}

func fsckCommand() *cobra.Command {
	var f fsckFlags
	cmd := &cobra.Command{
		Use:   "fsck [DIR]",
		Short: "find what is broken in the log, and in a reducer's state",
		Long: `fsck reads the whole log, every event and every artifact that one names, and says
what breaks its rules: lost messages, a broken chain, ticks that are not whole, digests
that are not those of what they are of, a floor that goes back, artifacts that are not
there. With DIR, a reducer's state directory, it compares the checkpoint with the log,
and the files with the checkpoint; the reducer may be at work meanwhile.

It writes nothing and needs no trust file: whether the artifacts are well signed, show
--trust-file tells. Messages that are part of no tick are counted, and break nothing. A
reducer under other trust than the poller's holds other sets, which is reported. A log
that does not open, or was written by a newer program, cannot be judged.

Exit status: 0 nothing is broken, 1 something is, 2 could not read.`,
		Example: `fleetlog fsck --fleet prod
fleetlog fsck --fleet prod /var/lib/reducer -o json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o := check.Options{EverySignature: true}
			if len(args) > 0 {
				o.StateDir = args[0]
			}
			return fsck(cmd, &f, o)
		},
	}
	f.register(cmd.Flags())
	process.OutputVar(cmd.Flags(), &f.output)
	return cmd
}

func fsck(cmd *cobra.Command, f *fsckFlags, o check.Options) error {
	nc, place, err := f.connect(cmd.ErrOrStderr(), nil)
	if err != nil {
		return could(err)
	}
	defer nc.Close()
	log, err := f.open(cmd, nc, place)
	if err != nil {
		return could(err)
	}
	shown := newProgress(cmd.ErrOrStderr(), time.Now)
	o.Progress = shown.at
	report, err := check.Check(cmd.Context(), log, o)
	shown.end()
	if err != nil {
		return could(err)
	}
	if f.output != process.TableForm {
		err = process.PrintJSON(cmd.OutOrStdout(), report)
	} else {
		err = printReport(cmd.OutOrStdout(), report)
	}
	if err == nil && report.Found > 0 {
		return process.Exit(process.ExitNo, nil)
	}
	return could(err)
}

func printReport(w io.Writer, r *check.Report) error {
	table := tabular.New(w)
	fmt.Fprintf(table, "LOG\t%s up to seq:%d tick:%d\n", r.Lineage, r.Seq, r.Tick)
	fmt.Fprintf(table, "READ\t%d events, %d ticks, %d artifacts, %d bytes\n", r.Events, r.Ticks, r.Artifacts, r.Bytes)
	fmt.Fprintf(table, "NOISE\t%d\n", r.Noise)
	if p := r.Position; p != nil {
		fmt.Fprintf(table, "CHECKPOINT\tseq:%d tick:%d\n", p.Seq, p.Tick)
	}
	fmt.Fprintf(table, "BROKEN\t%d\n", r.Found)
	if err := table.Flush(); err != nil || r.Found == 0 {
		return err
	}
	fmt.Fprintf(table, "\nCODE\tSEQ\tTICK\tDETAIL\n")
	for _, f := range r.Findings {
		fmt.Fprintf(table, "%s\t%d\t%s\t%s\n", f.Code, f.Seq, tickText(f.Tick), f.Detail)
	}
	if more := r.Found - uint64(len(r.Findings)); more > 0 {
		fmt.Fprintf(table, "and %d more\n", more)
	}
	return table.Flush()
}

func tickText(n uint64) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}
