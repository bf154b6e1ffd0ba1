// Command poller polls a NixFleet release, verifies it, and records every tick
// in the log. See README.md beside this file.
package main

import (
	"os"

	"fleetlog/internal/process"

	"github.com/spf13/cobra"
)

func main() { os.Exit(process.Main(command(), nil)) }

func command() *cobra.Command {
	root := &cobra.Command{
		Use:   "poller",
		Short: "poll a NixFleet release and record what was verified",
		Long: `poller fetches the signed fleet and its rollout manifests from a control plane
or a release directory, verifies them under a trust file, and appends one tick
after another to the fleet's log on NATS JetStream. It keeps nothing on disk:
what it must know of the past it reads from the log.

Exit status: 0 after SIGTERM; 1 when it cannot go on; 78 when its configuration
is refused. That of once is its own.`,
		Args: cobra.NoArgs,
	}
	root.AddCommand(runCommand(), onceCommand())
	root.Version = process.Version()
	process.EnvironmentFlags(root, "NIXFLEET_POLLER")
	return root
}
