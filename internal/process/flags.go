package process

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// environmentAnnotation holds the name of the variable that sets a flag.
const environmentAnnotation = "fleetlog_environment"

// EnvironmentFlags lets every flag of the command and of those below it be set
// by an environment variable: the prefix and the flag's name in upper case, with
// '_' for '-' (NIXFLEET_POLLER and --trust-file: NIXFLEET_POLLER_TRUST_FILE).
// The flag wins over the variable; an empty variable counts as none. The help
// text of each flag names its variable.
//
// Call it once, when the tree is complete. A flag that a variable has set counts
// as changed. Variables are read before any PersistentPreRunE and PreRunE.
func EnvironmentFlags(cmd *cobra.Command, prefix string) {
	nameVariables(cmd, prefix)
	if cmd.PersistentPreRunE == nil {
		cmd.PersistentPreRunE = func(*cobra.Command, []string) error { return nil }
	}
	readBeforeRun(cmd)
}

func nameVariables(cmd *cobra.Command, prefix string) {
	name := func(f *pflag.Flag) {
		if f.Annotations[environmentAnnotation] != nil {
			return // shared between commands
		}
		variable := prefix + "_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		if f.Annotations == nil {
			f.Annotations = map[string][]string{}
		}
		f.Annotations[environmentAnnotation] = []string{variable}
		f.Usage += " [$" + variable + "]"
	}
	cmd.PersistentFlags().VisitAll(name)
	cmd.Flags().VisitAll(name)
	for _, sub := range cmd.Commands() {
		nameVariables(sub, prefix)
	}
}

// readBeforeRun reads the variables in every hook that cobra might choose: it
// runs only the one nearest to the command.
func readBeforeRun(cmd *cobra.Command) {
	if hook := cmd.PersistentPreRunE; hook != nil {
		cmd.PersistentPreRunE = func(cmd *cobra.Command, args []string) error {
			if err := readVariables(cmd.Flags()); err != nil {
				return err
			}
			return hook(cmd, args)
		}
	}
	for _, sub := range cmd.Commands() {
		readBeforeRun(sub)
	}
}

func readVariables(flags *pflag.FlagSet) (err error) {
	flags.VisitAll(func(f *pflag.Flag) {
		variable := f.Annotations[environmentAnnotation]
		if variable == nil || f.Changed || err != nil {
			return
		}
		if value := os.Getenv(variable[0]); value != "" {
			if setErr := flags.Set(f.Name, value); setErr != nil {
				err = fmt.Errorf("environment variable %s: %w", variable[0], setErr)
			}
		}
	})
	return err
}

// ChoiceVar registers a flag that takes one of the given values; the first is
// its default.
func ChoiceVar(fs *pflag.FlagSet, value *string, name, shorthand, usage string, choices ...string) {
	*value = choices[0]
	fs.VarP(&choice{value, choices}, name, shorthand, usage+": "+strings.Join(choices, ", "))
}

type choice struct {
	value   *string
	choices []string
}

func (c *choice) String() string { return *c.value }

// Type names the value in help texts.
func (c *choice) Type() string { return "string" }

func (c *choice) Set(text string) error {
	if !slices.Contains(c.choices, text) {
		return fmt.Errorf("want one of %s", strings.Join(c.choices, ", "))
	}
	*c.value = text
	return nil
}
