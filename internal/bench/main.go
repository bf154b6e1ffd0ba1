// Command bench runs the benchmarks beside it and prints one table: what the
// project takes for each thing that it does, beside a peer or a floor that was
// measured in the same run, in turns.
//
//	go run ./internal/bench [-o json] [-run REGEX] [-rounds N] [-profile DIR]
//
// Exit status: 0 every row is within its bound, 1 a row is not, 2 it could not be
// measured.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"syscall"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	held, err := run(ctx, os.Args[1:], os.Stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2) //nolint:gocritic // the signal's handler ends with the process
	case !held:
		os.Exit(1)
	}
}

// run measures the rows that the arguments choose and prints them; held says
// that each is within its bound.
func run(ctx context.Context, args []string, out io.Writer) (held bool, err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	form := flags.String("o", "table", "form of the answer: table or json")
	chosen := flags.String("run", "", "measure only rows whose name matches this regular expression")
	rounds := flags.Int("rounds", 10, "how often each side is measured, in turns")
	profiles := flags.String("profile", "", "directory for a CPU profile of each row")
	if err := flags.Parse(args); err != nil {
		return false, err
	}
	pattern, err := regexp.Compile(*chosen)
	if err != nil {
		return false, err
	}
	if *form != "table" && *form != "json" {
		return false, fmt.Errorf("-o %s: want table or json", *form)
	}
	m := measuring{rounds: *rounds, profiles: *profiles, outputs: make(map[string]string)}
	var measured []result
	held = true
	for _, r := range rows {
		if !pattern.MatchString(r.Name) {
			continue
		}
		var one result
		if one, err = m.measure(ctx, r); err != nil {
			break // what was measured is not lost
		}
		fmt.Fprintf(os.Stderr, "%s: %.2f (%s)\n", r.Name, one.Ratio, one.Verdict)
		measured, held = append(measured, one), held && one.Verdict != missed
	}
	if *form == "json" {
		return held, errors.Join(err, json.MarshalWrite(out, measured, jsontext.Multiline(true)))
	}
	return held, errors.Join(err, table(out, measured))
}
