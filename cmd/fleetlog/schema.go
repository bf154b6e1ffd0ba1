package main

import (
	"fmt"
	"io"

	"fleetlog/events/schema"
	"fleetlog/internal/process"

	"github.com/spf13/cobra"
)

func schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema [NAME]",
		Short: "print the JSON Schema of an event or of an answer",
		Long: `schema prints the JSON Schema (2020-12) of the body of an event, such as TickCompleted
or TickCompleted.v1, or of what a command prints with -o json, such as show or
verify-release; failure is what any command prints with it when it fails. With -o jsonl
each line is an element of the list, or the whole where there is none. Without NAME it
lists all of them. Further fields may be added.

Exit status: 0 printed, 1 there is no such event or answer, 2 could not write.`,
		Example: `fleetlog schema
fleetlog schema TickCompleted > TickCompleted.v1.json
fleetlog schema verify-release`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: first(cobra.FixedCompletions(schemaNames(), cobra.ShellCompDirectiveNoFileComp)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				for _, name := range schemaNames() {
					if _, err := fmt.Fprintln(cmd.OutOrStdout(), name); err != nil {
						return could(err)
					}
				}
				return nil
			}
			return printSchema(cmd.OutOrStdout(), args[0])
		},
	}
}

// schemaNames are the types of events, and the answers.
func schemaNames() []string {
	all := schema.Types()
	for _, a := range answers() {
		all = append(all, a.name)
	}
	return all
}

func printSchema(w io.Writer, name string) error {
	text, ok := schema.Of(name)
	if !ok {
		text, ok = schema.Of(name + ".v1")
	}
	if !ok {
		var err error
		if text, ok, err = schemaOf(name); err != nil {
			return could(err)
		}
	}
	if !ok {
		return process.Exit(process.ExitNo, fmt.Errorf("%.60q is no event and no answer: fleetlog schema lists all of them", name))
	}
	_, err := w.Write(text)
	return could(err)
}
