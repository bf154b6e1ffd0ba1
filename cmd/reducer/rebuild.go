package main

import (
	"errors"

	"fleetlog/consumers/view"
	"fleetlog/internal/process"

	"github.com/spf13/cobra"
)

func rebuildCommand() *cobra.Command {
	var c config
	var output string
	cmd := &cobra.Command{
		Use:   "rebuild",
		Short: "start over from the log",
		Long: `rebuild sets the checkpoint aside, folds the whole log anew, prints the digest of
the resulting set, or "none", and ends. The set in STATE-DIR/current stays until it is
replaced, and nothing older than it is accepted. No other reducer may be running on
the directory.

Exit status: 0 rebuilt, 2 not rebuilt.`,
		Example: `reducer rebuild --fleet prod --state-dir /var/lib/reducer --trust-file trust.json --trust-first-use`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := rebuild(cmd, &c, output); err != nil {
				return process.Exit(process.ExitUnknown, err)
			}
			return nil
		},
	}
	c.flags(cmd.Flags())
	process.OutputVar(cmd.Flags(), &output)
	return cmd
}

func rebuild(cmd *cobra.Command, c *config, output string) (err error) {
	log, err := c.logging.New(cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	if err := c.validate(); err != nil {
		return err
	}
	reducer, closeAll, err := c.reducer(log, func(error) {}, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAll()) }()
	if err := reducer.Rebuild(cmd.Context()); err != nil {
		return err
	}
	var rebuilt view.Rebuilt
	if state, _ := reducer.Current(); state.Set != nil {
		digest := state.Set.Digest()
		rebuilt.SetDigest = &digest
	}
	if output != process.TableForm {
		return process.PrintJSON(cmd.OutOrStdout(), rebuilt)
	}
	return rebuilt.Table(cmd.OutOrStdout())
}
