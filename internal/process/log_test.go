package process

import (
	"bytes"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/spf13/pflag"
)

func TestLogger(t *testing.T) {
	var out bytes.Buffer
	var flags LogFlags
	set := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.Register(set)
	if err := set.Parse([]string{"--log-format=json", "--log-level=warn"}); err != nil {
		t.Fatal(err)
	}
	log, err := flags.New(&out)
	if err != nil {
		t.Fatal(err)
	}
	log.Info("not this")
	log.WithField("seq", 7).Warn("this")
	var line struct {
		Level, Msg, Time string
		Seq              int
	}
	if err := json.Unmarshal(out.Bytes(), &line, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatalf("%q is not one JSON object: %v", &out, err)
	}
	if line.Level != "warning" || line.Msg != "this" || line.Seq != 7 || line.Time == "" {
		t.Errorf("line %+v", line)
	}
}

func TestTextLogger(t *testing.T) {
	var out bytes.Buffer
	log, err := NewLogger(&out, "text", "info")
	if err != nil {
		t.Fatal(err)
	}
	log.Debug("not this")
	log.WithField("seq", 7).Info("this")
	if got := out.String(); !strings.HasSuffix(got, "level=info msg=this seq=7\n") || strings.Contains(got, "not") {
		t.Errorf("log %q", got)
	}
}

func TestLoggerRefuses(t *testing.T) {
	for _, c := range [][2]string{{"xml", "info"}, {"text", "loud"}, {"text", "fatal"}, {"", "info"}, {"text", ""}} {
		if _, err := NewLogger(t.Output(), c[0], c[1]); err == nil {
			t.Errorf("format %q, level %q: accepted", c[0], c[1])
		}
	}
}
