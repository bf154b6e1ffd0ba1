package fleetlog

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

// metricsOf are the names in a document of Go or of PromQL that are metrics of ours.
var metricsOf = regexp.MustCompile(`\bnixfleet_[a-z_]+`)

// documented are the metrics that docs/metrics.md has, with the series that a
// histogram is made of.
func documented(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(nixfleet_[a-z_]+)` \\| (\\w+) ").FindAllStringSubmatch(read(t, "docs/metrics.md"), -1) {
		names[row[1]] = true
		if row[2] == "histogram" {
			names[row[1]+"_bucket"], names[row[1]+"_sum"], names[row[1]+"_count"] = true, true, true
		}
	}
	if len(names) < 40 {
		t.Fatalf("docs/metrics.md has only %d metrics", len(names))
	}
	return names
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestAlertsAndDashboardNameMetrics that the programs have.
func TestAlertsAndDashboardNameMetrics(t *testing.T) {
	names := documented(t)
	for _, file := range []string{"deploy/prometheus/fleetlog.rules.yml", "deploy/prometheus/fleetlog.rules.test.yml", "deploy/grafana/fleetlog.json"} {
		used := metricsOf.FindAllString(read(t, file), -1)
		if len(used) < 30 {
			t.Errorf("%s names only %d metrics", file, len(used))
		}
		for _, name := range used {
			if !names[name] {
				t.Errorf("%s names %s, which docs/metrics.md does not have", file, name)
			}
		}
	}
}

// TestEveryAlertIsTested demands that the tests of the rules have every alert fire.
// That it is silent otherwise is what they demand of all of them at every step.
func TestEveryAlertIsTested(t *testing.T) {
	tests := read(t, "deploy/prometheus/fleetlog.rules.test.yml")
	alerts := regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(read(t, "deploy/prometheus/fleetlog.rules.yml"), -1)
	for _, alert := range alerts {
		if !strings.Contains(tests, `{alertname="`+alert[1]+`"}', value: 1`) {
			t.Errorf("no test has %s fire", alert[1])
		}
	}
	if len(alerts) < 19 {
		t.Errorf("only %d alerts", len(alerts))
	}
}

// dashboard is what is looked at of a dashboard's file.
type dashboard struct {
	SchemaVersion int     `json:"schemaVersion"`
	Panels        []panel `json:"panels"`
	Templating    struct {
		List []struct {
			Name string `json:"name"`
			Type string `json:"type"`
		} `json:"list"`
	} `json:"templating"`
}

type panel struct {
	ID          int    `json:"id"`
	Type        string `json:"type"`
	Title       string `json:"title"`
	Description string `json:"description"`
	GridPos     struct{ X, Y, W, H int }
	Targets     []struct {
		Expr         string `json:"expr"`
		LegendFormat string `json:"legendFormat"`
	} `json:"targets"`
}

// TestDashboard: it imports into any Grafana, because it names no data source but
// the one that is chosen; every panel says what it shows, and none covers another.
func TestDashboard(t *testing.T) {
	text := read(t, filepath.Join("deploy", "grafana", "fleetlog.json"))
	var d dashboard
	if err := json.Unmarshal([]byte(text), &d, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatal(err)
	}
	var variables []string
	for _, v := range d.Templating.List {
		variables = append(variables, v.Type+" "+v.Name)
	}
	if !slices.Contains(variables, "datasource datasource") || d.SchemaVersion == 0 {
		t.Errorf("variables are %q, schema version is %d", variables, d.SchemaVersion)
	}
	for _, uid := range regexp.MustCompile(`"uid": *"([^"]*)"`).FindAllStringSubmatch(text, -1) {
		if uid[1] != "${datasource}" && uid[1] != "fleetlog" {
			t.Errorf("a data source is named: %s", uid[1])
		}
	}
	for i, p := range d.Panels {
		if p.Type != "row" && (p.Description == "" || len(p.Targets) == 0) {
			t.Errorf("panel %q has no description or shows nothing", p.Title)
		}
		for _, q := range d.Panels[i+1:] {
			a, b := p.GridPos, q.GridPos
			if p.ID == q.ID || a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
				t.Errorf("panels %q and %q cover each other or have one id", p.Title, q.Title)
			}
		}
	}
	if len(d.Panels) < 20 {
		t.Errorf("only %d panels", len(d.Panels))
	}
}
