package process

import (
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// Failure is what a command that was asked for JSON answers when it fails: one
// object on standard output, beside the line on standard error.
type Failure struct {
	Error Details `json:"error"`
}

// Details say what has failed, and what to do next.
type Details struct {
	Code     string `json:"code"` // of the error, or the name of the exit code
	Message  string `json:"message"`
	Hint     string `json:"hint"` // a command that says more
	ExitCode int    `json:"exitCode"`
}

// describe takes text and code of the error.
func (f *Failure) describe(err error, name func(error) string) {
	d := &f.Error
	d.Message = oneLine(err.Error())
	if name != nil {
		d.Code = name(err)
	}
	about := d.Code
	if d.Code == "" {
		d.Code, about = exitName(d.ExitCode), strconv.Itoa(d.ExitCode)
	}
	if d.Hint == "" {
		d.Hint = "fleetlog explain " + about
	}
}

// outputFlag names the form of an answer, in every command that has one.
const outputFlag = "output"

// isJSONAsked tells whether the answer of the command was to be JSON. Of a command
// line that was refused not every flag has been read: args are looked at, and the
// variable, too.
func isJSONAsked(cmd *cobra.Command, args []string, began bool) bool {
	f := cmd.Flags().Lookup(outputFlag)
	if f == nil {
		return !began && strings.HasPrefix(spelled(args, ""), "json")
	}
	form := f.Value.String()
	if !began && !f.Changed {
		if variable := f.Annotations[environmentAnnotation]; variable != nil {
			form = os.Getenv(variable[0])
		}
		form = spelled(args, form)
	}
	return strings.HasPrefix(form, "json")
}

// spelled is the value of the output flag in the arguments, else the other one.
func spelled(args []string, other string) string {
	for i, arg := range args {
		if (arg == "-o" || arg == "--"+outputFlag) && i+1 < len(args) {
			return args[i+1]
		}
		for _, prefix := range []string{"--" + outputFlag + "=", "-o=", "-o"} {
			if value, ok := strings.CutPrefix(arg, prefix); ok && value != "" {
				return value
			}
		}
	}
	return other
}

// oneLine joins the lines of a text that are not empty.
func oneLine(text string) string {
	lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' })
	return strings.Join(lines, "; ")
}
