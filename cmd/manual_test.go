package cmd_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"fleetlog/internal/process"

	"github.com/google/go-cmp/cmp"
)

// keep compares with a file of docs, or writes it.
func keep(t *testing.T, name, made string) {
	t.Helper()
	path := filepath.Join("../docs", name)
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
		t.Errorf("docs/%s (-kept +made); go test ./cmd -run TestManual -update writes it anew:\n%s", name, diff)
	}
}

// TestManual holds docs/man, and with it every command, flag, default and
// variable, to the programs.
func TestManual(t *testing.T) {
	var pages []string
	for _, program := range programs {
		var found []string
		walkHelp(t, program, nil, &found)
		for _, path := range found {
			words := strings.Fields(path)
			page, err := exec.Command(binary(program), append([]string{"man"}, words...)...).Output()
			if err != nil {
				t.Fatalf("%s man %s: %v", program, path, err)
			}
			name := strings.Join(append([]string{program}, words...), "-") + ".1"
			keep(t, "man/"+name, string(page))
			pages = append(pages, name)
		}
	}
	kept, err := filepath.Glob("../docs/man/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range kept {
		if !slices.Contains(pages, filepath.Base(path)) {
			t.Errorf("%s is of no command", path)
		}
	}
}

// TestManualOfAnswers holds docs/schema to the types that commands print as JSON.
func TestManualOfAnswers(t *testing.T) {
	list, err := exec.Command(binary("fleetlog"), "schema").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range strings.Fields(string(list)) {
		if strings.HasSuffix(name, ".v1") {
			continue
		}
		made, err := exec.Command(binary("fleetlog"), "schema", name).Output()
		if err != nil {
			t.Fatalf("fleetlog schema %s: %v", name, err)
		}
		keep(t, "schema/"+name+".json", string(made))
	}
}

// TestManualOfExitCodes holds docs/exit-codes.md to the table of codes and to
// what each command says of its own.
func TestManualOfExitCodes(t *testing.T) {
	doc := `# Exit codes

Of every program of this project; ` + "`fleetlog explain CODE`" + ` says more about each. A command that was asked for
JSON and fails prints, beside the line on standard error, one object on standard output:
` + "`{\"error\":{\"code\":…,\"message\":…,\"hint\":…,\"exitCode\":…}}`" + `. Its code is that of the reason
(` + "`fleetlog explain`" + ` lists all of them) or, where there is none, the name below; it is never renamed, the message may
be. After a signal there is no object.

| Code | Name | A command | A daemon (` + "`run`" + `) | ` + "`fleetlog check`" + ` |
|---|---|---|---|---|
`
	known := map[int]bool{}
	for _, c := range process.ExitCodes() {
		known[c.Code] = true
		doc += fmt.Sprintf("| %d | %s | %s | %s | %s |\n", c.Code, c.Name, c.Tools, c.Run, c.Check)
	}
	doc += "\n| Command | Exit status |\n|---|---|\n"
	for _, program := range programs {
		var found []string
		walkHelp(t, program, nil, &found)
		for _, path := range found {
			status := strings.Join(strings.Fields(helpOf(t, program, strings.Fields(path))["EXIT STATUS"]), " ")
			checkStatus(t, program+" "+path, status, known)
			doc += fmt.Sprintf("| `%s` | %s |\n", strings.TrimSpace(program+" "+path), status)
		}
	}
	keep(t, "exit-codes.md", doc)
}

// checkStatus demands that a text names success and a failure, and no code that
// the table has not.
func checkStatus(t *testing.T, command, status string, known map[int]bool) {
	t.Helper()
	var codes []int
	for _, word := range strings.FieldsFunc(status, func(r rune) bool { return r < '0' || r > '9' }) {
		code, err := strconv.Atoi(word)
		if err != nil || !known[code] {
			t.Errorf("%s: exit code %s is not in the table", command, word)
		}
		codes = append(codes, code)
	}
	if !slices.Contains(codes, process.ExitOK) || len(codes) < 2 {
		t.Errorf("%s: its help names the exit codes %v only", command, codes)
	}
}

// helpOf are the sections of a command's help.
func helpOf(t *testing.T, program string, path []string) map[string]string {
	t.Helper()
	out, err := exec.Command(binary(program), append(slices.Clone(path), "--help")...).Output()
	if err != nil {
		t.Fatalf("%s %q --help: %v", program, path, err)
	}
	return sections(string(out))
}
