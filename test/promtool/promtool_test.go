// Package promtool lets Prometheus's own tool judge what is meant for Prometheus:
// the rules and their tests, the scrape jobs, what the daemons tell, and the
// dashboard's queries. It needs promtool, which Debian has in its package prometheus.
package promtool

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

// judge runs promtool in a directory, on an input if that is not empty, and demands
// that it finds nothing.
func judge(t *testing.T, dir, input string, args ...string) (said string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Fatal("promtool is not installed: apt-get install prometheus")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

const deploy = "../../deploy"

func TestRules(t *testing.T) {
	dir := filepath.Join(deploy, "prometheus")
	if said := judge(t, dir, "", "check", "rules", "--lint=all", "--lint-fatal", "fleetlog.rules.yml"); !strings.Contains(said, "SUCCESS: 19 rules found") {
		t.Errorf("promtool says:\n%s", said)
	}
	judge(t, dir, "", "check", "config", "prometheus.yml")
	if said := judge(t, dir, "", "test", "rules", "fleetlog.rules.test.yml"); !strings.Contains(said, "SUCCESS") {
		t.Errorf("promtool says:\n%s", said)
	}
}

// TestMetrics judges names, texts and form of what running daemons were heard to
// tell: a test of theirs keeps these files as they are.
func TestMetrics(t *testing.T) {
	for _, daemon := range []string{"poller", "reducer", "embedded-nats"} {
		text := read(t, filepath.Join("../../cmd/testdata/metrics", daemon+".txt"))
		if said := judge(t, ".", text, "check", "metrics"); said != "" {
			t.Errorf("of %s promtool says:\n%s", daemon, said)
		}
	}
}

// TestDashboard makes a rule of each of its queries.
func TestDashboard(t *testing.T) {
	var dashboard struct {
		Panels []struct {
			Targets []struct {
				Expr string `json:"expr"`
			} `json:"targets"`
		} `json:"panels"`
	}
	if err := json.Unmarshal([]byte(read(t, filepath.Join(deploy, "grafana/fleetlog.json"))), &dashboard); err != nil {
		t.Fatal(err)
	}
	rules, queries := "groups: [{ name: dashboard, rules: [\n", 0
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			queries++
			expr := strings.NewReplacer("$__rate_interval", "1m", "$poller", "p", "$reducer", "r", "$broker", "b").Replace(target.Expr)
			rules += fmt.Sprintf("  { record: %q, expr: %q },\n", fmt.Sprintf("query:%d", queries), expr)
		}
	}
	file := filepath.Join(t.TempDir(), "queries.yml")
	if err := os.WriteFile(file, []byte(rules+"] }]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if said := judge(t, ".", "", "check", "rules", file); !strings.Contains(said, fmt.Sprintf("SUCCESS: %d rules found", queries)) || queries < 25 {
		t.Errorf("of %d queries promtool says:\n%s", queries, said)
	}
}
