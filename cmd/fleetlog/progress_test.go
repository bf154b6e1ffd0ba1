package main

import (
	"strings"
	"testing"
	"time"
)

// TestProgress is a line every ten seconds, or one line of a terminal that is
// written over and cleared at the end.
func TestProgress(t *testing.T) {
	for _, test := range []struct {
		name     string
		terminal bool
		want     string
	}{
		{"file", false, "read seq:100 of 250, 40 %, 10/s, 15s left\nread seq:200 of 250, 80 %, 10/s, 5s left\n"},
		{"terminal", true, strings.Join([]string{"\rread seq:2 of 250, 0 %, 10/s, 25s left\x1b[K", "\rread seq:4 of 250, 1 %, 10/s, 25s left\x1b[K", "\r\x1b[K"}, "")},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out strings.Builder
			now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
			p := newProgress(&out, func() time.Time { return now })
			p.terminal = test.terminal
			last := uint64(250)
			if test.terminal {
				last = 5
			}
			for seq := uint64(1); seq <= last; seq++ {
				now = now.Add(100 * time.Millisecond)
				p.at(seq, 250)
			}
			p.end()
			if out.String() != test.want {
				t.Errorf("%q, want %q", out.String(), test.want)
			}
		})
	}
}

// TestNoProgress: what is over at once says nothing, and clears nothing.
func TestNoProgress(t *testing.T) {
	var out strings.Builder
	now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	p := newProgress(&out, func() time.Time { return now })
	p.terminal = true
	p.at(1, 1)
	p.end()
	if out.Len() > 0 {
		t.Errorf("%q", out.String())
	}
}
