// Command demo runs the whole path on a real release, narrated: a NATS server, a
// simulated control plane over mutual TLS, a poller and a reducer, each a process
// of its own on loopback. It ends by itself and leaves nothing behind; with
// --keep it stays up until it is interrupted. demo control-plane DIR runs the
// control plane alone, for a deployment that is put together by hand.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// run is the demo, or the control plane that the demo starts as a process of
// its own.
func run(ctx context.Context) error {
	if len(os.Args) > 1 && os.Args[1] == "control-plane" {
		return controlPlane(ctx, os.Args[2:])
	}
	keep := flag.Bool("keep", false, "stay up after the last step, and print how to look around")
	flag.Parse()
	return demo(ctx, *keep)
}

// limit bounds the whole demo once everything is compiled.
const limit = 2 * time.Minute

func demo(ctx context.Context, keep bool) (err error) {
	s, err := newStage(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	acting, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for _, act := range []func(context.Context) error{
		s.start, s.firstSet, s.nextRelease, s.controlPlaneStops, s.tamperedRollout, s.reducerKilled,
	} {
		if err := act(acting); err != nil {
			return err
		}
	}
	if keep {
		s.lookAround()
		<-ctx.Done()
		return nil
	}
	s.say("Done. Everything is stopped and its files are removed.")
	return nil
}
