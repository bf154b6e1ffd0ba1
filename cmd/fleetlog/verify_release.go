package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"fleetlog/eventlog"
	"fleetlog/events"
	"fleetlog/internal/process"
	"fleetlog/internal/tabular"
	"fleetlog/manifest"
	"fleetlog/producers"

	"github.com/spf13/cobra"
)

// releaseVerdict is the answer about a whole release directory.
type releaseVerdict struct {
	Verified  bool             `json:"verified"`
	Fleet     artifactVerdict  `json:"fleet"`
	SetDigest *manifest.Digest `json:"setDigest"`
	Channels  []channelVerdict `json:"channels"`
	Files     []fileVerdict    `json:"files"`
}

type artifactVerdict struct {
	verdict
	Warnings []string `json:"warnings,omitzero"`
}

type channelVerdict struct {
	Channel   string  `json:"channel"`
	RolloutID *string `json:"rolloutId"`
	Idle      bool    `json:"idle"`
	artifactVerdict
}

type releaseFlags struct {
	verifyFlags
	scheme  schemeFlag
	fromLog bool
	log     logFlags
}

func verifyReleaseCommand() *cobra.Command {
	var f releaseFlags
	cmd := &cobra.Command{
		Use:   "release DIR",
		Short: "verify a whole release directory",
		Long: `release judges DIR as a poller's tick would: the fleet, and for every channel the
manifest that it must have, with its signature, id, fleet hash and hosts. Give it to
whoever publishes, ahead of publishing. With --floor-from-log it also asks the log of
--fleet, and refuses what is older than the newest fleet accepted there, or another one
of the same moment. What readers may understand in different ways is a warning, not a refusal.

Whatever else is in rollouts, such as manifests of older releases, is judged by itself,
and so are revocations.json and bootstrap-nonces.json where they are: signature, form,
and the id that the name says, whatever their age. What no key in force has signed is
refused, and so is a file without its signature, and a name that is no rollout id.`,
		Example: `fleetlog verify release ./release --trust-file trust.json
fleetlog verify release ./release --trust-file trust.json --floor-from-log --fleet prod`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return verifyRelease(cmd, &f, args[0]) },
	}
	f.register(cmd.Flags())
	f.scheme.register(cmd.Flags())
	cmd.Flags().BoolVar(&f.fromLog, "floor-from-log", false, "refuse what the log of --fleet would refuse as a rollback or an equivocation")
	f.log.register(cmd.Flags())
	return cmd
}

func verifyRelease(cmd *cobra.Command, f *releaseFlags, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return could(err)
	}
	if err := root.Close(); err != nil {
		return could(err)
	}
	policy, err := f.policy()
	var refused *manifest.Rejection
	if err != nil && !errors.As(err, &refused) {
		return could(err)
	}
	floor, err := f.floor(cmd)
	if err != nil {
		return could(err)
	}
	poll := producers.Poll{
		Source: producers.NewDirectory(producers.Files(dir)), Trust: f.trust.Read, Window: policy.Window, Channels: policy.Channels,
		Scheme: f.scheme.scheme(),
	}
	v := releaseVerdict{Channels: []channelVerdict{}, Files: []fileVerdict{}}
	if err := v.take(poll.Tick(cmd.Context(), policy.Now, producers.Memory{Floor: floor})); err != nil {
		return could(err)
	}
	if refused == nil { // else nothing else can be judged
		if err := v.takeFiles(cmd.Context(), dir, policy); err != nil {
			return could(err)
		}
	}
	if f.output != process.TableForm {
		err = process.PrintJSON(cmd.OutOrStdout(), v)
	} else {
		err = v.table(cmd.OutOrStdout())
	}
	if err == nil && !v.Verified {
		return process.Exit(process.ExitNo, nil)
	}
	return could(err)
}

// floor is that of the log of --fleet, where it is asked for.
func (f *releaseFlags) floor(cmd *cobra.Command) (*events.Floor, error) {
	if !f.fromLog {
		return nil, nil
	}
	nc, place, err := f.log.connect(cmd.ErrOrStderr(), nil)
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	log, err := eventlog.Open(cmd.Context(), nc, place)
	if err != nil {
		return nil, err
	}
	head, err := log.Head(cmd.Context())
	return head.Floor(), err
}

// take reads the verdicts from the findings of a tick. A fleet that is not there
// is an error: nothing can be told of it.
func (v *releaseVerdict) take(r *producers.Result) error {
	v.Verified = true
	for _, finding := range r.Findings {
		a := artifactVerdict{verdict: verdict{Verified: true}}
		refuse := func(reason events.Reason, detail string) {
			text := string(reason)
			a.verdict, v.Verified = verdict{Reason: &text, Detail: &detail}, false
		}
		c := channelVerdict{}
		switch f := finding.(type) {
		case *events.FleetFetched:
			a.Warnings = slices.Concat(r.Keys, r.Memory.Set.Fleet().Warnings())
			digest := r.Memory.Set.Digest()
			v.SetDigest = &digest
		case *events.FleetRejected:
			if f.Stage == events.StageFetch {
				return fmt.Errorf("read fleet.resolved.json, or its .sig: %s", f.Detail)
			}
			refuse(f.Reason, f.Detail)
		case *events.RolloutVerified:
			c.RolloutID = &f.RolloutID
			rollout, _ := r.Memory.Set.Rollout(f.Channel)
			a.Warnings = rollout.Warnings()
		case *events.RolloutRejected:
			c.RolloutID = f.RolloutID
			refuse(f.Reason, f.Detail)
		case *events.CrossCheckFailed:
			c.RolloutID = &f.RolloutID
			refuse("CrossCheckFailed", fmt.Sprintf("%s: the fleet gives %s, the manifest says %s", f.Check, f.Expected, f.Actual))
		case *events.ChannelIdle:
			c.Idle = true
		}
		name, about := finding.ChannelName()
		if !about {
			v.Fleet = a
			continue
		}
		c.Channel, c.artifactVerdict = name, a
		v.Channels = append(v.Channels, c)
	}
	return nil
}

func (v releaseVerdict) table(w io.Writer) error {
	table := tabular.New(w)
	row := func(name string, r artifactVerdict) {
		state, why := "verified", ""
		if !r.Verified {
			state, why = "refused", *r.Reason+": "+*r.Detail
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", name, state, why)
		for _, warning := range r.Warnings {
			fmt.Fprintf(table, "%s\twarning\t%s\n", name, warning)
		}
	}
	row("fleet", v.Fleet)
	for _, c := range v.Channels {
		if c.Idle {
			fmt.Fprintf(table, "channel %q\tidle\t\n", c.Channel)
			continue
		}
		row(fmt.Sprintf("channel %q", c.Channel), c.artifactVerdict)
	}
	for _, f := range v.Files {
		row(fmt.Sprintf("file %q", f.File), artifactVerdict{verdict: f.verdict})
	}
	if v.SetDigest != nil {
		fmt.Fprintf(table, "set\t%s\t\n", v.SetDigest)
	}
	return table.Flush()
}
