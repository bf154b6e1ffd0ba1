package cmd_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"fleetlog/internal/process"
)

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
			keep(t, "../docs/man/"+name, string(page))
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
		keep(t, "../docs/schema/"+name+".json", string(made))
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
	keep(t, "../docs/exit-codes.md", doc)
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

// TestFlagsMeanOneThing: a shorthand stands for one flag, a flag has one
// shorthand, and the form of an answer has the same choices, in every command.
func TestFlagsMeanOneThing(t *testing.T) {
	flags, shorthands, forms := map[string]string{}, map[string]string{}, map[string]string{}
	pages, err := filepath.Glob("../docs/man/*.1")
	if err != nil || len(pages) < 30 {
		t.Fatalf("pages: %q, %v", pages, err)
	}
	option := regexp.MustCompile(`(?m)^\\fB(?:-([a-z]), )?--([a-z-]+)\\fR.*\n(.*)$`)
	for _, path := range pages {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range option.FindAllStringSubmatch(strings.ReplaceAll(string(text), `\-`, "-"), -1) {
			short, name := m[1], m[2]
			usage, _, _ := strings.Cut(m[3], " [$")
			if other, seen := flags[name]; seen && other != short {
				t.Errorf("%s: --%s is -%s here, and -%s elsewhere", path, name, short, other)
			}
			if other, seen := shorthands[short]; seen && short != "" && other != name {
				t.Errorf("%s: -%s is --%s here, and --%s elsewhere", path, short, name, other)
			}
			if other, seen := forms[name]; seen && name == "output" && other != usage {
				t.Errorf("%s: --output is %q here, and %q elsewhere", path, usage, other)
			}
			flags[name], shorthands[short], forms[name] = short, name, usage
		}
	}
	if len(flags) < 60 || shorthands["o"] != "output" {
		t.Errorf("only %d flags were found", len(flags))
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
