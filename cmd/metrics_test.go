package cmd_test

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tellTheirMetrics holds names, types, labels and texts of all metrics, and the
// document of them: dashboards and alerts rest on these.
func (m *monitored) tellTheirMetrics(ctx context.Context) {
	m.t.Helper()
	document := metricsIntroduction
	for _, name := range []string{"poller", "reducer", "embedded-nats"} {
		_, text := m.ask(ctx, name, "/metrics")
		text = ours(text)
		keep(m.t, "testdata/metrics/"+name+".txt", text)
		document += "\n## " + name + "\n\n" + metricsTable(text)
	}
	keep(m.t, "../docs/metrics.md", document)
}

// keep compares with a file, or writes it.
func keep(t *testing.T, path, made string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(made), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(kept), "\n"), strings.Split(made, "\n")); diff != "" {
		t.Errorf("%s (-kept +made); go test ./cmd -run 'TestMonitoring|TestManual' -update writes it anew:\n%s", path, diff)
	}
}

var (
	foreign = regexp.MustCompile(`^(?:# (?:HELP|TYPE) )?(?:go|process|promhttp)_`)
	version = regexp.MustCompile(`version="[^"]*"`)
	value   = regexp.MustCompile(` \S+\n$`)
)

// ours are the metrics that are not Go's own, all with the value 0.
func ours(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		switch {
		case foreign.MatchString(line):
		case strings.HasPrefix(line, "#"):
			b.WriteString(line)
		default:
			b.WriteString(value.ReplaceAllString(version.ReplaceAllString(line, `version="VERSION"`), " 0\n"))
		}
	}
	return b.String()
}

const metricsIntroduction = `# Metrics

Each daemon serves these at ` + "`/metrics`" + ` of its ` + "`--http-listen`" + `. This page is made from what the running
programs say; a test compares it with them, so that no name, type or label changes unseen.

Times are absolute, in seconds since 1970: what stands still is seen by comparing with now. 0 stands for
never or none, +Inf for no end. Every series is there from the start, at 0, so that an alert can tell what is
absent from what is well; only those of a channel come and go, with the hosts in it. What a reducer says of the
broker is what the broker has said when it was asked last, at most some 15 seconds ago: nothing is asked for a
scrape. Beside these are Go's and the process's own, ` + "`go_…` and `process_…`" + `.

[deploy/prometheus](../deploy/prometheus) has scrape jobs and alert rules, and
[deploy/grafana](../deploy/grafana) a dashboard. ` + "`fleetlog explain ALERT`" + ` says what an alert means.
`

var labelled = regexp.MustCompile(`([a-z]+)="([^"]*)"`)

// metricsTable is the table of what was scraped.
func metricsTable(text string) string {
	var order []string
	kinds, helps, labels := map[string]string{}, map[string]string{}, map[string]map[string][]string{}
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "# HELP "); ok {
			name, help, _ := strings.Cut(strings.TrimSpace(rest), " ")
			order, helps[name], labels[name] = append(order, name), help, map[string][]string{}
		} else if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, kind, _ := strings.Cut(strings.TrimSpace(rest), " ")
			kinds[name] = kind
		} else {
			name := order[len(order)-1]
			for _, l := range labelled.FindAllStringSubmatch(line, -1) {
				if l[1] != "le" && !slices.Contains(labels[name][l[1]], l[2]) {
					labels[name][l[1]] = append(labels[name][l[1]], l[2])
				}
			}
		}
	}
	var b strings.Builder
	b.WriteString("| Name | Type | Labels | What |\n|---|---|---|---|\n")
	for _, name := range order {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", name, kinds[name], labelColumn(labels[name]), strings.ReplaceAll(helps[name], `\"`, `"`))
	}
	return b.String()
}

func labelColumn(labels map[string][]string) string {
	var all []string
	for name, values := range labels {
		text := "`" + name + "`"
		if name != "channel" && name != "version" {
			slices.Sort(values)
			text += ": " + strings.Join(values, ", ")
		}
		all = append(all, text)
	}
	slices.Sort(all)
	return strings.Join(all, "; ")
}
