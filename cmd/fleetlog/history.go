package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"fleetlog/consumers/past"
	"fleetlog/consumers/view"
	"fleetlog/eventlog"
	"fleetlog/internal/process"

	"github.com/spf13/cobra"
)

type historyFlags struct {
	pastFlags
	since, until string
	host         string
	limit        uint64
}

func historyCommand() *cobra.Command {
	var f historyFlags
	cmd := &cobra.Command{
		Use:   "history [CHANNEL]",
		Short: "list what changed, one line per change",
		Long: `history lists every change of the set and of what was found about it: the fleet and
each channel, from what to what, who signed it, which commit it is of, and every
refusal with its reason. With CHANNEL it keeps to that one. With --host it lists which
closure the host was told to run over time, and by which manifest.

It reads only the ticks that state something new. With --trust-file it shows what this
program verified itself; without, what the log says.

Exit status: 0 there were changes, 1 there were none, 2 could not tell.`,
		Example: `fleetlog history --fleet prod --since -24h
fleetlog history stable --fleet prod --trust-file trust.json -o jsonl
fleetlog history --host web-1 --fleet prod`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 && f.host != "" {
				return could(errors.New("give a channel or --host, not both"))
			}
			return f.answer(cmd, args)
		},
	}
	f.register(cmd.Flags())
	cmd.Flags().StringVar(&f.since, "since", "", "only what is behind this point; the log's beginning without it")
	cmd.Flags().StringVar(&f.until, "until", "", "only what is up to this point; the newest tick without it")
	cmd.Flags().StringVar(&f.host, "host", "", "what this host was told to run")
	cmd.Flags().Uint64Var(&f.limit, "limit", 0, "stop after so many changes; 0 is none")
	return cmd
}

func (f *historyFlags) answer(cmd *cobra.Command, args []string) error {
	r, nc, err := f.reader(cmd, f.since, f.until)
	if err != nil {
		return could(err)
	}
	defer nc.Close()
	span, err := f.span(cmd.Context(), r)
	if err != nil {
		return could(err)
	}
	p := &printing{w: cmd.OutOrStdout(), output: f.output, verified: r.Policy.Trust != nil, limit: f.limit}
	if f.host != "" {
		err = p.all(view.HostChangeHeader, lines(r.HostHistory(cmd.Context(), span, f.host)), span)
	} else {
		err = p.all(view.ChangeHeader, lines(changes(r.History(cmd.Context(), span), args)), span)
	}
	return answered(p.count > 0, err)
}

// span is the part of the log that is asked for. What begins before the first
// tick begins with it.
func (f *historyFlags) span(ctx context.Context, r *past.Reader) (past.Span, error) {
	var span past.Span
	var err error
	if span.Last, err = tickAt(ctx, r, f.until); err != nil || f.since == "" {
		return span, err
	}
	span.After, err = tickAt(ctx, r, f.since)
	if errors.Is(err, eventlog.ErrNoTick) {
		return span, nil
	}
	return span, err
}

// changes are those about the channel named by args, all where it names none.
func changes(passed iter.Seq2[past.Passed, error], args []string) iter.Seq2[view.Change, error] {
	return func(yield func(view.Change, error) bool) {
		for p, err := range passed {
			if err != nil {
				yield(view.Change{}, err)
				return
			}
			for _, c := range p.Changes {
				if len(args) > 0 && (c.Channel == nil || *c.Channel != args[0]) {
					continue
				}
				if !yield(c, nil) {
					return
				}
			}
		}
	}
}

// liner is an answer's element.
type liner interface{ Line(w io.Writer) error }

func lines[T liner](all iter.Seq2[T, error]) iter.Seq2[liner, error] {
	return func(yield func(liner, error) bool) {
		for one, err := range all {
			if !yield(one, err) {
				return
			}
		}
	}
}

// printing writes an answer of many elements as they come.
type printing struct {
	w        io.Writer
	output   string
	verified bool
	limit    uint64
	count    uint64
}

func (p *printing) all(header string, elements iter.Seq2[liner, error], span past.Span) error {
	for one, err := range elements {
		if err != nil {
			return err
		}
		if err := p.one(header, one); err != nil {
			return err
		}
		if p.count == p.limit && p.limit > 0 {
			break
		}
	}
	return p.end(span)
}

func (p *printing) one(header string, one liner) error {
	first := p.count == 0
	p.count++
	var err error
	switch {
	case p.output == "jsonl":
		return process.PrintJSON(p.w, one)
	case p.output == "json" && first:
		_, err = io.WriteString(p.w, `{"changes":[`+"\n")
	case p.output == "json":
		_, err = io.WriteString(p.w, ",")
	case first:
		_, err = fmt.Fprintln(p.w, header)
	}
	if err != nil {
		return err
	}
	if p.output == "json" {
		return process.PrintJSON(p.w, one)
	}
	return one.Line(p.w)
}

// end says what the answer is about.
func (p *printing) end(span past.Span) error {
	e := view.HistoryEnd{Until: view.ResolvedAt(span.Last.Head), Verified: p.verified}
	if span.After != nil {
		since := view.ResolvedAt(span.After.Head)
		e.Since = &since
	}
	switch p.output {
	case "jsonl":
		return nil
	case "json":
		if p.count == 0 {
			if _, err := io.WriteString(p.w, `{"changes":[`); err != nil {
				return err
			}
		}
		if _, err := io.WriteString(p.w, `],"span":`); err != nil {
			return err
		}
		if err := process.PrintJSON(p.w, e); err != nil {
			return err
		}
		_, err := fmt.Fprintln(p.w, "}")
		return err
	}
	return e.Line(p.w, p.count)
}
