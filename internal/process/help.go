package process

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// exitStatus begins the paragraph of a command's Long that tells its exit codes.
// Commands without one have that of the nearest command above them.
const exitStatus = "Exit status: "

// printHelp writes the help of a command as a page of the manual.
func printHelp(w io.Writer, cmd *cobra.Command) {
	description, status := describe(cmd)
	fmt.Fprintf(w, "NAME\n    %s - %s\n\nSYNOPSIS\n    %s\n\nDESCRIPTION\n", cmd.CommandPath(), cmd.Short, synopsis(cmd))
	printText(w, "    ", description)
	if cmd.HasAvailableSubCommands() {
		fmt.Fprint(w, "\nCOMMANDS\n")
		for _, sub := range listed(cmd) {
			fmt.Fprintf(w, "    %-*s  %s\n", sub.NamePadding(), sub.Name(), sub.Short)
		}
	}
	fmt.Fprint(w, "\nOPTIONS\n")
	cmd.Flags().VisitAll(func(f *pflag.Flag) { printFlag(w, f) })
	if hasVariables(cmd.Flags()) {
		fmt.Fprint(w, "\nENVIRONMENT\n")
		printText(w, "    ", environmentText)
	}
	if status != "" {
		fmt.Fprint(w, "\nEXIT STATUS\n")
		printText(w, "    ", status)
	}
	if cmd.Example != "" {
		fmt.Fprintf(w, "\nEXAMPLES\n    %s\n", strings.ReplaceAll(cmd.Example, "\n", "\n    "))
	}
}

// listed are the commands below that help names.
func listed(cmd *cobra.Command) (all []*cobra.Command) {
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() || sub.Name() == "help" {
			all = append(all, sub)
		}
	}
	return all
}

func synopsis(cmd *cobra.Command) string {
	if cmd.HasAvailableSubCommands() {
		return cmd.CommandPath() + " command"
	}
	return cmd.UseLine()
}

// describe gives the paragraphs of a command without the one about exit codes,
// and that one.
func describe(cmd *cobra.Command) (description, status string) {
	var paragraphs []string
	for _, p := range strings.Split(cmd.Long, "\n\n") {
		if rest, ok := strings.CutPrefix(p, exitStatus); ok {
			status = rest
		} else {
			paragraphs = append(paragraphs, p)
		}
	}
	if status == "" && cmd.HasParent() {
		_, status = describe(cmd.Parent())
	}
	return strings.Join(paragraphs, "\n\n"), status
}

// environmentText stands under ENVIRONMENT.
const environmentText = "An option that is not given is taken from the variable that is named behind it, unless that is empty."

func hasVariables(fs *pflag.FlagSet) (has bool) {
	fs.VisitAll(func(f *pflag.Flag) { has = has || f.Annotations[environmentAnnotation] != nil })
	return has
}

func printFlag(w io.Writer, f *pflag.Flag) {
	name, kind, usage := describeFlag(f)
	fmt.Fprintf(w, "    %s\n", strings.TrimSpace(name+" "+kind))
	printText(w, "        ", usage)
}

// describeFlag gives a flag's names, the kind of its value, "" for a switch, and
// what it is for, with the variable that sets it and its default.
func describeFlag(f *pflag.Flag) (name, kind, usage string) {
	kind, usage = pflag.UnquoteUsage(f)
	name = "--" + f.Name
	if f.Shorthand != "" {
		name = "-" + f.Shorthand + ", " + name
	}
	if f.Value.Type() == "bool" {
		kind = ""
	}
	if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "[]" && f.DefValue != "0" {
		usage += " (default " + f.DefValue + ")"
	}
	return name, kind, usage
}

// helpWidth is where lines of help texts break.
const helpWidth = 80

// printText writes paragraphs, breaking their lines anew.
func printText(w io.Writer, indent, text string) {
	for i, paragraph := range strings.Split(text, "\n\n") {
		if i > 0 {
			fmt.Fprintln(w)
		}
		for _, line := range wrap(paragraph, helpWidth-len(indent)) {
			fmt.Fprintln(w, indent+line)
		}
	}
}

// wrap breaks a paragraph into lines of no more than so many bytes.
func wrap(paragraph string, width int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(paragraph) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
