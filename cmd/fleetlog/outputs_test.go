package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestAnswersOfCommands: every command that prints JSON has a schema, which can
// be made.
func TestAnswersOfCommands(t *testing.T) {
	names := append(schemaNames(), "events") // whose bodies have those of their types
	for _, a := range answers() {
		if text, ok, err := schemaOf(a.name); err != nil || !ok || len(text) < 100 {
			t.Errorf("%s: schema %q, %v", a.name, text, err)
		}
	}
	found := 0
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
		output := cmd.LocalFlags().Lookup("output")
		if output == nil || output.Value.Set("json") != nil {
			return
		}
		found++
		name := strings.ReplaceAll(strings.TrimPrefix(cmd.CommandPath(), "fleetlog "), " ", "-")
		if !slices.Contains(names, name) {
			t.Errorf("%s prints JSON, and has no schema", cmd.CommandPath())
		}
	}
	walk(command())
	if found < 15 {
		t.Errorf("only %d commands print JSON", found)
	}
}
