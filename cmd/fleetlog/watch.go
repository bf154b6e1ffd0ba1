package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"fleetlog/eventlog"
	"fleetlog/internal/process"

	"github.com/spf13/cobra"
)

// lookEvery is how often what is watched is looked at when the log brings nothing:
// time alone makes things late and old.
const lookEvery = 10 * time.Second

// watch shows the status again and again until it is told to stop. While it cannot
// tell, it says so and goes on.
func (l *looking) watch(cmd *cobra.Command) error {
	ctx := cmd.Context()
	news, stop := whenNew(ctx, l.reader.Log)
	defer stop()
	again := time.NewTicker(lookEvery)
	defer again.Stop()
	for first := true; ; first = false {
		s, err := l.once(ctx)
		if ctx.Err() != nil {
			return nil
		}
		l.separate(cmd.OutOrStdout(), first)
		if err == nil {
			err = l.flags.print(cmd.OutOrStdout(), s)
		} else {
			_, err = fmt.Fprintf(cmd.ErrOrStderr(), "status is not known: %v\n", err)
		}
		if err != nil {
			return could(err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-news:
		case <-again.C:
		}
	}
}

// separate begins a screen, or sets apart from what was before.
func (l *looking) separate(w io.Writer, first bool) {
	switch {
	case l.flags.oneline || l.flags.output != process.TableForm:
	case isTerminal(w):
		fmt.Fprint(w, "\033[H\033[2J\033[3J")
	case !first:
		fmt.Fprint(w, "\n----\n\n")
	}
}

// whenNew tells by the channel that the log has brought something since it was
// told last. stop ends that, and waits for it.
func whenNew(ctx context.Context, log *eventlog.Log) (news <-chan struct{}, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	told, ended := make(chan struct{}, 1), make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			_ = followNews(ctx, log, told) // whoever is told reads the log, and meets what is wrong with it
			select {
			case <-ctx.Done():
			case <-time.After(askAgain):
			}
		}
	}()
	return told, func() {
		cancel()
		<-ended
	}
}

func followNews(ctx context.Context, log *eventlog.Log, told chan<- struct{}) error {
	head, err := log.Head(ctx)
	if err != nil {
		return err
	}
	for d, err := range log.Follow(ctx, head) {
		if err != nil {
			return err
		}
		if d.Tick == nil && !d.CaughtUp {
			continue
		}
		select {
		case told <- struct{}{}:
		default:
		}
	}
	return nil
}
