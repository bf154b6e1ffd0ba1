package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// table prints the rows for people.
func table(out io.Writer, measured []result) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "ROW\tPEER\tOURS\tTHEIRS\tRATIO\tSPREAD\tMUST\tAIM\tVERDICT\n")
	for _, r := range measured {
		sign := "<="
		if r.Faster {
			sign = ">="
		}
		spread := ""
		if r.Max != 0 {
			spread = fmt.Sprintf("%.2f-%.2f", r.Min, r.Max)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%.2f\t%s\t%s %g\t%s %g\t%s\n",
			r.Name, r.Peer, figure(r.Ours, r.Unit), figure(r.Theirs, r.Unit), r.Ratio, spread, sign, r.Must, sign, r.Aim, r.Verdict)
	}
	return w.Flush()
}

// figure is a value with its unit.
func figure(value float64, unit string) string {
	switch unit {
	case "":
		return ""
	case "ns":
		return time.Duration(value).Round(time.Microsecond).String()
	case "B":
		return fmt.Sprintf("%.1f kB", value/1000)
	}
	return fmt.Sprintf("%.3g %s", value, unit)
}
