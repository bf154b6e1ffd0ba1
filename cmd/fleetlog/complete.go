package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"fleetlog/consumers/explain"
	"fleetlog/consumers/past"
	"fleetlog/consumers/view"
	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/events/schema"
	"fleetlog/internal/process"

	"github.com/go-json-experiment/json"
	"github.com/spf13/cobra"
)

// completeFor is how long a shell waits for the log; what is not known by then is
// not completed.
const completeFor = 2 * time.Second

// values finds what can be typed, each with a few words about it, in the log.
type values func(ctx context.Context, r *past.Reader, newest *events.Tick) ([]cobra.Completion, error)

// live completes values of the log that the command line, or the environment,
// names. It is silent: a shell is no place for errors.
func (f *logFlags) live(find values) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
		found, err := f.find(cmd, find)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		found = slices.DeleteFunc(found, func(c cobra.Completion) bool { return !strings.HasPrefix(c, prefix) })
		return found, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

func (f *logFlags) find(cmd *cobra.Command, find values) ([]cobra.Completion, error) {
	if err := process.ReadEnvironment(cmd); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), completeFor)
	defer cancel()
	nc, place, err := f.connect(io.Discard, nil)
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	r := &past.Reader{}
	if r.Log, err = eventlog.Open(ctx, nc, place); err != nil {
		return nil, err
	}
	newest, err := tickAt(ctx, r, "")
	if err != nil {
		return nil, err
	}
	return find(ctx, r, newest)
}

// first completes only the first argument.
func first(complete cobra.CompletionFunc) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return complete(cmd, args, prefix)
	}
}

// completeFlag lets a flag be completed; it must exist.
func completeFlag(cmd *cobra.Command, complete cobra.CompletionFunc, names ...string) {
	for _, name := range names {
		if err := cmd.RegisterFlagCompletionFunc(name, complete); err != nil {
			panic(err)
		}
	}
}

// channels are those of the newest tick, with how they stand.
func channels(ctx context.Context, r *past.Reader, newest *events.Tick) ([]cobra.Completion, error) {
	findings, err := r.Findings(ctx, newest)
	if err != nil {
		return nil, err
	}
	set, err := r.Set(ctx, newest)
	if err != nil {
		return nil, err
	}
	known := view.Snapshot{}.Next(set, findings).Channels
	for name := range set.Rollouts { // a tick that was skipped says nothing of them
		if _, ok := known[name]; !ok {
			known[name] = view.Condition{State: view.Fresh}
		}
	}
	return described(known, func(c view.Condition) string { return string(c.State) }), nil
}

// goals are what can be waited for.
func goals(ctx context.Context, r *past.Reader, newest *events.Tick) ([]cobra.Completion, error) {
	found, err := channels(ctx, r, newest)
	for i := range found {
		found[i] = "channel=" + found[i]
	}
	next := fmt.Sprintf("seq=%d\tthe next tick", newest.Head.Seq+1)
	return append(found, "ready\tthe fleet's status is healthy", next), err
}

// described are the names, sorted, that a shell can take, each with a
// description.
func described[V any](all map[string]V, describe func(V) string) (found []cobra.Completion) {
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if strconv.Quote(name) == `"`+name+`"` {
			found = append(found, cobra.CompletionWithDesc(name, describe(all[name])))
		}
	}
	return found
}

// recent is how many ticks are offered as points.
const recent = 8

// points are moments before now, and the newest ticks that stated something new.
func points(ctx context.Context, r *past.Reader, newest *events.Tick) ([]cobra.Completion, error) {
	var found []cobra.Completion
	head := newest.Head
	for range 4 * recent {
		stated := head.Completed.Statement
		said, err := r.Log.Ending(ctx, stated.LastSeq+1) // behind its findings
		if err != nil {
			return nil, err
		}
		if said.Completed != nil && said.Completed.Stated == events.Changed {
			what := said.Time.String() + " " + said.Completed.Message
			found = append(found, cobra.CompletionWithDesc(eventlog.PointOfSeq(said.Seq).String(), what))
		}
		before, err := r.Log.Before(ctx, stated.FirstSeq)
		if errors.Is(err, eventlog.ErrNoTick) || len(found) == recent {
			break
		}
		if err != nil {
			return nil, err
		}
		head = before.Head
	}
	return append(found, "now-1h\tan hour ago", "now-24h\ta day ago", "now-168h\ta week ago"), nil
}

// maxFleet is how large a fleet may be whose hosts are looked up for a shell.
const maxFleet = 1 << 20

// hosts are those of the newest fleet, with their channels.
func hosts(ctx context.Context, r *past.Reader, newest *events.Tick) ([]cobra.Completion, error) {
	findings, err := r.Findings(ctx, newest)
	if err != nil {
		return nil, err
	}
	var fleet struct {
		Hosts map[string]struct {
			Channel string `json:"channel"`
		} `json:"hosts"`
	}
	for _, f := range findings {
		fetched, ok := f.(*events.FleetFetched)
		if !ok || fetched.Artifact.Size > maxFleet {
			continue
		}
		received, err := r.Log.Artifact(ctx, fetched.Artifact)
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(received.Body, &fleet); err != nil {
			return nil, err
		}
	}
	return described(fleet.Hosts, func(h struct {
		Channel string `json:"channel"`
	}) string {
		return h.Channel
	}), nil
}

// codesToExplain are the codes of all pages, with how each begins.
func codesToExplain() (found []cobra.Completion) {
	for _, page := range explain.Pages() {
		means, _, _ := strings.Cut(page.Means, ". ")
		found = append(found, cobra.CompletionWithDesc(page.Code, means))
	}
	return found
}

// eventTypes are the types of events without their version.
func eventTypes() (found []cobra.Completion) {
	for _, name := range schema.Types() {
		found = append(found, strings.TrimSuffix(name, ".v1"))
	}
	return found
}
