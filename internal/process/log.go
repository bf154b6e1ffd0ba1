package process

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/spf13/pflag"
)

// LogFlags are the flags --log-format and --log-level.
type LogFlags struct{ Format, Level string }

// Register adds the flags.
func (l *LogFlags) Register(flags *pflag.FlagSet) {
	ChoiceVar(flags, &l.Format, "log-format", "", "form of the log on standard error", "text", "json")
	ChoiceVar(flags, &l.Level, "log-level", "", "least level that is logged", "info", "error", "warn", "debug")
}

// New makes the logger that the flags ask for.
func (l LogFlags) New(w io.Writer) (*logrus.Logger, error) { return NewLogger(w, l.Format, l.Level) }

// NewLogger makes a logger that writes to w. format is text or json, level is
// error, warn, info or debug.
func NewLogger(w io.Writer, format, level string) (*logrus.Logger, error) {
	log := logrus.New()
	log.SetOutput(w)
	switch format {
	case "text":
		log.SetFormatter(&logrus.TextFormatter{DisableColors: true, FullTimestamp: true})
	case "json":
		log.SetFormatter(&logrus.JSONFormatter{TimestampFormat: time.RFC3339Nano})
	default:
		return nil, fmt.Errorf("log format %q: want text or json", format)
	}
	switch level = strings.ToLower(level); level {
	case "error", "warn", "info", "debug":
	default:
		return nil, fmt.Errorf("log level %q: want error, warn, info or debug", level)
	}
	parsed, err := logrus.ParseLevel(level)
	if err != nil {
		return nil, fmt.Errorf("log level: %w", err)
	}
	log.SetLevel(parsed)
	return log, nil
}
