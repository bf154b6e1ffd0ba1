package view_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fleetlog/consumers/view"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
)

// TestTablesAreMadeOfTheJSON reads the JSON of every golden answer back, and
// demands that it makes the same table: no cell shows what a program cannot read.
func TestTablesAreMadeOfTheJSON(t *testing.T) {
	for _, name := range []string{"diff", "diff-same"} {
		whole[view.Diff](t, name)
	}
	for _, name := range []string{"trace", "trace-untold"} {
		whole[view.Trace](t, name)
	}
	for _, name := range []string{"why", "why-fresh"} {
		whole[view.Why](t, name)
	}
	for _, name := range []string{"replay", "replay-equal"} {
		whole[view.Replay](t, name)
	}
	each[view.Change](t, "history")
	each[view.HostChange](t, "host")
	var set view.Set
	must(t, json.Unmarshal([]byte(golden), &set))
	var b bytes.Buffer
	must(t, set.Table(&b))
	if diff := cmp.Diff(goldenTable, b.String()); diff != "" {
		t.Errorf("set (-table +of the JSON):\n%s", diff)
	}
}

func readBack[T any](t *testing.T, name string) (v T, table string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	must(t, err)
	compact := jsontext.Value(data) // as programs print it
	must(t, compact.Compact())
	must(t, json.Unmarshal(compact, &v))
	text, err := os.ReadFile(filepath.Join("testdata", name+".txt"))
	must(t, err)
	return v, string(text)
}

func whole[T interface{ Table(io.Writer) error }](t *testing.T, name string) {
	t.Helper()
	v, table := readBack[T](t, name)
	var b bytes.Buffer
	must(t, v.Table(&b))
	if diff := cmp.Diff(table, b.String()); diff != "" {
		t.Errorf("%s (-table +of the JSON):\n%s", name, diff)
	}
}

func each[T interface{ Line(io.Writer) error }](t *testing.T, name string) {
	t.Helper()
	all, table := readBack[[]T](t, name)
	for _, v := range all {
		var b bytes.Buffer
		must(t, v.Line(&b))
		if !strings.Contains(table, "\n"+b.String()) {
			t.Errorf("%s: the table has no line %q", name, &b)
		}
	}
}
