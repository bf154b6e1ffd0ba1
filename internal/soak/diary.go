package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"text/tabwriter"
	"time"
)

// diary says what happens, and counts the faults that were survived.
type diary struct {
	clock func() time.Time
	began time.Time

	mu       sync.Mutex
	out      io.Writer
	survived map[string]*survived
}

// survived is a kind of fault: how often, and the longest time until all was well
// again.
type survived struct {
	count   int
	longest time.Duration
}

func newDiary(out io.Writer, clock func() time.Time) *diary {
	return &diary{clock: clock, began: clock(), out: out, survived: make(map[string]*survived)}
}

func (d *diary) say(format string, values ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	elapsed := d.clock().Sub(d.began).Round(100 * time.Millisecond)
	fmt.Fprintf(d.out, "%8s  %s\n", fmt.Sprintf("%.1fs", elapsed.Seconds()), fmt.Sprintf(format, values...))
}

func (d *diary) count(kind string, took time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.survived[kind] == nil {
		d.survived[kind] = &survived{}
	}
	s := d.survived[kind]
	s.count++
	s.longest = max(s.longest, took)
}

// table prints the faults survived.
func (d *diary) table() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	fmt.Fprintln(d.out)
	table := tabwriter.NewWriter(d.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "FAULT SURVIVED\tTIMES\tLONGEST UNTIL WELL AGAIN\n")
	total := 0
	for _, kind := range slices.Sorted(maps.Keys(d.survived)) {
		s := d.survived[kind]
		total += s.count
		fmt.Fprintf(table, "%s\t%d\t%s\n", kind, s.count, s.longest.Round(100*time.Millisecond))
	}
	fmt.Fprintf(table, "all\t%d\n", total)
	return table.Flush()
}
