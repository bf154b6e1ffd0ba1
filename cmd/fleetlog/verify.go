package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"text/tabwriter"
	"time"

	"fleetlog/internal/process"
	"fleetlog/manifest"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// verifyFlags are what every verification is judged by.
type verifyFlags struct {
	trust  string
	now    string
	window uint64
	output string
}

func (f *verifyFlags) register(fs *pflag.FlagSet) {
	fs.StringVar(&f.trust, "trust-file", "", "trust.json with the keys that sign releases")
	fs.StringVar(&f.now, "now", "", "instant to judge by, RFC 3339; the present without it")
	fs.Uint64Var(&f.window, "freshness-window-secs", 3600, "how old a signature may be, in seconds; 60 s of slack come on top")
	process.ChoiceVar(fs, &f.output, "output", "o", "form of the answer", "table", "json")
}

func (f *verifyFlags) policy() (manifest.Policy, error) {
	p := manifest.Policy{Now: time.Now(), Window: manifest.Window(f.window)}
	if f.trust == "" {
		return p, could(errors.New("no trust file: give --trust-file"))
	}
	if f.now != "" {
		at, err := manifest.ParseInstant(f.now)
		if err != nil {
			return p, could(fmt.Errorf("--now: %w", err))
		}
		p.Now = at.Time()
	}
	var err error
	p.Trust, err = readTrust(f.trust)
	return p, err
}

// verdict is the answer about one artifact.
type verdict struct {
	Verified bool    `json:"verified"`
	Reason   *string `json:"reason"`
	Detail   *string `json:"detail"`
}

// judge turns an error of verification into an answer; other errors are not
// one.
func judge(err error) (verdict, error) {
	var rejection *manifest.Rejection
	switch {
	case err == nil:
		return verdict{Verified: true}, nil
	case !errors.As(err, &rejection):
		return verdict{}, err
	}
	reason := string(rejection.Kind)
	return verdict{Reason: &reason, Detail: &rejection.Detail}, nil
}

// print answers and sets the exit code.
func (v verdict) print(w io.Writer, output string) error {
	var err error
	switch {
	case output == "json":
		err = process.PrintJSON(w, v)
	case v.Verified:
		_, err = fmt.Fprintln(w, "verified")
	default:
		_, err = fmt.Fprintf(w, "refused: %s: %s\n", *v.Reason, *v.Detail)
	}
	if err == nil && !v.Verified {
		return process.Exit(process.ExitNo, nil)
	}
	return could(err)
}

func verifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "verify artifacts offline",
		Long: `verify judges signed artifacts by the NixFleet contract, without a network.

Exit status: 0 verified, 1 refused, 2 could not tell.`,
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(verifyArtifactCommand("fleet"), verifyArtifactCommand("rollout"), verifyReleaseCommand())
	return cmd
}

func verifyArtifactCommand(kind string) *cobra.Command {
	var f verifyFlags
	var artifact, signature, id string
	cmd := &cobra.Command{
		Use:   kind,
		Short: "verify one " + map[string]string{"fleet": "fleet.resolved.json", "rollout": "rollout manifest"}[kind],
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v, err := judge(verifyArtifact(&f, kind, artifact, signature, id))
			if err != nil {
				return could(err)
			}
			return v.print(cmd.OutOrStdout(), f.output)
		},
	}
	f.register(cmd.Flags())
	cmd.Flags().StringVar(&artifact, "artifact", "", "file with the artifact")
	cmd.Flags().StringVar(&signature, "signature", "", "file with its signature, raw bytes")
	if kind == "rollout" {
		cmd.Flags().StringVar(&id, "rollout-id", "", "id that the manifest was asked for under")
	}
	return cmd
}

func verifyArtifact(f *verifyFlags, kind, artifact, signature, idText string) error {
	var id manifest.RolloutID
	var err error
	if kind == "rollout" {
		if id, err = manifest.ParseRolloutID(idText); err != nil {
			return could(fmt.Errorf("--rollout-id: %w", err))
		}
	}
	var r manifest.Received
	if r.Body, err = readLimited(artifact, manifest.MaxArtifact); err != nil {
		return could(err)
	}
	if r.Signature, err = readLimited(signature, manifest.MaxTrust); err != nil {
		return could(err)
	}
	policy, err := f.policy()
	if err != nil {
		return err
	}
	if kind == "rollout" {
		_, err = manifest.VerifyRollout(r, id, policy)
	} else {
		_, err = manifest.VerifyFleet(r, policy)
	}
	return err
}

// releaseVerdict is the answer about a whole release directory.
type releaseVerdict struct {
	Verified  bool             `json:"verified"`
	Fleet     verdict          `json:"fleet"`
	SetDigest *manifest.Digest `json:"setDigest"`
	Channels  []channelVerdict `json:"channels"`
}

type channelVerdict struct {
	Channel   string  `json:"channel"`
	RolloutID *string `json:"rolloutId"`
	Idle      bool    `json:"idle"`
	verdict
}

func verifyReleaseCommand() *cobra.Command {
	var f verifyFlags
	cmd := &cobra.Command{
		Use:   "release DIR",
		Short: "verify a whole release directory",
		Long: `release verifies the fleet in DIR, and for every channel the manifest that it must
have: signature, id, fleet hash and hosts.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return verifyRelease(cmd, &f, args[0]) },
	}
	f.register(cmd.Flags())
	return cmd
}

func verifyRelease(cmd *cobra.Command, f *verifyFlags, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return could(err)
	}
	defer root.Close()
	policy, err := f.policy()
	v := releaseVerdict{Channels: []channelVerdict{}}
	if err == nil {
		v, err = judgeRelease(root.FS(), policy)
	} else if v.Fleet, err = judge(err); err != nil {
		return could(err)
	}
	if err != nil {
		return could(err)
	}
	if f.output == "json" {
		err = process.PrintJSON(cmd.OutOrStdout(), v)
	} else {
		err = v.table(cmd.OutOrStdout())
	}
	if err == nil && !v.Verified {
		return process.Exit(process.ExitNo, nil)
	}
	return could(err)
}

func judgeRelease(files fs.FS, policy manifest.Policy) (releaseVerdict, error) {
	v := releaseVerdict{Channels: []channelVerdict{}}
	received, err := readPair(files, "fleet.resolved.json")
	if err != nil {
		return v, err
	}
	fleet, err := manifest.VerifyFleet(received, policy)
	if v.Fleet, err = judge(err); err != nil || !v.Fleet.Verified {
		return v, err
	}
	v.Verified = true
	var rollouts []manifest.Verified[manifest.Rollout]
	for _, p := range manifest.Project(fleet, manifest.SchemeOf(fleet.Value())) {
		c, rollout := judgeChannel(files, fleet, p, policy)
		if !rollout.IsZero() {
			rollouts = append(rollouts, rollout)
		}
		v.Verified = v.Verified && c.Verified
		v.Channels = append(v.Channels, c)
	}
	set, err := manifest.NewSet(fleet, rollouts, "")
	if err != nil {
		return v, err
	}
	digest := set.Digest()
	v.SetDigest = &digest
	return v, nil
}

func judgeChannel(files fs.FS, fleet manifest.Verified[manifest.Fleet], p manifest.Projection, policy manifest.Policy) (channelVerdict, manifest.Verified[manifest.Rollout]) {
	c := channelVerdict{Channel: p.Channel, Idle: p.Idle}
	var none manifest.Verified[manifest.Rollout]
	refuse := func(reason, detail string) (channelVerdict, manifest.Verified[manifest.Rollout]) {
		c.verdict = verdict{Reason: &reason, Detail: &detail}
		return c, none
	}
	if p.Err != nil || p.Idle {
		c.verdict, _ = judge(p.Err)
		return c, none
	}
	id := p.ID.String()
	c.RolloutID = &id
	if err := p.ID.CheckName(); err != nil {
		return refuse("IdentityUnservable", err.Error())
	}
	received, err := readPair(files, "rollouts/"+id+".json")
	if err != nil {
		return refuse("Unreachable", "file cannot be read")
	}
	rollout, err := manifest.VerifyRollout(received, p.ID, policy)
	if err != nil {
		c.verdict, _ = judge(err)
		return c, none
	}
	if err := manifest.CrossCheck(fleet, p, rollout); err != nil {
		return refuse("CrossCheckFailed", err.Error())
	}
	c.Verified = true
	return c, rollout
}

func readPair(files fs.FS, name string) (r manifest.Received, err error) {
	if r.Body, err = fs.ReadFile(files, name); err != nil {
		return r, err
	}
	r.Signature, err = fs.ReadFile(files, name+".sig")
	return r, err
}

func (v releaseVerdict) table(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name string, r verdict) {
		state, why := "verified", ""
		if !r.Verified {
			state, why = "refused", *r.Reason+": "+*r.Detail
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", name, state, why)
	}
	row("fleet", v.Fleet)
	for _, c := range v.Channels {
		if c.Idle {
			fmt.Fprintf(table, "channel %q\tidle\t\n", c.Channel)
			continue
		}
		row(fmt.Sprintf("channel %q", c.Channel), c.verdict)
	}
	if v.SetDigest != nil {
		fmt.Fprintf(table, "set\t%s\t\n", v.SetDigest)
	}
	return table.Flush()
}

func canonicalizeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "canonicalize",
		Short: "write the canonical form of JSON",
		Long: `canonicalize reads JSON from standard input and writes its RFC 8785 form, which is
what is signed and hashed, without a newline.

Exit status: 0 written, 1 refused, 2 could not read or write.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			data, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), manifest.MaxArtifact+1))
			if err == nil && len(data) > manifest.MaxArtifact {
				err = fmt.Errorf("input is larger than %d bytes", manifest.MaxArtifact)
			}
			if err != nil {
				return could(err)
			}
			canonical, err := manifest.Canonicalize(data)
			if err != nil {
				return process.Exit(process.ExitNo, err)
			}
			_, err = cmd.OutOrStdout().Write(canonical)
			return could(err)
		},
	}
}
