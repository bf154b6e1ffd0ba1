package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/cobra"
)

// tree is a command `tool` with a subcommand `work`, which ends with err.
func tree(run func(context.Context) error) *cobra.Command {
	root := &cobra.Command{Use: "tool", Args: cobra.NoArgs}
	work := &cobra.Command{
		Use: "work", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd.Context()) },
	}
	work.Flags().Int("count", 0, "how many")
	work.Flags().String("needed", "", "must be given")
	if err := work.MarkFlagRequired("needed"); err != nil {
		panic(err)
	}
	root.AddCommand(work)
	return root
}

func TestExitCodes(t *testing.T) {
	work := []string{"work", "--needed", "x"}
	cause := errors.New("no disk")
	for name, c := range map[string]struct {
		args   []string
		err    error
		code   int
		stderr string
	}{
		"success":           {work, nil, 0, ""},
		"error":             {work, cause, 1, "tool: no disk\n"},
		"with code":         {work, Exit(7, cause), 7, "tool: no disk\n"},
		"wrapped code":      {work, fmt.Errorf("start: %w", Exit(7, cause)), 7, "tool: start: no disk\n"},
		"configuration":     {work, ConfigError(cause), 78, "tool: no disk\n"},
		"no configuration":  {work, ConfigError(nil), 0, ""},
		"answer printed":    {work, Exit(ExitNo, nil), 1, ""},
		"several lines":     {work, errors.Join(cause, errors.New("no\r\nnet\n")), 1, "tool: no disk; no; net\n"}, //nolint:revive // such texts come from libraries
		"own cancellation":  {work, context.Canceled, 1, "tool: context canceled\n"},
		"unknown command":   {[]string{"wrk"}, nil, 2, "tool: unknown command \"wrk\", did you mean \"work\"? (see tool --help)\n"},
		"no such command":   {[]string{"nothing"}, nil, 2, "tool: unknown command \"nothing\" (see tool --help)\n"},
		"no command":        {[]string{}, nil, 2, "tool: name a command (see tool --help)\n"},
		"unknown flag":      {append(work, "--cuont", "1"), nil, 2, "unknown flag: --cuont (see tool work --help)\n"},
		"bad value":         {append(work, "--count", "x"), nil, 2, "see tool work --help"},
		"missing flag":      {[]string{"work"}, nil, 2, `required flag(s) "needed" not set`},
		"unwanted argument": {append(work, "x"), nil, 2, "see tool work --help"},
		"help":              {[]string{"work", "--help"}, cause, 0, ""},
		"version":           {[]string{"--version"}, cause, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var stderr bytes.Buffer
			cmd := tree(func(context.Context) error { return c.err })
			cmd.SetArgs(c.args)
			cmd.SetOut(t.Output())
			cmd.SetErr(&stderr)
			if code := execute(t.Context(), cmd, nil); code != c.code {
				t.Errorf("code %d, want %d", code, c.code)
			}
			if got := stderr.String(); !strings.HasSuffix(got, c.stderr) && !strings.Contains(got, c.stderr) ||
				(got == "") != (c.stderr == "") || strings.Count(got, "\n") > 1 {
				t.Errorf("stderr %q, want one line with %q", got, c.stderr)
			}
		})
	}
}

func TestSignalCancelsTheContext(t *testing.T) {
	for name, c := range map[string]struct {
		signal syscall.Signal
		result func(context.Context) error
		code   int
	}{
		"daemon stops":         {syscall.SIGTERM, func(context.Context) error { return nil }, 0},
		"command is cut short": {os.Interrupt.(syscall.Signal), context.Cause, 130},
	} {
		t.Run(name, func(t *testing.T) {
			var stderr bytes.Buffer
			cmd := tree(func(ctx context.Context) error {
				if err := syscall.Kill(os.Getpid(), c.signal); err != nil {
					return err
				}
				<-ctx.Done()
				if c.result(ctx) == nil {
					return nil
				}
				return fmt.Errorf("work: %w", ctx.Err())
			})
			cmd.SetArgs([]string{"work", "--needed", "x"})
			cmd.SetErr(&stderr)
			if code := Main(cmd, nil); code != c.code {
				t.Errorf("code %d, want %d", code, c.code)
			}
			if stderr.Len() > 0 {
				t.Errorf("stderr %q, want nothing", &stderr)
			}
		})
	}
}
