package main

import (
	"fmt"
	"io"
	"os"
	"time"
)

// progress says how far a long reading has come: all the time in one line of a
// terminal, else in a line now and then. The target is the end that the log had
// when reading began.
type progress struct {
	w        io.Writer
	terminal bool
	clock    func() time.Time
	last     time.Time
	shown    bool

	began  time.Time // behind the first event
	first  uint64
	target uint64
}

const (
	terminalEvery = 200 * time.Millisecond
	lineEvery     = 10 * time.Second
)

func newProgress(w io.Writer, clock func() time.Time) *progress {
	p := &progress{w: w, clock: clock, last: clock()}
	if f, ok := w.(*os.File); ok {
		info, err := f.Stat()
		p.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return p
}

func (p *progress) at(seq, end uint64) {
	every, before, after := lineEvery, "", "\n"
	if p.terminal {
		every, before, after = terminalEvery, "\r", "\033[K"
	}
	now := p.clock()
	if p.target == 0 {
		p.began, p.first, p.target = now, seq, end
	}
	if now.Sub(p.last) < every {
		return
	}
	p.last, p.shown = now, true
	fmt.Fprintf(p.w, "%sread seq:%d of %d%s%s", before, seq, p.target, p.pace(seq, now), after)
}

// pace is the rate so far, and the time that is left at it.
func (p *progress) pace(seq uint64, now time.Time) string {
	took := now.Sub(p.began).Seconds()
	if seq <= p.first || took <= 0 || p.target <= p.first {
		return ""
	}
	rate := float64(seq-p.first) / took
	share := 100 * float64(seq-p.first) / float64(p.target-p.first)
	left := time.Duration(float64(p.target-min(seq, p.target)) / rate * float64(time.Second)).Round(time.Second)
	return fmt.Sprintf(", %.0f %%, %.0f/s, %s left", min(share, 100), rate, left)
}

// end clears the line of a terminal.
func (p *progress) end() {
	if p.terminal && p.shown {
		fmt.Fprint(p.w, "\r\033[K")
	}
}
