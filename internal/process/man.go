package process

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// manCommand prints pages of the manual in the form that the program man reads.
// docs/man holds all of them; packages install those.
func manCommand() *cobra.Command {
	return &cobra.Command{
		Use: "man [COMMAND...]", Hidden: true,
		Short: "print a page of the manual for the program man",
		Long:  "man prints the help of a command, the program's own without one, in the form that the program man reads.",
		Args:  cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err == nil && len(rest) > 0 {
				err = fmt.Errorf("there is no command %q", strings.Join(args, " "))
			}
			if err != nil {
				return Exit(ExitUnknown, err)
			}
			about.InitDefaultHelpFlag()
			about.InitDefaultVersionFlag()
			printManual(cmd.OutOrStdout(), about)
			return nil
		},
	}
}

// manDate is the date that a page must have: of the manual as a whole, set with
// a release. manWidth leaves room for what is escaped.
const (
	manDate  = "2026-11-25"
	manWidth = 64
)

// printManual writes the help of a command in the macros of man(7). It holds
// nothing of the time or place of its making.
func printManual(w io.Writer, cmd *cobra.Command) {
	name := strings.ReplaceAll(cmd.CommandPath(), " ", "-")
	description, status := describe(cmd)
	fmt.Fprintf(w, ".TH %q 1 %s fleetlog \"fleetlog manual\"\n", strings.ToUpper(name), manDate)
	fmt.Fprintf(w, ".SH NAME\n%s \\- %s\n.SH SYNOPSIS\n%s\n", roff(name), roff(cmd.Short), bold(synopsis(cmd)))
	manText(w, ".SH DESCRIPTION", description)
	if cmd.HasAvailableSubCommands() {
		fmt.Fprint(w, ".SH COMMANDS\n")
		for _, sub := range listed(cmd) {
			if !isOfCobra(sub) {
				fmt.Fprintf(w, ".TP\n%s(1)\n%s\n", bold(name+"-"+sub.Name()), roff(sub.Short))
			}
		}
	}
	fmt.Fprint(w, ".SH OPTIONS\n")
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		names, kind, usage := describeFlag(f)
		fmt.Fprintf(w, ".TP\n%s", bold(names))
		if kind != "" {
			fmt.Fprintf(w, " \\fI%s\\fR", roff(kind))
		}
		fmt.Fprint(w, "\n")
		manLines(w, usage)
	})
	if hasVariables(cmd.Flags()) {
		manText(w, ".SH ENVIRONMENT", environmentText)
	}
	if status != "" {
		manText(w, ".SH EXIT STATUS", status)
	}
	if cmd.Example != "" {
		fmt.Fprint(w, ".SH EXAMPLES\n.nf\n")
		for line := range strings.SplitSeq(cmd.Example, "\n") {
			fmt.Fprintln(w, guarded(roff(line)))
		}
		fmt.Fprint(w, ".fi\n")
	}
	if cmd.HasParent() {
		fmt.Fprintf(w, ".SH SEE ALSO\n%s(1)\n", bold(strings.ReplaceAll(cmd.Parent().CommandPath(), " ", "-")))
	}
}

// isOfCobra tells commands that this project has not written.
func isOfCobra(cmd *cobra.Command) bool { return cmd.Name() == "help" || cmd.Name() == "completion" }

func manText(w io.Writer, heading, text string) {
	fmt.Fprintln(w, heading)
	for i, paragraph := range strings.Split(text, "\n\n") {
		if i > 0 {
			fmt.Fprint(w, ".PP\n")
		}
		manLines(w, paragraph)
	}
}

func manLines(w io.Writer, paragraph string) {
	for _, line := range wrap(paragraph, manWidth) {
		fmt.Fprintln(w, guarded(roff(line)))
	}
}

func bold(text string) string { return `\fB` + roff(text) + `\fR` }

// roff escapes what has a meaning inside of a line.
func roff(text string) string {
	return strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`).Replace(text)
}

// guarded keeps a line from being taken for a macro.
func guarded(line string) string {
	if strings.HasPrefix(line, ".") {
		return `\&` + line
	}
	return line
}
