package audit

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"fleetlog/internal/tabular"
)

// Table writes the report for people.
func (r *Report) Table(w io.Writer) error {
	table := tabular.New(w)
	fmt.Fprintf(table, "%s\t%s %s\n", map[string]string{sourceLog: "LOG", sourceBundle: "BUNDLE"}[r.Source], r.Fleet, r.Lineage)
	if r.From != nil {
		fmt.Fprintf(table, "FROM\tseq:%d tick:%d %s\n", r.From.Seq, r.From.Tick, r.From.Time)
		fmt.Fprintf(table, "TO\tseq:%d tick:%d %s\n", r.To.Seq, r.To.Tick, r.To.Time)
		fmt.Fprintf(table, "HEAD\t%s\n", r.Head)
	}
	fmt.Fprintf(table, "READ\t%s, %s (%d skipped), %d noise, %s, %s\n", plural(r.Read.Events, "event"),
		plural(r.Read.Ticks, "tick"), r.Read.Skipped, r.Read.Noise, plural(r.Read.Artifacts, "artifact"), plural(r.Read.Bytes, "byte"))
	fmt.Fprintf(table, "MISSED\t%s in %s\n", plural(r.Missed.Ticks, "tick"), plural(r.Missed.Times, "outage"))
	fmt.Fprintf(table, "\nCHECK\tRESULT\tWHAT\n")
	for _, p := range r.Checks {
		result := "ok"
		switch {
		case !p.Ran:
			result = "not run"
		case !p.OK:
			result = fmt.Sprintf("%d FOUND", p.Found)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", p.Name, result, p.Note)
	}
	r.outages(table)
	r.findings(table)
	fmt.Fprintf(table, "\n%s\n", r.Verdict)
	return table.Flush()
}

func (r *Report) outages(table io.Writer) {
	if r.Missed.Times == 0 {
		return
	}
	fmt.Fprintf(table, "\nOUTAGE FROM\tTO\tBEHIND IT\tMISSED\tREASON\n")
	for _, o := range r.Missed.Outages {
		fmt.Fprintf(table, "%s\t%s\tseq:%d tick:%d\t%d\t%s\n", o.From, o.To, o.Seq, o.Tick, o.Missed, cmp.Or(string(o.Reason), "no poller at work"))
	}
	more(table, r.Missed.Times, len(r.Missed.Outages))
}

func (r *Report) findings(table io.Writer) {
	if r.Found == 0 {
		return
	}
	fmt.Fprintf(table, "\nCODE\tAT\tTICK\tDETAIL\n")
	for _, f := range r.Findings {
		at, tick := fmt.Sprintf("seq:%d", f.Seq), "-"
		if f.Seq == 0 {
			at = cmp.Or(f.File, "-")
		}
		if f.Tick > 0 {
			tick = fmt.Sprint(f.Tick)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", f.Code, at, tick, f.Detail)
		said := strings.Contains(f.Detail, f.Expected) && strings.Contains(f.Detail, f.Found)
		if f.Expected != "" && !said {
			fmt.Fprintf(table, "\t\t\texpected %s, found %s\n", f.Expected, f.Found)
		}
	}
	more(table, r.Found, len(r.Findings))
}

func more(table io.Writer, all uint64, shown int) {
	if all > uint64(shown) {
		fmt.Fprintf(table, "and %d more\n", all-uint64(shown))
	}
}
