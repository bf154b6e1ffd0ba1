package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/process"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
)

func provisionCommand() *cobra.Command {
	var f logFlags
	var keyFile, output string
	var others []string
	limits := eventlog.DefaultLimits()
	cmd := &cobra.Command{
		Use:   "provision",
		Short: "make a fleet's log, or check the one that is there",
		Long: `provision creates the log's two streams and writes LogOpened, which names who may
write the log. It changes nothing that exists: settings that would let history be
lost are refused, with the difference. The writer key is made where it is absent.

Exit status: 0 the log is there as it must be, 1 it is not, 2 could not tell.`,
		Example: "fleetlog provision --fleet prod --writer-key-file writer.key",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := provision(cmd, &f, keyFile, others, limits, output)
			var drift *eventlog.DriftError
			if errors.As(err, &drift) || errors.Is(err, events.ErrNotOpened) || errors.Is(err, errNotNamed) {
				return process.Exit(process.ExitNo, err)
			}
			return could(err)
		},
	}
	f.register(cmd.Flags())
	cmd.Flags().StringVar(&keyFile, "writer-key-file", "", "ed25519 key that signs LogOpened: PKCS#8 PEM or OpenSSH, mode 0600")
	cmd.Flags().StringSliceVar(&others, "writers", nil, "public keys of further writers, base64, separated by commas")
	cmd.Flags().Int64Var(&limits.Events, "events-max-bytes", limits.Events, "limit of the events stream in bytes")
	cmd.Flags().Int64Var(&limits.Artifacts, "artifacts-max-bytes", limits.Artifacts, "limit of the artifacts stream in bytes")
	cmd.Flags().IntVar(&limits.Replicas, "replicas", limits.Replicas, "copies of each stream in a cluster")
	process.ChoiceVar(cmd.Flags(), &output, "output", "o", "form of the answer", "table", "json")
	return cmd
}

func provision(cmd *cobra.Command, f *logFlags, keyFile string, others []string, limits eventlog.Limits, output string) error {
	if limits.Events <= 0 || limits.Artifacts <= 0 || limits.Replicas < 1 {
		return errors.New("limits and replicas must be positive")
	}
	key, err := process.WriterKey(keyFile, true, rand.Reader)
	if err != nil {
		return err
	}
	writer, err := events.NewWriter(key)
	if err != nil {
		return err
	}
	further, err := publicKeys("--writers", others)
	if err != nil {
		return err
	}
	public := writer.Public()
	nc, place, err := f.connect(cmd.ErrOrStderr(), &public)
	if err != nil {
		return err
	}
	defer nc.Close()
	if len(place.Writers) == 0 {
		place.Writers = append([]events.PublicKey{public}, further...)
	}
	log, err := eventlog.Provision(cmd.Context(), nc, place, eventlog.Provisioning{
		Limits: limits, Now: time.Now(), Random: uuid.NewRandom,
		Opening: events.Opening{Writer: writer, Writers: append([]events.PublicKey{public}, further...)},
	})
	if err != nil {
		return err
	}
	named := log.Opening().Opened.Writers
	for _, key := range append([]events.PublicKey{public}, further...) {
		if !slices.Contains(named, key) {
			return fmt.Errorf("writer %s: %w: accept it wherever the log is read with --writer-key, or make a new log", key, errNotNamed)
		}
	}
	return provisioned{log.Fleet(), log.Lineage(), named}.print(cmd.OutOrStdout(), output)
}

// errNotNamed: who may write a log is said once, when it is made.
var errNotNamed = errors.New("the log that is there does not name it")

// provisioned is the log that is there.
type provisioned struct {
	Fleet   events.FleetName   `json:"fleet"`
	Lineage string             `json:"lineage"`
	Writers []events.PublicKey `json:"writers"` // that LogOpened names
}

func (p provisioned) print(w io.Writer, output string) error {
	if output == "json" {
		return process.PrintJSON(w, p)
	}
	_, err := fmt.Fprintf(w, "log %s of fleet %s\n", p.Lineage, p.Fleet)
	for _, key := range p.Writers {
		fmt.Fprintf(w, "writer %s\n", key)
	}
	return err
}
