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
	var o openingFlags
	var output string
	limits := eventlog.DefaultLimits()
	cmd := &cobra.Command{
		Use:   "provision",
		Short: "make a fleet's log, or check the one that is there",
		Long: `provision creates the log's two streams and writes LogOpened, which names who may
write the log. It changes nothing that exists: settings that would let history be
lost are refused, with the difference. The writer key is made where it is absent.

With --continues it makes the next epoch of a log: the new one names the old one's
end and takes over its floor, so that no fleet older than that is ever accepted, and
begins with a verified tick. docs/backup.md has the steps.

Exit status: 0 the log is there as it must be, 1 it is not, 2 could not tell.`,
		Example: `fleetlog provision --fleet prod --writer-key-file writer.key
fleetlog provision --fleet prod --writer-key-file writer.key --continues head.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := provision(cmd, &f, &o, limits, output)
			var drift *eventlog.DriftError
			if errors.As(err, &drift) || errors.Is(err, eventlog.ErrArtifactsLost) || errors.Is(err, events.ErrNotOpened) || errors.Is(err, errNotNamed) || errors.Is(err, errNotContinued) {
				return process.Exit(process.ExitNo, err)
			}
			return could(err)
		},
	}
	f.register(cmd.Flags())
	cmd.Flags().StringVar(&o.continues, "continues", "", "file with the head of the log to continue, as fleetlog head -o json prints it")
	cmd.Flags().StringVar(&o.keyFile, "writer-key-file", "", "ed25519 key that signs LogOpened: PKCS#8 PEM or OpenSSH, mode 0600")
	cmd.Flags().StringSliceVar(&o.others, "writers", nil, "public keys of further writers, base64, separated by commas")
	cmd.Flags().Int64Var(&limits.Events, "events-max-bytes", limits.Events, "limit of the events stream in bytes")
	cmd.Flags().Int64Var(&limits.Artifacts, "artifacts-max-bytes", limits.Artifacts, "limit of the artifacts stream in bytes")
	cmd.Flags().IntVar(&limits.Replicas, "replicas", limits.Replicas, "copies of each stream in a cluster")
	process.OutputVar(cmd.Flags(), &output)
	return cmd
}

// openingFlags say what LogOpened says.
type openingFlags struct {
	keyFile   string
	others    []string
	continues string
}

// opening reads what the flags name; keep keeps the writer's key.
func (o *openingFlags) opening() (opening events.Opening, keep func() error, err error) {
	if o.continues != "" {
		if opening.Continues, err = readContinued(o.continues); err != nil {
			return opening, nil, err
		}
	}
	key, keep, err := process.WriterKey(o.keyFile, true, rand.Reader)
	if err != nil {
		return opening, nil, err
	}
	if opening.Writer, err = events.NewWriter(key); err != nil {
		return opening, nil, err
	}
	further, err := publicKeys("--writers", o.others)
	opening.Writers = append([]events.PublicKey{opening.Writer.Public()}, further...)
	return opening, keep, err
}

func provision(cmd *cobra.Command, f *logFlags, o *openingFlags, limits eventlog.Limits, output string) error {
	if limits.Events <= 0 || limits.Artifacts <= 0 || limits.Replicas < 1 {
		return errors.New("limits and replicas must be positive")
	}
	opening, keep, err := o.opening()
	if err != nil {
		return err
	}
	public := opening.Writer.Public()
	nc, place, err := f.connect(cmd.ErrOrStderr(), &public)
	if err != nil {
		return err
	}
	defer nc.Close()
	if len(place.Writers) == 0 {
		place.Writers = opening.Writers
	}
	log, err := eventlog.Provision(cmd.Context(), nc, place, eventlog.Provisioning{
		Limits: limits, Now: time.Now(), Random: uuid.NewRandom, Opening: opening, Keep: keep,
	})
	if err != nil {
		return err
	}
	opened := log.Opening().Opened
	for _, key := range opening.Writers {
		if !slices.Contains(opened.Writers, key) {
			return fmt.Errorf("writer %s: %w: accept it wherever the log is read with --writer-key, or make a new log", key, errNotNamed)
		}
	}
	if err := checkContinued(log, opening.Continues); err != nil {
		return err
	}
	return provisioned{log.Fleet(), log.Lineage(), opened.Writers, opened.Continues}.print(cmd.OutOrStdout(), output)
}

// errNotNamed: who may write a log is said once, when it is made.
var errNotNamed = errors.New("the log that is there does not name it")

// provisioned is the log that is there.
type provisioned struct {
	Fleet     events.FleetName   `json:"fleet"`
	Lineage   string             `json:"lineage"`
	Writers   []events.PublicKey `json:"writers"` // that LogOpened names
	Continues *events.Continues  `json:"continues,omitzero"`
}

func (p provisioned) print(w io.Writer, output string) error {
	if output != process.TableForm {
		return process.PrintJSON(w, p)
	}
	_, err := fmt.Fprintf(w, "log %s of fleet %s\n", p.Lineage, p.Fleet)
	for _, key := range p.Writers {
		fmt.Fprintf(w, "writer %s\n", key)
	}
	if c := p.Continues; c != nil {
		fmt.Fprintf(w, "continues log %s behind tick %d\n", c.Lineage, c.Number)
	}
	return err
}
