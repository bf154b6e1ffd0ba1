package monitor_test

import (
	"bytes"
	"testing"

	"fleetlog/internal/monitor"

	"github.com/google/go-cmp/cmp"
)

func result() *monitor.Result {
	r := &monitor.Result{Check: "freshness", Fleet: "prod"}
	warn, crit := 900.0, 0.0
	r.Add(monitor.OK, "edge")
	r.Add(monitor.Warning, "stable 15m to expiry (76%%)")
	r.Figure(monitor.Figure{Name: "expiry", Item: "stable", Unit: "s", Value: 900, Warn: &warn, Crit: &crit, Help: "Until it expires."})
	r.Figure(monitor.Figure{Name: "used", Unit: "%", Value: 76.5, Help: "Used."})
	r.Figure(monitor.Figure{Name: "expiry", Item: "a 'b'=|c\n\"", Unit: "s", Value: 75600, Help: "Until it expires."})
	return r
}

func TestFormats(t *testing.T) {
	for format, want := range map[string]string{
		monitor.Nagios: "WARNING freshness Warn:stable 15m to expiry (76%) OK:edge | stable_expiry=900s;900;0 used=76.5% 'a ''b''__c \"_expiry'=75600s\n",
		monitor.Text:   "freshness: WARNING\n  OK       edge\n  WARNING  stable 15m to expiry (76%)\n",
		monitor.JSON: `{"check":"freshness","fleet":"prod","status":"WARNING","items":[{"status":"OK","text":"edge"},{"status":"WARNING","text":"stable 15m to expiry (76%)"}],` +
			`"figures":[{"name":"expiry","item":"stable","unit":"s","value":900,"warn":900,"crit":0,"help":"Until it expires."},` +
			`{"name":"used","unit":"%","value":76.5,"help":"Used."},{"name":"expiry","item":"a 'b'=|c\n\"","unit":"s","value":75600,"help":"Until it expires."}]}` + "\n",
		monitor.Prometheus: `# HELP fleetlog_check_status Outcome of the check: 0 OK, 1 warning, 2 critical, 3 unknown.
# TYPE fleetlog_check_status gauge
fleetlog_check_status{check="freshness",fleet="prod"} 1
# HELP fleetlog_check_freshness_expiry_seconds Until it expires.
# TYPE fleetlog_check_freshness_expiry_seconds gauge
fleetlog_check_freshness_expiry_seconds{fleet="prod",item="stable"} 900
fleetlog_check_freshness_expiry_seconds{fleet="prod",item="a 'b'=|c\n\""} 75600
# HELP fleetlog_check_freshness_used_percent Used.
# TYPE fleetlog_check_freshness_used_percent gauge
fleetlog_check_freshness_used_percent{fleet="prod",item=""} 76.5
`,
	} {
		var b bytes.Buffer
		if err := result().Write(&b, format); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, b.String()); d != "" {
			t.Errorf("%s: %s", format, d)
		}
	}
}

// TestExitCode: the worst item decides, and what is critical outweighs what is not
// known.
func TestExitCode(t *testing.T) {
	for _, c := range []struct {
		items []monitor.Status
		code  int
	}{
		{nil, 0}, {[]monitor.Status{monitor.OK, monitor.Warning}, 1}, {[]monitor.Status{monitor.Critical, monitor.Warning}, 2},
		{[]monitor.Status{monitor.Unknown, monitor.Critical}, 2}, {[]monitor.Status{monitor.Warning, monitor.Unknown}, 3},
	} {
		r := &monitor.Result{}
		for _, s := range c.items {
			r.Add(s, "x|\x1b[2J")
		}
		if got := r.ExitCode(monitor.Nagios); got != c.code {
			t.Errorf("%v: %d, want %d", c.items, got, c.code)
		}
		if got := r.ExitCode(monitor.Prometheus); got != 0 {
			t.Errorf("%v: prometheus %d", c.items, got)
		}
		var b bytes.Buffer
		if err := r.Write(&b, monitor.Nagios); err != nil || bytes.ContainsAny(b.Bytes(), "|\x1b") {
			t.Errorf("%q, %v", b.String(), err)
		}
	}
}
