package main

import (
	"fmt"
	"strings"

	"fleetlog/events/schema"
	"fleetlog/internal/process"

	"github.com/spf13/cobra"
)

func schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema [TYPE]",
		Short: "print the JSON Schema of an event",
		Long: `schema prints the JSON Schema (2020-12) of the body of an event, such as TickCompleted
or TickCompleted.v1. Without TYPE it lists all of them. A body may have further fields.

Exit status: 0 printed, 1 there is no such event, 2 could not write.`,
		Example: `fleetlog schema
fleetlog schema TickCompleted > TickCompleted.v1.json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), strings.Join(schema.Types(), "\n"))
				return could(err)
			}
			text, ok := schema.Of(args[0])
			if !ok {
				text, ok = schema.Of(args[0] + ".v1")
			}
			if !ok {
				return process.Exit(process.ExitNo, fmt.Errorf("%.60q is not an event: fleetlog schema lists all of them", args[0]))
			}
			_, err := cmd.OutOrStdout().Write(text)
			return could(err)
		},
	}
}
