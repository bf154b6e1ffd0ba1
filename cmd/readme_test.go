package cmd_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// programs are the commands of the project.
var programs = []string{"poller", "reducer", "embedded-nats", "fleetlog"}

// TestReadmesNameWhatExists finds every command line of a program in the shell
// blocks of the READMEs and demands that its subcommand and its flags exist.
func TestReadmesNameWhatExists(t *testing.T) {
	readmes, err := filepath.Glob("*/README.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, readme := range append(readmes, "../README.md", "../docs/backup.md", "../docs/nats-users.md", "../docs/systemd.md", "../docs/install.md", "../docs/operate.md") {
		text, err := os.ReadFile(readme)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
			lines := strings.ReplaceAll(block[1], "\\\n", " ")
			for _, line := range strings.Split(lines, "\n") {
				words := strings.Fields(line)
				if len(words) == 0 || !slices.Contains(programs, filepath.Base(words[0])) {
					continue
				}
				found++
				checkCommandLine(t, readme, words)
			}
		}
	}
	if found < 8 {
		t.Errorf("only %d command lines were found", found)
	}
}

func checkCommandLine(t *testing.T, readme string, words []string) {
	t.Helper()
	args := words[1:]
	subcommand := args[:min(len(args), 1)]
	if len(args) > 1 && (args[0] == "verify" || args[0] == "check") {
		subcommand = args[:2]
	}
	help, err := exec.Command(binary(filepath.Base(words[0])), append(slices.Clone(subcommand), "--help")...).CombinedOutput()
	if err != nil {
		t.Errorf("%s: %s: %v\n%s", readme, strings.Join(words, " "), err, help)
		return
	}
	for _, word := range args {
		flag, _, _ := strings.Cut(word, "=")
		if strings.HasPrefix(flag, "--") && !regexp.MustCompile(regexp.QuoteMeta(flag)+`\b`).Match(help) {
			t.Errorf("%s: %s: there is no %s", readme, strings.Join(words, " "), flag)
		}
	}
}
