package fleetlog

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDocumentsNameTests demands that every test and fuzz target that a document
// names exists: the document rests on it.
func TestDocumentsNameTests(t *testing.T) {
	declared := map[string]bool{}
	declaration := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	err := fs.WalkDir(os.DirFS("."), ".", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, "_test.go") {
			return err
		}
		source, err := os.ReadFile(name)
		for _, match := range declaration.FindAllStringSubmatch(string(source), -1) {
			declared[match[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	documents, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for _, document := range append(documents, "README.md") {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]\w+`).FindAllString(string(text), -1) {
			named++
			if !declared[name] {
				t.Errorf("%s names %s, which does not exist", document, name)
			}
		}
	}
	if named < 50 {
		t.Errorf("only %d tests are named", named)
	}
}

// TestLinksOfDocuments demands that what a document links to is there.
func TestLinksOfDocuments(t *testing.T) {
	documents, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	commands, err := filepath.Glob("cmd/*/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, document := range append(append(documents, commands...), "README.md") {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range regexp.MustCompile(`\]\(([^)#]+)\)`).FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(link[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(document), link[1])); err != nil {
				t.Errorf("%s links to %s: %v", document, link[1], err)
			}
		}
	}
}

// TestAlertsOfDocuments demands that docs/operate.md has a section for each alert
// of the rules, and for no other.
func TestAlertsOfDocuments(t *testing.T) {
	find := func(file, pattern string) (names []string) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1) {
			names = append(names, match[1])
		}
		slices.Sort(names)
		return slices.Compact(names)
	}
	rules := find("deploy/prometheus/fleetlog.rules.yml", `(?m)^\s*-?\s*alert:\s*(\w+)`)
	sections := find("docs/operate.md", `(?m)^### (\w+)$`)
	if len(rules) < 10 {
		t.Errorf("only %d alerts were found", len(rules))
	}
	if diff := cmp.Diff(rules, sections); diff != "" {
		t.Errorf("alerts (-) and sections of docs/operate.md (+):\n%s", diff)
	}
}
