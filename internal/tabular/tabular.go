// Package tabular writes tables for people: aligned, fitted to a terminal that is
// narrower, and with the words for a state in colour where that is wanted. What is
// not a terminal gets every byte, and no colour.
package tabular

import (
	"bytes"
	"io"
	"os"
	"regexp"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// Table aligns what is written to it, cells that end with tabs, when it is
// flushed.
type Table struct {
	w    io.Writer
	text bytes.Buffer
}

// New makes a table that is written to w.
func New(w io.Writer) *Table { return &Table{w: w} }

// Write takes cells and lines.
func (t *Table) Write(p []byte) (int, error) { return t.text.Write(p) }

// Flush writes what was taken. On a terminal that is narrower than the table,
// hashes, keys and ids are cut, with "…", as far as it takes.
func (t *Table) Flush() error {
	text := t.text.String()
	t.text.Reset()
	s := screenOf(t.w)
	_, err := io.WriteString(t.w, s.colored(s.fitted(text)))
	return err
}

// Lines makes a writer for lines that are aligned already, one with each write:
// they are fitted and colored as a table is.
func Lines(w io.Writer) io.Writer {
	if s := screenOf(w); s.width > 0 {
		return &lines{w, s}
	}
	return w
}

type lines struct {
	w io.Writer
	screen
}

// Write writes a line.
func (l *lines) Write(p []byte) (int, error) {
	if _, err := io.WriteString(l.w, l.colored(l.fitted(string(p)))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// screen is what a table is shown on. It has no width where there is no terminal.
type screen struct {
	width int
	color bool
}

// screenOf looks at the terminal, and whether colour is wanted on it: not with
// NO_COLOR, nor where TERM is dumb.
func screenOf(w io.Writer) screen {
	file, ok := w.(*os.File)
	if !ok {
		return screen{}
	}
	size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return screen{}
	}
	return screen{width: int(size.Col), color: os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

// lengths are what ids are cut to, one after another, until a table fits.
var lengths = []int{40, 24, 16, 12, 8}

// fitted aligns the text, and makes it fit where that is possible.
func (s screen) fitted(text string) string {
	made := aligned(text)
	for _, length := range lengths {
		if s.width == 0 || widest(made) <= s.width {
			break
		}
		made = aligned(cut(text, length))
	}
	return made
}

func aligned(text string) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	_, _ = io.WriteString(w, text) // to memory
	_ = w.Flush()
	return b.String()
}

func widest(text string) (width int) {
	for line := range strings.Lines(text) {
		width = max(width, utf8.RuneCountInString(strings.TrimRight(line, "\r\n")))
	}
	return width
}

// id matches what is long and stays recognizable by its beginning: hashes,
// signatures, what follows "@" in a rollout id, store paths, and keys.
var id = regexp.MustCompile(`[0-9a-z]{32,}[0-9A-Za-z._-]*|[A-Za-z0-9+/]{43}=`)

func cut(text string, length int) string {
	return id.ReplaceAllStringFunc(text, func(word string) string {
		if len(word) <= length {
			return word
		}
		return word[:length-1] + "…"
	})
}

// The words for a state, which are said in words wherever they are colored.
var (
	good = regexp.MustCompile(`(^|\s)(Fresh|Healthy|Ready)(\s|$)`)
	late = regexp.MustCompile(`(^|\s)(Expiring|Degraded|Starting|Replaying|Stopping)(\s|$)`)
	bad  = regexp.MustCompile(`(^|\s)(Expired|Rejected|NotAdvancing|Missing|Unservable|Stalled|NO)(\s|$)`)
)

func (s screen) colored(text string) string {
	if !s.color || s.width == 0 {
		return text
	}
	text = good.ReplaceAllString(text, "$1\x1b[32m$2\x1b[0m$3")
	text = late.ReplaceAllString(text, "$1\x1b[33m$2\x1b[0m$3")
	return bad.ReplaceAllString(text, "$1\x1b[31m$2\x1b[0m$3")
}
