package process

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

// environmentTree has a persistent flag, a hook below the root, and a flag that
// may be repeated. It appends what it was given to seen.
func environmentTree(seen *[]string) *cobra.Command {
	root := &cobra.Command{Use: "tool"}
	level := root.PersistentFlags().String("log-level", "info", "least level")
	var names []string
	hooked := &cobra.Command{
		Use: "hooked",
		PersistentPreRunE: func(*cobra.Command, []string) error {
			*seen = append(*seen, "hook "+*level)
			return nil
		},
	}
	run := &cobra.Command{Use: "run", RunE: func(cmd *cobra.Command, _ []string) error {
		*seen = append(*seen, *level+" "+strings.Join(names, ","))
		return nil
	}}
	run.Flags().StringSliceVar(&names, "name", nil, "a `name`")
	if err := run.MarkFlagRequired("name"); err != nil {
		panic(err)
	}
	plain := &cobra.Command{Use: "plain", RunE: func(*cobra.Command, []string) error {
		*seen = append(*seen, *level)
		return nil
	}}
	hooked.AddCommand(run)
	root.AddCommand(hooked, plain)
	EnvironmentFlags(root, "MY_TOOL")
	return root
}

func TestEnvironmentFlags(t *testing.T) {
	for name, c := range map[string]struct {
		environment map[string]string
		args        string
		want        []string
		code        int
	}{
		"variable":               {map[string]string{"MY_TOOL_LOG_LEVEL": "debug"}, "plain", []string{"debug"}, 0},
		"flag wins":              {map[string]string{"MY_TOOL_LOG_LEVEL": "debug"}, "plain --log-level warn", []string{"warn"}, 0},
		"empty is none":          {map[string]string{"MY_TOOL_LOG_LEVEL": ""}, "plain", []string{"info"}, 0},
		"before hooks, required": {map[string]string{"MY_TOOL_LOG_LEVEL": "debug", "MY_TOOL_NAME": "a,b"}, "hooked run", []string{"hook debug", "debug a,b"}, 0},
		"flag replaces a list":   {map[string]string{"MY_TOOL_NAME": "a,b"}, "hooked run --name c", []string{"hook info", "info c"}, 0},
		"required stays":         {nil, "hooked run", []string{"hook info"}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			for variable, value := range c.environment {
				t.Setenv(variable, value)
			}
			var seen []string
			cmd := environmentTree(&seen)
			cmd.SetArgs(strings.Fields(c.args))
			cmd.SetErr(t.Output())
			if code := execute(t.Context(), cmd, nil); code != c.code {
				t.Errorf("code %d, want %d", code, c.code)
			}
			if diff := cmp.Diff(c.want, seen); diff != "" {
				t.Errorf("seen (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEnvironmentFlagsRefuseABadValue(t *testing.T) {
	t.Setenv("MY_TOOL_COUNT", "many")
	root := &cobra.Command{Use: "tool", RunE: func(*cobra.Command, []string) error { return nil }}
	root.Flags().Int("count", 0, "how many")
	EnvironmentFlags(root, "MY_TOOL")
	var stderr bytes.Buffer
	root.SetErr(&stderr)
	root.SetArgs([]string{})
	if code := execute(t.Context(), root, nil); code != ExitUnknown {
		t.Errorf("code %d, want %d", code, ExitUnknown)
	}
	if !strings.Contains(stderr.String(), "environment variable MY_TOOL_COUNT") {
		t.Errorf("stderr %q does not name the variable", &stderr)
	}
}

func TestHelpNamesTheVariables(t *testing.T) {
	cmd := environmentTree(new([]string))
	var help bytes.Buffer
	cmd.SetOut(&help)
	cmd.SetArgs([]string{"hooked", "run", "--help"})
	if code := execute(t.Context(), cmd, nil); code != ExitOK {
		t.Errorf("code %d", code)
	}
	for _, want := range []string{"--name name", "a name [$MY_TOOL_NAME]", "least level [$MY_TOOL_LOG_LEVEL]"} {
		if strings.Count(help.String(), want) != 1 {
			t.Errorf("help has not %q once:\n%s", want, &help)
		}
	}
}
