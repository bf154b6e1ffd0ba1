package explain_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"fleetlog/consumers/explain"
	"fleetlog/internal/process"
)

// TestEveryCodeHasAPage reads the codes out of the sources that declare them.
func TestEveryCodeHasAPage(t *testing.T) {
	codes := map[string]bool{}
	for _, source := range []struct {
		dir   string
		types []string
	}{
		{"../../manifest", []string{"Kind"}},
		{"../../events", []string{"Reason"}},
		{"../check", []string{"Code"}},
		{"../audit", []string{"Code"}},
		{"../status", []string{"Health", "ProcessState", "Reason"}},
		{"../view", []string{"State", "Reason"}},
	} {
		declared(t, source.dir, source.types, codes)
	}
	alerts(t, codes)
	codes["fleet-hash"], codes["host-set"] = true, true // manifest's checks are plain texts
	for _, exit := range process.ExitCodes() {
		codes[strconv.Itoa(exit.Code)] = true
	}
	for _, failure := range []string{"NoLog", "NoTick", "UnknownEvent"} { // of fleetlog's commands
		codes[failure] = true
	}
	if len(codes) < 75 {
		t.Errorf("found only %d codes", len(codes))
	}
	for code := range codes {
		page, ok := explain.Find(code)
		if !ok {
			t.Errorf("%s has no page", code)
			continue
		}
		if page.Means == "" || page.ClearsWhen == "" && code != "Fresh" && code != "0" {
			t.Errorf("%s: page is %+v", code, page)
		}
	}
	seen := map[string]bool{}
	for _, page := range explain.Pages() {
		if !codes[page.Code] || seen[page.Code] {
			t.Errorf("%s is explained, and is no code, or twice", page.Code)
		}
		seen[page.Code] = true
	}
}

// alerts adds the names of the alerts, and demands that each sends people to its
// page.
func alerts(t *testing.T, codes map[string]bool) {
	t.Helper()
	rules, err := os.ReadFile("../../deploy/prometheus/fleetlog.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range strings.Split(string(rules), "- alert: ")[1:] {
		name, rest, _ := strings.Cut(rule, "\n")
		codes[name] = true
		if !strings.Contains(rest, "explain: fleetlog explain "+name+"\n") {
			t.Errorf("%s does not say how it is explained", name)
		}
	}
}

// declared adds the texts of constants made by one of the types: Kind("Parse").
func declared(t *testing.T, dir string, types []string, codes map[string]bool) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, source, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if spec, ok := n.(*ast.ValueSpec); ok {
				for _, value := range spec.Values {
					if code, ok := codeOf(value, types); ok {
						codes[code] = true
					}
				}
			}
			return true
		})
	}
}

func codeOf(value ast.Expr, types []string) (string, bool) {
	call, ok := value.(*ast.CallExpr)
	if !ok || len(call.Args) != 1 {
		return "", false
	}
	name := ""
	switch f := call.Fun.(type) {
	case *ast.Ident:
		name = f.Name
	case *ast.SelectorExpr:
		name = f.Sel.Name
	}
	literal, isText := call.Args[0].(*ast.BasicLit)
	for _, want := range types {
		if name == want && isText {
			text, err := strconv.Unquote(literal.Value)
			return text, err == nil
		}
	}
	return "", false
}

// TestText wraps its lines and has every part.
func TestText(t *testing.T) {
	for _, page := range explain.Pages() {
		var b bytes.Buffer
		if err := page.Text(&b); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(b.String()) {
			if len(line) > 80 {
				t.Errorf("%s: line of %d bytes: %q", page.Code, len(line), line)
			}
		}
		if !strings.HasPrefix(b.String(), page.Code+"\n\n  ") || strings.Contains(b.String(), "\nCauses\n") != (page.Causes != "") {
			t.Errorf("%s:\n%s", page.Code, &b)
		}
	}
	if _, ok := explain.Find("nosuch"); ok || explain.ClearsWhen("nosuch") != "" {
		t.Error("a code that does not exist is explained")
	}
}
