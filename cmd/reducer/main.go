// Command reducer folds a fleet's log into the set that the fleet is supposed to
// run. See README.md beside this file.
package main

import (
	"os"

	"fleetlog/internal/process"

	"github.com/spf13/cobra"
)

func main() { os.Exit(process.Main(command(), nil)) }

func command() *cobra.Command {
	root := &cobra.Command{
		Use:   "reducer",
		Short: "fold a fleet's log into its current set",
		Long: `reducer follows the fleet's log, verifies every artifact that it names under its
own trust file, and keeps the resulting SignedManifestSet in a state directory:
STATE-DIR/current is always one whole release directory.

Exit status: 0 after SIGTERM; 1 when it cannot go on; 78 when its configuration
is refused.`,
		Args: cobra.NoArgs,
	}
	root.AddCommand(runCommand(), rebuildCommand())
	root.Version = process.Version()
	process.EnvironmentFlags(root, "NIXFLEET_REDUCER")
	return root
}
