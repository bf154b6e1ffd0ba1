package main

import (
	"errors"

	"fleetlog/manifest"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// artifactFlags name one artifact and what it is judged by.
type artifactFlags struct {
	verifyFlags
	artifact, signature string
}

func (f *artifactFlags) register(fs *pflag.FlagSet) {
	f.verifyFlags.register(fs)
	fs.StringVar(&f.artifact, "artifact", "", "file with the artifact")
	fs.StringVar(&f.signature, "signature", "", "file with its signature, raw bytes")
}

// answer reads the artifact, lets verify judge it, and prints the verdict.
func (f *artifactFlags) answer(cmd *cobra.Command, verify func(manifest.Received, manifest.Policy) error) error {
	if f.artifact == "" || f.signature == "" {
		return could(errors.New("no artifact or no signature: give --artifact and --signature"))
	}
	var r manifest.Received
	var err error
	if r.Body, err = readLimited(f.artifact, manifest.MaxArtifact); err != nil {
		return could(err)
	}
	if r.Signature, err = readLimited(f.signature, manifest.MaxTrust); err != nil {
		return could(err)
	}
	policy, err := f.policy()
	if err == nil {
		err = verify(r, policy)
	}
	v, err := judge(err)
	if err != nil {
		return could(err)
	}
	return v.print(cmd.OutOrStdout(), f.output)
}

func verifyFleetCommand() *cobra.Command {
	var f artifactFlags
	cmd := &cobra.Command{
		Use:   "fleet",
		Short: "verify one fleet.resolved.json",
		Long: `fleet verifies a fleet.resolved.json: its form, its signature by a key of the trust
file, and its age at the instant given. A trust file that is invalid is a refusal.`,
		Example: `fleetlog verify fleet --artifact fleet.resolved.json --signature fleet.resolved.json.sig \
  --trust-file trust.json -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.answer(cmd, func(r manifest.Received, p manifest.Policy) error {
				_, err := manifest.VerifyFleet(r, p)
				return err
			})
		},
	}
	f.register(cmd.Flags())
	return cmd
}

func verifyRolloutCommand() *cobra.Command {
	var f artifactFlags
	var text string
	cmd := &cobra.Command{
		Use:   "rollout",
		Short: "verify one rollout manifest",
		Long: `rollout verifies a rollout manifest: its form, its signature by a key of the trust
file, its age at the instant given, and that it is the one of the id. Whether it
belongs to a fleet is for verify release to tell.`,
		Example: `fleetlog verify rollout --rollout-id stable@4f2a91c --artifact stable.json \
  --signature stable.json.sig --trust-file trust.json -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("rollout-id") {
				return could(errors.New("no rollout id: give --rollout-id"))
			}
			return f.answer(cmd, func(r manifest.Received, p manifest.Policy) error {
				_, err := manifest.VerifyRollout(r, rolloutID(text), p)
				return err
			})
		},
	}
	f.register(cmd.Flags())
	cmd.Flags().StringVar(&text, "rollout-id", "", "id that the manifest was asked for under")
	return cmd
}

// rolloutID reads an id. What is none becomes one that no manifest has: to be
// asked for under it is a mismatch like any other.
func rolloutID(text string) manifest.RolloutID {
	id, err := manifest.ParseRolloutID(text)
	if err != nil {
		return manifest.ContentHashID(manifest.Digest{})
	}
	return id
}
