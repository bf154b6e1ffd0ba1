package tabular_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"text/tabwriter"
	"unicode/utf8"

	"fleetlog/internal/tabular"

	"golang.org/x/sys/unix"
)

const (
	hash = "9f31c2e0aabbccddeeff00112233445566778899aabbccddeeff001122334455"
	key  = "iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w="
)

// fill writes a table with everything that is long.
func fill(w io.Writer) {
	fmt.Fprintf(w, "SET\t%s\nSIGNED\t2026-05-01T00:00:00.123456789Z by %s\n\n", hash, key)
	fmt.Fprintf(w, "CHANNEL\tROLLOUT\tSTATE\tSIGNED\n")
	fmt.Fprintf(w, "\"stable\"\tstable@%s\tFresh\t2026-05-01T00:00:00Z\n", hash[:40])
	fmt.Fprintf(w, "\"edge\"\tedge@%s\tNotAdvancing\t2026-05-01T00:00:00Z\n", hash[:40])
}

// terminal runs show with a terminal of that width, and returns what is on it.
func terminal(t *testing.T, width uint16, show func(w io.Writer)) string {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(int(slave.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: width, Row: 24}); err != nil {
		t.Fatal(err)
	}
	shown := make(chan string)
	go func() {
		var all bytes.Buffer
		_, _ = io.Copy(&all, master) // ends with an error once the slave is closed
		shown <- strings.ReplaceAll(all.String(), "\r\n", "\n")
	}()
	show(slave)
	if err := slave.Close(); err != nil {
		t.Fatal(err)
	}
	return <-shown
}

func flushed(t *testing.T) func(w io.Writer) {
	return func(w io.Writer) {
		made := tabular.New(w)
		fill(made)
		if err := made.Flush(); err != nil {
			t.Error(err)
		}
	}
}

func TestOnATerminal(t *testing.T) {
	t.Setenv("NO_COLOR", "1")
	for width, whole := range map[uint16]bool{200: true, 100: true, 90: false, 80: false, 66: false} {
		text := terminal(t, width, flushed(t))
		if strings.Contains(text, hash) != whole || strings.Contains(text, "…") == whole {
			t.Errorf("%d columns:\n%s", width, text)
		}
		for line := range strings.Lines(text) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > int(width) {
				t.Errorf("%d columns: line of %d: %s", width, n, line)
			}
		}
		if !strings.Contains(text, "2026-05-01T00:00:00.123456789Z") || strings.Contains(text, "\x1b") {
			t.Errorf("%d columns: times are cut, or there is colour:\n%s", width, text)
		}
	}
	if text := terminal(t, 0, flushed(t)); !strings.Contains(text, hash) {
		t.Errorf("a terminal that does not tell its width:\n%s", text)
	}
}

func TestColour(t *testing.T) {
	t.Setenv("NO_COLOR", "")
	t.Setenv("TERM", "xterm")
	text := terminal(t, 200, flushed(t))
	if !strings.Contains(text, "  \x1b[32mFresh\x1b[0m ") || !strings.Contains(text, "  \x1b[31mNotAdvancing\x1b[0m ") {
		t.Errorf("state words have no colour: %q", text)
	}
	line := func(w io.Writer) { fmt.Fprintf(tabular.Lines(w), "\"edge\" Expired  %s\n", hash) }
	if text := terminal(t, 40, line); !strings.HasPrefix(text, "\"edge\" \x1b[31mExpired\x1b[0m  9f31c2e0") || !strings.HasSuffix(text, "…\n") {
		t.Errorf("line: %q", text)
	}
	t.Setenv("TERM", "dumb")
	if text := terminal(t, 200, flushed(t)); strings.Contains(text, "\x1b") {
		t.Errorf("a dumb terminal gets %q", text)
	}
}

// TestNotATerminal: every byte, as text/tabwriter has it, and no colour.
func TestNotATerminal(t *testing.T) {
	t.Setenv("NO_COLOR", "")
	t.Setenv("TERM", "xterm")
	var made, want bytes.Buffer
	flushed(t)(&made)
	w := tabwriter.NewWriter(&want, 0, 0, 2, ' ', 0)
	fill(w)
	if err := w.Flush(); err != nil || made.String() != want.String() {
		t.Errorf("got\n%s\nwant\n%s (%v)", &made, &want, err)
	}
	path := t.TempDir() + "/file"
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	flushed(t)(file)
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != want.String() {
		t.Errorf("file has\n%s", data)
	}
	if w := tabular.Lines(&made); w != &made {
		t.Error("lines to what is no terminal are changed")
	}
}
