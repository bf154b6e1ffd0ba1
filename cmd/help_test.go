package cmd_test

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// TestHelpIsAPageOfTheManual reads the help of every program and of every
// command below it.
func TestHelpIsAPageOfTheManual(t *testing.T) {
	for program, commands := range map[string][]string{
		"poller":        {"", "once", "run"},
		"reducer":       {"", "rebuild", "run"},
		"embedded-nats": {"", "init", "run"},
		"fleetlog": {
			"", "anchor", "audit", "canonicalize", "check", "check certs", "check freshness", "check poller", "check reducer", "check stream", "diff", "events", "explain", "export", "fsck", "history", "mirror", "provision", "replay", "schema", "show", "status", "trace", "verify", "verify fleet", "verify release", "verify rollout", "wait", "why",
		},
	} {
		var found []string
		walkHelp(t, program, nil, &found)
		for _, want := range commands {
			if !strings.Contains("\n"+strings.Join(found, "\n")+"\n", "\n"+want+"\n") {
				t.Errorf("%s: command %q is not found from help to help; found %q", program, want, found)
			}
		}
	}
}

// walkHelp checks one page and goes on to those that it names.
func walkHelp(t *testing.T, program string, path []string, found *[]string) {
	t.Helper()
	out, err := exec.Command(binary(program), append(path, "--help")...).Output()
	if err != nil {
		t.Fatalf("%s %q --help: %v", program, path, err)
	}
	page, whole := sections(string(out)), strings.Join(append([]string{program}, path...), " ")
	*found = append(*found, strings.Join(path, " "))
	if !strings.HasPrefix(page["NAME"], "    "+whole+" - ") {
		t.Errorf("%s: NAME is %q", whole, page["NAME"])
	}
	if !strings.HasPrefix(page["SYNOPSIS"], "    "+whole) {
		t.Errorf("%s: SYNOPSIS is %q", whole, page["SYNOPSIS"])
	}
	for _, section := range []string{"DESCRIPTION", "OPTIONS", "EXIT STATUS"} {
		if strings.TrimSpace(page[section]) == "" {
			t.Errorf("%s: help has no %s", whole, section)
		}
	}
	checkVariables(t, program, whole, page["OPTIONS"])
	columns := map[int]bool{}
	for _, line := range regexp.MustCompile(`(?m)^    [a-z]+ +`).FindAllString(page["COMMANDS"], -1) {
		columns[len(line)] = true
	}
	if len(columns) > 1 {
		t.Errorf("%s: COMMANDS are not in a column:%s", whole, page["COMMANDS"])
	}
	commands := regexp.MustCompile(`(?m)^    ([a-z]+) `).FindAllStringSubmatch(page["COMMANDS"], -1)
	if len(commands) == 0 && !strings.Contains(page["EXAMPLES"], whole+" ") {
		t.Errorf("%s: EXAMPLES is %q", whole, page["EXAMPLES"])
	}
	for _, c := range commands {
		if c[1] != "help" && c[1] != "completion" { // cobra's own
			walkHelp(t, program, append(path[:len(path):len(path)], c[1]), found)
		}
	}
}

// checkVariables wants an environment variable for every option.
func checkVariables(t *testing.T, program, command, options string) {
	t.Helper()
	prefix := map[string]string{
		"poller": "NIXFLEET_POLLER_", "reducer": "NIXFLEET_REDUCER_",
		"embedded-nats": "NIXFLEET_EMBEDDED_NATS_", "fleetlog": "FLEETLOG_",
	}[program]
	for _, option := range regexp.MustCompile(`(?m)^    (?:-[a-z], )?--([a-z-]+).*\n((?:^     .*\n)+)`).FindAllStringSubmatch(options, -1) {
		name := option[1]
		if name == "help" || name == "version" {
			continue
		}
		variable := prefix + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
		if !strings.Contains(option[2], "[$"+variable+"]") {
			t.Errorf("%s: --%s has not the variable %s", command, name, variable)
		}
	}
}

// sections splits a page at its headings.
func sections(page string) map[string]string {
	found := make(map[string]string)
	heading := ""
	for line := range strings.Lines(page) {
		if regexp.MustCompile(`^[A-Z ]+\n$`).MatchString(line) {
			heading = strings.TrimSpace(line)
			continue
		}
		found[heading] += line
	}
	return found
}
