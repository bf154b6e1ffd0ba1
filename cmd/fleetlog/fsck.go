package main

import (
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"fleetlog/consumers/check"
	"fleetlog/eventlog"
	"fleetlog/internal/process"

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
			var o check.Options
			if len(args) > 0 {
				o.StateDir = args[0]
			}
			return fsck(cmd, &f, o)
		},
	}
	f.register(cmd.Flags())
	process.ChoiceVar(cmd.Flags(), &f.output, "output", "o", "form of the answer", "table", "json")
	return cmd
}

func fsck(cmd *cobra.Command, f *fsckFlags, o check.Options) error {
	nc, place, err := f.connect(cmd.ErrOrStderr(), nil)
	if err != nil {
		return could(err)
	}
	defer nc.Close()
	log, err := eventlog.Open(cmd.Context(), nc, place)
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
	if f.output == "json" {
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
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
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

// progress says how far a long reading has come: all the time in one line of a
// terminal, else in a line now and then.
type progress struct {
	w        io.Writer
	terminal bool
	clock    func() time.Time
	last     time.Time
	shown    bool
}

const (
	terminalEvery = 200 * time.Millisecond
	lineEvery     = 10 * time.Second
)

func newProgress(w io.Writer, clock func() time.Time) *progress {
	p := &progress{w: w, clock: clock, last: clock()}
	if f, ok := w.(*os.File); ok {
		info, err := f.Stat()
		p.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return p
}

func (p *progress) at(seq, end uint64) {
	every, before, after := lineEvery, "", "\n"
	if p.terminal {
		every, before, after = terminalEvery, "\r", "\033[K"
	}
	now := p.clock()
	if now.Sub(p.last) < every {
		return
	}
	p.last, p.shown = now, true
	fmt.Fprintf(p.w, "%sread seq:%d of %d%s", before, seq, end, after)
}

// end clears the line of a terminal.
func (p *progress) end() {
	if p.terminal && p.shown {
		fmt.Fprint(p.w, "\r\033[K")
	}
}
