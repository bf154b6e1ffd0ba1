package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// Main executes the command until it returns and gives the code to exit with.
// The first SIGTERM or SIGINT cancels the command's context, a second one ends
// the process at once. An error is printed to the command's standard error as
// one line; a command that was asked for JSON prints it as a [Failure] to its
// standard output, too. name gives the stable code of an error, "" where it has
// none; nil stands for a program whose errors have none. --version prints
// [Version] unless the command has its own. --help prints a page of the manual:
// what the command's Long says about itself and, in a paragraph that begins with
// "Exit status: ", about its exit codes; the hidden command man prints it for the
// program man. What a shell can complete is completed: see completeTree.
//
// The code is 0 without an error, what [Exit] or [ConfigError] gave it, 2 for
// arguments that are refused before the command runs, 130 when the command
// returns the cancellation that a signal caused, and 1 for any other error.
func Main(cmd *cobra.Command, name func(error) string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	// From the first signal on the next one has its default effect again.
	context.AfterFunc(ctx, stop)
	return execute(ctx, cmd, name)
}

func execute(ctx context.Context, cmd *cobra.Command, name func(error) string) int {
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	if cmd.Version == "" {
		cmd.Version = Version()
	}
	cmd.SetHelpFunc(func(cmd *cobra.Command, _ []string) { printHelp(cmd.OutOrStdout(), cmd) })
	cmd.AddCommand(manCommand())
	completeTree(cmd)
	run := &running{}
	run.watch(cmd)
	called, err := cmd.ExecuteContextC(ctx)
	if err == nil {
		return ExitOK
	}
	f := Failure{Error: Details{ExitCode: ExitNo}}
	code, told := exitCode(err)
	switch {
	case told:
		f.Error.ExitCode = code
	case !run.began:
		f.Error.ExitCode, f.Error.Hint = ExitUnknown, called.CommandPath()+" --help"
		err = fmt.Errorf("%w (see %s)", err, f.Error.Hint)
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		return ExitInterrupted
	}
	f.describe(err, name)
	if f.Error.Message != "" {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", cmd.Name(), f.Error.Message)
		if isJSONAsked(called, os.Args[1:], run.began) {
			if err := PrintJSON(cmd.OutOrStdout(), f); err != nil {
				fmt.Fprintf(cmd.ErrOrStderr(), "%s: %v\n", cmd.Name(), err)
			}
		}
	}
	return f.Error.ExitCode
}

// running tells a refusal of the arguments from an error of the command itself.
type running struct{ began bool }

func (r *running) watch(cmd *cobra.Command) {
	if !cmd.Runnable() && cmd.HasSubCommands() {
		cmd.Args, cmd.RunE, cmd.DisableFlagsInUseLine = cobra.ArbitraryArgs, refuseGroup, true
	} else if run := cmd.RunE; run != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			r.began = true
			return run(cmd, args)
		}
	}
	for _, sub := range cmd.Commands() {
		r.watch(sub)
	}
}

// refuseGroup is what a command does that only has commands below it: cobra
// would print its help and call that a success.
func refuseGroup(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return errors.New("name a command")
	}
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return fmt.Errorf("unknown command %q, did you mean %q?", args[0], near[0])
	}
	return fmt.Errorf("unknown command %q", args[0])
}
