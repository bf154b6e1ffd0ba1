package process

import (
	"errors"
	"syscall"
)

// Exit codes of every command.
const (
	ExitOK          = 0   // yes, done; a daemon that was asked to stop
	ExitNo          = 1   // no: refused, differs, degraded; a daemon's failure worth a restart
	ExitUnknown     = 2   // could not tell: usage, input, connection
	ExitConfig      = 78  // a daemon refused by its own configuration: a restart does not help
	ExitInterrupted = 130 // a command cut short by a signal
)

// ExitCode is one code that a program of this project ends with.
type ExitCode struct {
	Code  int
	Name  string // code of a [Failure] that has no code of its own
	Tools string // what it says when a command ends with it; empty: none does
	Run   string // what it says when a daemon (run) does
	Check string // what it says when fleetlog check does
}

// ExitCodes are all of them, in order. docs/exit-codes.md is made from them.
func ExitCodes() []ExitCode {
	return []ExitCode{
		{ExitOK, "Yes", "yes: done, verified, equal, healthy", "it was asked to stop, and did", "OK"},
		{ExitNo, "No", "no: refused, different, degraded, absent; the answer says which", "it cannot go on; a restart may help", "WARNING"},
		{ExitUnknown, "CouldNotTell", "could not tell: wrong usage, unreadable input, no connection", "wrong usage", "CRITICAL"},
		{3, "CheckUnknown", "", "", "UNKNOWN: it could not be found out"},
		{ExitConfig, "Configuration", "", "its configuration is refused; a restart does not help", ""},
		{ExitInterrupted, "Interrupted", "cut short by a signal, before there was an answer", "", ""},
	}
}

// exitName is the name of a code; "" for one that is not in the table.
func exitName(code int) string {
	for _, c := range ExitCodes() {
		if c.Code == code {
			return c.Name
		}
	}
	return ""
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
