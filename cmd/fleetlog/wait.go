package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"fleetlog/consumers/past"
	"fleetlog/consumers/status"
	"fleetlog/eventlog"
	"fleetlog/internal/process"
	"fleetlog/manifest"

	"github.com/spf13/cobra"
)

type waitFlags struct {
	judgingFlags
	goal    string
	timeout time.Duration
}

func waitCommand() *cobra.Command {
	var f waitFlags
	cmd := &cobra.Command{
		Use:   "wait",
		Short: "wait until the log says something, for scripts",
		Long: `wait ends once the fleet's status is healthy (--for ready), the set has a channel at a
reference or at a commit that begins so (--for channel=stable@5c0ffee; without @REF:
at any), or the log has a tick at or behind a sequence (--for seq=1234). It follows the
log. With --trust-file only what this program verified counts. While the broker is away
it waits on.

Exit status: 0 it is so, 1 timed out, 2 could not tell.`,
		Example: `fleetlog wait --for channel=stable@5c0ffee1 --fleet prod --trust-file trust.json --timeout 10m
fleetlog wait --for ready --fleet prod`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	f.register(cmd.Flags())
	cmd.Flags().StringVar(&f.goal, "for", "", "what to wait for: ready, channel=NAME[@REF] or seq=N")
	cmd.Flags().DurationVar(&f.timeout, "timeout", 0, "how long at most; 0 is without end")
	completeFlag(cmd, f.live(goals), "for")
	return cmd
}

// goal tells whether it is reached, and if not how things stand.
type goal func(ctx context.Context, r *past.Reader) (reached bool, stands string, err error)

// minRef is how much of a reference must be given: less may be of several.
const minRef = 7

func parseGoal(text string) (goal, error) {
	if text == "ready" {
		return isReady, nil
	}
	if n, ok := strings.CutPrefix(text, "seq="); ok {
		if seq, err := strconv.ParseUint(n, 10, 53); err == nil {
			return hasTick(seq), nil
		}
	}
	if name, ok := strings.CutPrefix(text, "channel="); ok && name != "" {
		i := strings.LastIndex(name, "@")
		if i < 0 {
			return hasChannel(name, ""), nil
		}
		if len(name)-i-1 >= minRef && i > 0 {
			return hasChannel(name[:i], name[i+1:]), nil
		}
	}
	return nil, fmt.Errorf("--for %q: want ready, channel=NAME, channel=NAME@REF with %d characters of REF or more, or seq=N", text, minRef)
}

func isReady(ctx context.Context, r *past.Reader) (bool, string, error) {
	s, err := (&status.Reader{Past: r}).Status(ctx, time.Now())
	if err != nil {
		return false, "", err
	}
	var line strings.Builder
	err = s.OneLine(&line)
	return s.Health == status.Healthy, line.String(), err
}

func hasTick(seq uint64) goal {
	return func(ctx context.Context, r *past.Reader) (bool, string, error) {
		head, err := r.Log.Head(ctx)
		return err == nil && head.Completed != nil && head.Seq >= seq, fmt.Sprintf("the newest tick is at seq:%d", head.Seq), err
	}
}

func hasChannel(name, ref string) goal {
	return func(ctx context.Context, r *past.Reader) (bool, string, error) {
		tick, err := r.Log.At(ctx, eventlog.Point{})
		if errors.Is(err, eventlog.ErrNoTick) {
			return false, "the log holds no tick", nil
		}
		if err != nil {
			return false, "", err
		}
		set, err := r.Set(ctx, tick)
		var refused *manifest.Rejection
		if errors.As(err, &refused) {
			return false, err.Error(), nil
		}
		if err != nil {
			return false, "", err
		}
		rollout, in := set.Rollouts[name]
		if !in {
			return false, fmt.Sprintf("%q is not in the set after tick %d %s", name, tick.Head.Number, set.Refused[name]), nil
		}
		return strings.HasPrefix(rollout.ChannelRef, ref), fmt.Sprintf("%q is at %q after tick %d", name, rollout.ChannelRef, tick.Head.Number), nil
	}
}

func (f *waitFlags) run(cmd *cobra.Command) error {
	goal, err := parseGoal(f.goal)
	if err != nil {
		return could(err)
	}
	r, nc, err := f.reader(cmd)
	if err != nil {
		return could(err)
	}
	defer nc.Close()
	ctx := cmd.Context()
	if f.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.timeout)
		defer cancel()
	}
	return f.wait(ctx, cmd, r, goal)
}

func (f *waitFlags) wait(ctx context.Context, cmd *cobra.Command, r *past.Reader, goal goal) error {
	news, stop := whenNew(ctx, r.Log)
	defer stop()
	again := time.NewTicker(lookEvery)
	defer again.Stop()
	told, stood := "", error(nil)
	for {
		reached, stands, err := goal(ctx, r)
		switch {
		case ctx.Err() != nil:
			return f.ended(cmd, told, stood)
		case err == nil && reached:
			return nil
		case err != nil && !errors.Is(err, eventlog.ErrUnavailable):
			return could(err)
		case err != nil:
			stands = err.Error()
		}
		if stood = err; stands != told {
			told = stands
			fmt.Fprintf(cmd.ErrOrStderr(), "waiting: %s\n", strings.TrimSpace(told))
		}
		select {
		case <-ctx.Done():
			return f.ended(cmd, told, stood)
		case <-news:
		case <-again.C:
		}
	}
}

// ended is why waiting ended: a signal, or the time. Whether it would have been
// reached is not known when the broker could not be asked last.
func (f *waitFlags) ended(cmd *cobra.Command, told string, stood error) error {
	if err := cmd.Context().Err(); err != nil {
		return err
	}
	err := fmt.Errorf("timed out after %s: %s", f.timeout, strings.TrimSpace(told))
	if stood != nil {
		return could(err)
	}
	return process.Exit(process.ExitNo, err)
}
