package cmd_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"time"

	"fleetlog/internal/corpus"
	"fleetlog/internal/deployment"

	"github.com/rogpeppe/go-internal/testscript"
)

// unpack SOURCE DIR copies a folder of the corpus.
func unpack(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: unpack source dir")
	}
	files, err := corpus.FS()
	ts.Check(err)
	source, err := fs.Sub(files, args[0])
	ts.Check(err)
	ts.Check(os.CopyFS(ts.MkAbs(args[1]), source))
}

// patience is how long a script waits for what must come.
const patience = 20 * time.Second

// lookEvery is how often it looks.
const lookEvery = 50 * time.Millisecond

// until PATTERN PROGRAM ARGS... runs the program again and again until it
// succeeds and its standard output matches. What it printed last is then there
// for stdout and stderr.
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until pattern program args...")
	}
	pattern, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; <-tick.C {
		err := ts.Exec(args[1], args[2:]...)
		if err == nil && pattern.MatchString(ts.ReadFile("stdout")) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("not so after %s: %v\n%s%s", patience, err, ts.ReadFile("stdout"), ts.ReadFile("stderr"))
		}
	}
}

// exits CODE PROGRAM ARGS... runs the program, which must exit with the code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits code program args...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got, err := 0, ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got, err = exit.ExitCode(), nil
	}
	ts.Check(err)
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// capture NAME PATTERN takes what the group of the pattern matches in the last
// standard output as the value of a variable.
func capture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: capture name pattern")
	}
	pattern, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	found := pattern.FindStringSubmatch(ts.ReadFile("stdout"))
	if len(found) != 2 {
		ts.Fatalf("no match for %q", args[1])
	}
	ts.Setenv(args[0], found[1])
}

// freeport NAME takes a port that nobody listens on as the value of a variable.
func freePort(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: freeport name")
	}
	ports, err := deployment.FreePorts(context.Background(), 1)
	ts.Check(err)
	ts.Setenv(args[0], strconv.Itoa(ports[0]))
}

// signal TERM PROGRAM signals the background command that runs the program.
func signal(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 || args[0] != "TERM" {
		ts.Fatalf("usage: signal TERM program")
	}
	for _, c := range ts.BackgroundCmds() {
		if filepath.Base(c.Path) == args[1] {
			ts.Check(c.Process.Signal(syscall.SIGTERM))
			return
		}
	}
	ts.Fatalf("%s does not run in the background", args[1])
}
