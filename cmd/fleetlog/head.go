package main

import (
	"errors"
	"fmt"
	"io"

	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/process"
	"fleetlog/manifest"

	"github.com/go-json-experiment/json"
	"github.com/spf13/cobra"
)

func headCommand() *cobra.Command {
	var f logFlags
	var output string
	cmd := &cobra.Command{
		Use:   "head",
		Short: "print the last tick and the floor",
		Long: `head prints the log's last valid tick: its number, its place, its digest, which
covers everything before it, and the floor, the newest fleet accepted so far.

Keep what -o json prints: it proves later that a log was not cut short, and
provision --continues takes it for a log that goes on where this one ends.

Exit status: 0 it was printed, 2 could not tell.`,
		Example: "fleetlog head --fleet prod -o json > head.json",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return could(head(cmd, &f, output)) },
	}
	f.register(cmd.Flags())
	process.OutputVar(cmd.Flags(), &output)
	return cmd
}

// lastTick is the head of a log. Before the first tick it is LogOpened, with the
// number 0.
type lastTick struct {
	Fleet   events.FleetName `json:"fleet"`
	Lineage string           `json:"lineage"`
	Number  uint64           `json:"number"`
	Seq     uint64           `json:"seq"`
	Time    events.Time      `json:"time"`
	Digest  manifest.Digest  `json:"digest"` // of the body
	Floor   *events.Floor    `json:"floor"`
}

func head(cmd *cobra.Command, f *logFlags, output string) error {
	nc, place, err := f.connect(cmd.ErrOrStderr(), nil)
	if err != nil {
		return err
	}
	defer nc.Close()
	log, err := eventlog.Open(cmd.Context(), nc, place)
	if err != nil {
		return err
	}
	h, err := log.Head(cmd.Context())
	if err != nil {
		return err
	}
	last := lastTick{log.Fleet(), h.Lineage, h.Number, h.Seq, h.Time, h.Digest, h.Floor()}
	return last.print(cmd.OutOrStdout(), output)
}

func (l lastTick) print(w io.Writer, output string) error {
	if output != process.TableForm {
		return process.PrintJSON(w, l)
	}
	_, err := fmt.Fprintf(w, "log %s of fleet %s\ntick %d at seq:%d, %s\ndigest %s\n", l.Lineage, l.Fleet, l.Number, l.Seq, l.Time, l.Digest)
	if l.Floor != nil {
		_, err = fmt.Fprintf(w, "floor %s, fleet %s\n", l.Floor.SignedAt, l.Floor.FleetHash)
	}
	return err
}

// maxHeadFile bounds what is read as a head.
const maxHeadFile = 64 << 10

// readContinued reads what head -o json has printed of the log to go on from.
func readContinued(path string) (*events.Continues, error) {
	data, err := readLimited(path, maxHeadFile)
	if err != nil {
		return nil, fmt.Errorf("--continues: %w", err)
	}
	var l lastTick
	if err := json.Unmarshal(data, &l); err != nil {
		return nil, fmt.Errorf("--continues: %s is not what fleetlog head -o json prints: %w", path, err)
	}
	if l.Lineage == "" || l.Digest == (manifest.Digest{}) {
		return nil, fmt.Errorf("--continues: %s is not what fleetlog head -o json prints: it has no lineage or no digest", path)
	}
	return &events.Continues{Lineage: l.Lineage, Number: l.Number, Digest: l.Digest, Floor: l.Floor}, nil
}

// errNotContinued: what a log continues is said once, when it is made.
var errNotContinued = errors.New("the log that is there does not continue that one")

// checkContinued demands that the log continues what it was asked to.
func checkContinued(log *eventlog.Log, want *events.Continues) error {
	if want == nil {
		return nil
	}
	if log.Lineage() == want.Lineage {
		return fmt.Errorf("%w, it is that one: back up its streams and delete them first, or give the new log another --fleet", errNotContinued)
	}
	if have := log.Opening().Opened.Continues; have == nil || have.Lineage != want.Lineage || have.Digest != want.Digest {
		return fmt.Errorf("%w: give the new log another --fleet", errNotContinued)
	}
	return nil
}
