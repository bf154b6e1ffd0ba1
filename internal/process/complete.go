package process

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// completeTree lets a shell complete whatever the command and those below it do
// not complete themselves: flags that have choices with these, flags and
// arguments that name files or directories with such, all others with nothing.
func completeTree(cmd *cobra.Command) {
	if cmd.ValidArgsFunction == nil && len(cmd.ValidArgs) == 0 {
		cmd.ValidArgsFunction = completePath(cmd.Use)
	}
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if _, done := cmd.GetFlagCompletionFunc(f.Name); done {
			return
		}
		complete := completePath("")
		if c, ok := f.Value.(*choice); ok {
			complete = cobra.FixedCompletions(c.choices, cobra.ShellCompDirectiveNoFileComp)
		} else if f.Value.Type() == "string" || f.Value.Type() == "stringSlice" {
			complete = completePath(pathNamed(f.Name))
		}
		_ = cmd.RegisterFlagCompletionFunc(f.Name, complete) // it fails for flags that do not exist only
	})
	for _, sub := range cmd.Commands() {
		completeTree(sub)
	}
}

// completePath completes FILE or DIR, where the text names one of them.
func completePath(text string) cobra.CompletionFunc {
	directive := cobra.ShellCompDirectiveNoFileComp
	switch {
	case strings.Contains(text, "DIR"):
		directive = cobra.ShellCompDirectiveFilterDirs
	case strings.Contains(text, "FILE"):
		directive = cobra.ShellCompDirectiveDefault
	}
	return func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return nil, directive
	}
}

// pathNamed is FILE or DIR for a flag whose value is one, by the last word of its
// name.
func pathNamed(flag string) string {
	switch last := flag[strings.LastIndex(flag, "-")+1:]; last {
	case "dir":
		return "DIR"
	case "file", "cert", "ca", "config", "artifact", "signature", "html", "bundle", "extends", "head", "compare", "continues", "context":
		return "FILE"
	case "key":
		if flag != "writer-key" {
			return "FILE"
		}
	}
	return ""
}

// ReadEnvironment sets the flags of the command that are not given from their
// variables, as it is done before a command runs: for completions, which come
// before that.
func ReadEnvironment(cmd *cobra.Command) error { return readVariables(cmd.Flags()) }
