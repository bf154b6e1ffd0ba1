package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/process"
	"fleetlog/internal/tabular"

	"github.com/spf13/cobra"
)

type eventsFlags struct {
	logFlags
	follow  bool
	channel string
	types   []string
	output  string
	check   time.Duration // how often the broker is asked whether the log is still there
}

func eventsCommand() *cobra.Command {
	var f eventsFlags
	cmd := &cobra.Command{
		Use:   "events",
		Short: "print the log's events, whole valid ticks only",
		Long: `events prints the log from its beginning to its present end, or goes on with
--follow, which waits for a broker that goes away and says so. Noise is reported
on standard error. -o jsonl, and json likewise, prints the bodies as they are stored, one a line.

Exit status: 0 printed, 2 could not tell.`,
		Example: `fleetlog events --fleet prod --follow
fleetlog events --fleet prod --channel stable -o jsonl
fleetlog events --fleet prod --type FleetRejected,RolloutRejected`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return could(printEvents(cmd, &f)) },
	}
	f.register(cmd.Flags())
	cmd.Flags().BoolVarP(&f.follow, "follow", "f", false, "go on with what comes")
	cmd.Flags().StringVar(&f.channel, "channel", "", "only events about this channel")
	cmd.Flags().StringSliceVar(&f.types, "type", nil, "only events of these types, such as RolloutRejected")
	process.OutputVar(cmd.Flags(), &f.output)
	completeFlag(cmd, f.live(channels), "channel")
	completeFlag(cmd, cobra.FixedCompletions(eventTypes(), cobra.ShellCompDirectiveNoFileComp), "type")
	return cmd
}

func printEvents(cmd *cobra.Command, f *eventsFlags) error {
	for _, name := range f.types {
		if !slices.Contains(eventTypes(), strings.TrimSuffix(name, ".v1")) {
			return fmt.Errorf("--type %.60q is no type of event: want %s", name, strings.Join(eventTypes(), ", "))
		}
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
	f.check = eventlog.CheckEvery
	return f.printFrom(cmd, log, log.Opening())
}

// printFrom prints what is behind head. With --follow it waits for a broker that
// is away, and says so.
func (f *eventsFlags) printFrom(cmd *cobra.Command, log *eventlog.Log, head events.Head) error {
	for told := ""; ; {
		last, err := f.printWhile(cmd, log, head)
		if cmd.Context().Err() != nil {
			return nil //nolint:nilerr // told to stop
		}
		if !f.follow || !errors.Is(err, eventlog.ErrUnavailable) {
			return err
		}
		if last.Seq > head.Seq {
			told = ""
		}
		if head = last; told != err.Error() {
			told = err.Error()
			fmt.Fprintf(cmd.ErrOrStderr(), "waiting behind seq:%d: %v\n", head.Seq, err)
		}
		select {
		case <-cmd.Context().Done():
		case <-time.After(min(f.check, askAgain)):
		}
	}
}

// askAgain is how soon a broker that is away is asked again.
const askAgain = time.Second

// printWhile prints until the log cannot be followed any more, or, without
// --follow, until its end, and returns the last tick that was printed.
func (f *eventsFlags) printWhile(cmd *cobra.Command, log *eventlog.Log, head events.Head) (events.Head, error) {
	for d, err := range log.FollowChecking(cmd.Context(), head, f.check) {
		if err != nil {
			return head, err
		}
		for _, n := range d.Noise {
			fmt.Fprintf(cmd.ErrOrStderr(), "noise at seq:%d: %v\n", n.Seq, n.Why)
		}
		if d.Tick != nil {
			if err := f.print(cmd.OutOrStdout(), d.Tick); err != nil {
				return head, err
			}
			head = d.Tick.Head
		}
		if d.CaughtUp && !f.follow {
			return head, nil
		}
	}
	return head, nil
}

func (f *eventsFlags) print(w io.Writer, t *events.Tick) error {
	var errs []error
	all := make([]events.Event, 0, len(t.Findings)+1)
	for _, finding := range t.Findings {
		all = append(all, finding)
	}
	for i, e := range append(all, t.Completed) {
		if !f.wants(e) {
			continue
		}
		seq := t.Head.Seq - uint64(len(t.Findings)-i)
		errs = append(errs, f.printEvent(w, seq, e))
	}
	return errors.Join(errs...)
}

// wants tells whether the event is of the channel and types asked for.
func (f *eventsFlags) wants(e events.Event) bool {
	channel, about := e.ChannelName()
	name := e.Head().Type
	return (f.channel == "" || about && channel == f.channel) &&
		(len(f.types) == 0 || slices.Contains(f.types, name) || slices.Contains(f.types, strings.TrimSuffix(name, ".v1")))
}

func (f *eventsFlags) printEvent(w io.Writer, seq uint64, e events.Event) error {
	if f.output != process.TableForm {
		body, err := events.Encode(e)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(w, "%s\n", body)
		return err
	}
	head := e.Head()
	_, err := fmt.Fprintf(tabular.Lines(w), "%-8d %s %-7s %-32s %s\n", seq, head.Time, head.Severity, events.Leaf(e), head.Message)
	return err
}
