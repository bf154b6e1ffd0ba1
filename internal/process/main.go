package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit codes of every command.
const (
	ExitOK          = 0   // yes, done; a daemon that was asked to stop
	ExitNo          = 1   // no: refused, differs, degraded; a daemon's failure worth a restart
	ExitUnknown     = 2   // could not tell: usage, input, connection
	ExitConfig      = 78  // a daemon refused by its own configuration: a restart does not help
	ExitInterrupted = 130 // a command cut short by a signal
)

// Main executes the command until it returns and gives the code to exit with.
// The first SIGTERM or SIGINT cancels the command's context, a second one ends
// the process at once. An error is printed to the command's standard error as
// one line. --version prints [Version] unless the command has its own. --help
// prints a page of the manual: what the command's Long says about itself and,
// in a paragraph that begins with "Exit status: ", about its exit codes.
//
// The code is 0 without an error, what [Exit] or [ConfigError] gave it, 2 for
// arguments that are refused before the command runs, 130 when the command
// returns the cancellation that a signal caused, and 1 for any other error.
func Main(cmd *cobra.Command) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	// From the first signal on the next one has its default effect again.
	context.AfterFunc(ctx, stop)
	return execute(ctx, cmd)
}

func execute(ctx context.Context, cmd *cobra.Command) int {
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	if cmd.Version == "" {
		cmd.Version = Version()
	}
	cmd.SetHelpFunc(func(cmd *cobra.Command, _ []string) { printHelp(cmd.OutOrStdout(), cmd) })
	run := &running{}
	run.watch(cmd)
	called, err := cmd.ExecuteContextC(ctx)
	if err == nil {
		return ExitOK
	}
	code, told := exitCode(err)
	switch {
	case told:
	case !run.began:
		code = ExitUnknown
		err = fmt.Errorf("%w (see %s --help)", err, called.CommandPath())
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		return ExitInterrupted
	}
	printError(cmd.ErrOrStderr(), cmd.Name(), err)
	return code
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

// printError prints one line; an error without text prints none.
func printError(w io.Writer, name string, err error) {
	if text := oneLine(err.Error()); text != "" {
		fmt.Fprintf(w, "%s: %s\n", name, text) //nolint:errcheck // there is nowhere left to say it
	}
}

// oneLine joins the lines of a text that are not empty.
func oneLine(text string) string {
	lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' })
	return strings.Join(lines, "; ")
}

// codeError is an error that knows its exit code.
type codeError struct {
	code int
	err  error
}

func (e *codeError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *codeError) Unwrap() error { return e.err }

// ExitCode is the code for [Main] to return.
func (e *codeError) ExitCode() int { return e.code }

// Exit gives an error the code that the process ends with. A nil error is for a
// command that has printed its answer: nothing more is printed.
func Exit(code int, err error) error { return &codeError{code, err} }

// ConfigError marks a daemon's configuration as refused: exit code 78, so that
// systemd does not restart it in vain. A disk that is full or broken is nobody's
// configuration: such an error stays as it is, and so does nil.
func ConfigError(err error) error {
	for _, passing := range []error{nil, syscall.ENOSPC, syscall.EDQUOT, syscall.EIO} {
		if errors.Is(err, passing) {
			return err
		}
	}
	return Exit(ExitConfig, err)
}

// exitCode is the code that an error carries, or 1 and false.
func exitCode(err error) (code int, told bool) {
	if coder, ok := errors.AsType[interface {
		error
		ExitCode() int
	}](err); ok {
		return coder.ExitCode(), true
	}
	return ExitNo, false
}
