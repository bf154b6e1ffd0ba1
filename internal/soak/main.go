// Command soak runs a cluster of three NATS servers and a leaf site, two pollers
// and three reducers, each a process of its own on loopback, and does to them what
// machines, networks and people do, chosen by a seed. In the end it heals
// everything, and judges the log and what the reducers have made of it. It exits 0
// when every promise was kept, else 1.
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
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	minutes := flag.Float64("minutes", 2, "how long there are faults")
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "what chooses the faults; printed, so that a run can be repeated")
	keep := flag.Bool("keep", false, "keep the directory with all files")
	flag.Parse()
	dir, err := os.MkdirTemp("", "fleetlog-soak-")
	if err != nil {
		return err
	}
	fmt.Printf("soak of %g minutes, seed %d, in %s\n", *minutes, *seed, dir)
	defer func() {
		if *keep {
			return
		}
		err = errors.Join(err, os.RemoveAll(dir))
	}()
	running, cancel := context.WithCancel(ctx)
	s := &soak{dir: dir, diary: newDiary(os.Stdout, time.Now)}
	defer func() {
		cancel() // kills what still runs
		err = errors.Join(err, s.close())
	}()
	if err := s.start(running); err != nil {
		return err
	}
	if err := s.suffer(running, time.Duration(*minutes*float64(time.Minute)), *seed); err != nil {
		return err
	}
	return s.judge(running)
}
