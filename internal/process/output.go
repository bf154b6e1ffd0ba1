package process

import (
	"io"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/pflag"
)

// Forms of an answer. A program's variable for them is one for all its commands,
// so that each command takes all of them: an answer that is no list is the same
// in JSON and in lines of JSON.
const (
	TableForm = "table"
	JSONForm  = "json"
	LinesForm = "jsonl"
)

// OutputVar registers the flag for the form of an answer.
func OutputVar(fs *pflag.FlagSet, form *string) {
	ChoiceVar(fs, form, outputFlag, "o", "form of the answer", TableForm, JSONForm, LinesForm)
}

// PrintJSON answers with one line of JSON, the members of maps in order.
func PrintJSON(w io.Writer, v any) error {
	data, err := json.Marshal(v, json.Deterministic(true), jsontext.EscapeForHTML(false))
	if err != nil {
		return err
	}
	_, err = w.Write(append(data, '\n'))
	return err
}
