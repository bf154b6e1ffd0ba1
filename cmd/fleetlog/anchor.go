package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"fleetlog/consumers/anchor"
	"fleetlog/eventlog"
	"fleetlog/internal/durable"
	"fleetlog/internal/process"
	"fleetlog/manifest"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
)

type anchorFlags struct {
	logFlags
	file, subject string
	every         time.Duration
	output        string
}

func anchorCommand() *cobra.Command {
	var f anchorFlags
	cmd := &cobra.Command{
		Use:   "anchor",
		Short: "keep the log's newest head outside of the log",
		Long: `anchor writes the newest head of the log as a signed note, a C2SP checkpoint: the log's
lineage, the number of the last tick, its digest, the tick itself, and the writer's
signature. It goes to standard output, to --file, or to a subject of another stream, once
or, with --every, again and again. Keep the file where whoever writes the log cannot reach
it: audit --expect-head FILE then finds a history that was cut off or rewritten, also by
the holder of the writer's key.

A file that is there is replaced only by a head of the same log that comes behind its own.

Exit status: 0 anchored, 1 the log does not hold what the file says, 2 could not.`,
		Example: `fleetlog anchor --fleet prod
fleetlog anchor --fleet prod --file /mnt/vault/prod.head --every 1h
fleetlog anchor --fleet prod --subject anchors.prod --every 10m`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := runAnchor(cmd, &f)
			var back *anchor.Regression
			if errors.As(err, &back) {
				return process.Exit(process.ExitNo, err)
			}
			return could(err)
		},
	}
	f.register(cmd.Flags())
	cmd.Flags().StringVar(&f.file, "file", "", "file to keep the note in")
	cmd.Flags().StringVar(&f.subject, "subject", "", "subject of a stream, not of the log itself, to publish the note on")
	cmd.Flags().DurationVar(&f.every, "every", 0, "go on, and do it again so often; once without it")
	process.OutputVar(cmd.Flags(), &f.output)
	return cmd
}

func runAnchor(cmd *cobra.Command, f *anchorFlags) error {
	nc, place, err := f.connect(cmd.ErrOrStderr(), nil)
	if err != nil {
		return err
	}
	defer nc.Close()
	if strings.HasPrefix(f.subject, "nixfleet."+place.Fleet.String()+".") || strings.HasPrefix(f.subject, "nixfleet-artifact.") {
		return fmt.Errorf("--subject %s is of the log itself: give one of another stream", f.subject)
	}
	for {
		err := f.once(cmd, nc, place)
		var back *anchor.Regression
		if f.every <= 0 || errors.As(err, &back) {
			return err
		}
		if err != nil {
			fmt.Fprintf(cmd.ErrOrStderr(), "%s: %v\n", cmd.Root().Name(), err)
		}
		select {
		case <-cmd.Context().Done():
			return nil
		case <-time.After(f.every):
		}
	}
}

func (f *anchorFlags) once(cmd *cobra.Command, nc *nats.Conn, place eventlog.Place) error {
	log, err := f.open(cmd, nc, place)
	if err != nil {
		return err
	}
	newest, err := anchor.Newest(cmd.Context(), log)
	if err != nil {
		return err
	}
	note, err := newest.MarshalText()
	if err != nil {
		return err
	}
	done := anchored{newest.Lineage, newest.Number, newest.Digest, f.file, f.subject, string(note)}
	if f.file == "" && f.subject == "" {
		return done.print(cmd.OutOrStdout(), f.output)
	}
	if f.file != "" {
		err = f.keep(cmd.Context(), log, newest, note)
	}
	if err == nil && f.subject != "" {
		err = publishNote(cmd.Context(), nc, f.subject, note)
	}
	if err == nil {
		err = done.print(cmd.OutOrStdout(), f.output)
	}
	return err
}

// anchored is the head that was kept.
type anchored struct {
	Lineage string          `json:"lineage"`
	Number  uint64          `json:"number"`
	Digest  manifest.Digest `json:"digest"`
	File    string          `json:"file,omitzero"`
	Subject string          `json:"subject,omitzero"`
	Note    string          `json:"note"`
}

func (a anchored) print(w io.Writer, output string) error {
	var err error
	switch {
	case output != process.TableForm:
		return process.PrintJSON(w, a)
	case a.File == "" && a.Subject == "":
		_, err = io.WriteString(w, a.Note)
	default:
		_, err = fmt.Fprintf(w, "anchored tick %d of %s: %s\n", a.Number, a.Lineage, a.Digest)
	}
	return err
}

// keep replaces the file by a head that comes behind the one in it.
func (f *anchorFlags) keep(ctx context.Context, log *eventlog.Log, newest anchor.Anchor, note []byte) error {
	before, err := readLimited(f.file, anchor.MaxNote)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case bytes.Equal(before, note):
		return nil
	default:
		kept, err := anchor.Parse(before, log.Writers())
		if err != nil {
			return fmt.Errorf("%s: %w", f.file, err)
		}
		if err := anchor.Hold(ctx, log, kept.Known(f.file)); err != nil {
			return err
		}
		if kept.Number >= newest.Number { // a copy of the log may lag
			return nil
		}
	}
	return durable.Replace(f.file, note, 0o644)
}

func publishNote(ctx context.Context, nc *nats.Conn, subject string, note []byte) error {
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("anchor on %s: %w", subject, err)
	}
	if _, err := js.Publish(ctx, subject, note); err != nil {
		return fmt.Errorf("anchor on %s: %w: make a stream that has this subject", subject, err)
	}
	return nil
}
