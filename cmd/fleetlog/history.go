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
	"fleetlog/internal/tabular"

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

It reads only the ticks that state something new, and prints them as it finds them; -o
json, which is one object, holds them until then. With --trust-file it shows what this
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
	cmd.ValidArgsFunction = first(f.live(channels))
	completeFlag(cmd, f.live(points), "since", "until")
	completeFlag(cmd, f.live(hosts), "host")
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
		err = printAll(p, view.HostChangeHeader, r.HostHistory(cmd.Context(), span, f.host), span)
	} else {
		err = printAll(p, view.ChangeHeader, changes(r.History(cmd.Context(), span), args), span)
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

// historyAnswer is the whole answer with -o json.
type historyAnswer[T liner] struct {
	Changes []T             `json:"changes"`
	Span    view.HistoryEnd `json:"span"`
}

// printing writes an answer of many elements: as they come, but with -o json,
// which is one object.
type printing struct {
	w        io.Writer
	output   string
	verified bool
	limit    uint64
	count    uint64
}

func printAll[T liner](p *printing, header string, elements iter.Seq2[T, error], span past.Span) error {
	whole := historyAnswer[T]{Changes: []T{}, Span: p.span(span)}
	for one, err := range elements {
		if err != nil {
			return err
		}
		p.count++
		switch p.output {
		case process.JSONForm:
			whole.Changes = append(whole.Changes, one)
		case process.LinesForm:
			err = process.PrintJSON(p.w, one)
		default:
			if p.count == 1 {
				fmt.Fprintln(p.w, header)
			}
			err = one.Line(tabular.Lines(p.w))
		}
		if err != nil {
			return err
		}
		if p.count == p.limit && p.limit > 0 {
			break
		}
	}
	switch p.output {
	case process.JSONForm:
		return process.PrintJSON(p.w, whole)
	case process.LinesForm:
		return nil
	}
	return whole.Span.Line(p.w, p.count)
}

// span is the part of the log that the answer is about.
func (p *printing) span(span past.Span) view.HistoryEnd {
	e := view.HistoryEnd{Until: view.ResolvedAt(span.Last.Head), Verified: p.verified}
	if span.After != nil {
		since := view.ResolvedAt(span.After.Head)
		e.Since = &since
	}
	return e
}
