package main

import (
	"fmt"

	"fleetlog/consumers/explain"
	"fleetlog/internal/process"

	"github.com/spf13/cobra"
)

func explainCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "explain [CODE]",
		Short: "say what a code means",
		Long: `explain says what a code that fleetlog, an event or a poller's log names means: a
reason, a breach that fsck or audit found, a word for how a channel stands, or an exit
code. It says what causes it and what would clear it. Without CODE it lists all of them.

Exit status: 0 explained, 1 there is no such code, 2 could not write.`,
		Example: `fleetlog explain BadSignature
fleetlog explain NotAdvancing -o json
fleetlog explain 78`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: first(cobra.FixedCompletions(codesToExplain(), cobra.ShellCompDirectiveNoFileComp|cobra.ShellCompDirectiveKeepOrder)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return could(listCodes(cmd, output))
			}
			page, ok := explain.Find(args[0])
			if !ok {
				return process.Exit(process.ExitNo, fmt.Errorf("%.60q is not a code: fleetlog explain lists all of them", args[0]))
			}
			if output == process.TableForm {
				return could(page.Text(cmd.OutOrStdout()))
			}
			return could(process.PrintJSON(cmd.OutOrStdout(), page))
		},
	}
	process.OutputVar(cmd.Flags(), &output)
	return cmd
}

func listCodes(cmd *cobra.Command, output string) error {
	pages := explain.Pages()
	if output == process.JSONForm {
		return process.PrintJSON(cmd.OutOrStdout(), pages)
	}
	for _, page := range pages {
		var err error
		if output == process.LinesForm {
			err = process.PrintJSON(cmd.OutOrStdout(), page)
		} else {
			_, err = fmt.Fprintln(cmd.OutOrStdout(), page.Code)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
