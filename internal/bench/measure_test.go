package main

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRead takes figures from what go test prints, and judges them by the bounds
// of the row.
func TestRead(t *testing.T) {
	const output = `goos: linux
BenchmarkAppend/statement-2   	      10	  0 ns/op	 1.25 ratio	 0.9 ratio-least	 1.5 ratio-most	 1250 ours-ns	 1000 theirs-ns
PASS
`
	for _, c := range []struct {
		row  row
		want verdict
	}{
		{row{Must: 1.3, Aim: 1.25}, aimed},
		{row{Must: 1.3, Aim: 1.1}, within},
		{row{Must: 1.2, Aim: 1.1}, missed},
		{row{Faster: true, Must: 1, Aim: 1.2}, aimed},
		{row{Faster: true, Must: 1, Aim: 2}, within},
		{row{Faster: true, Must: 2, Aim: 3}, missed},
	} {
		got, err := read(c.row, output)
		if err != nil {
			t.Fatal(err)
		}
		want := result{row: c.row, Ratio: 1.25, Min: 0.9, Max: 1.5, Ours: 1250, Theirs: 1000, Unit: "ns", Rounds: 10, Verdict: c.want}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(result{})); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", c.row, diff)
		}
	}
	for name, output := range map[string]string{
		"no benchmark": "PASS\n",
		"no ratio":     "BenchmarkAppend-2  10  5 ns/op\n",
		"no figure":    "BenchmarkAppend-2  10  x ratio\n",
	} {
		if _, err := read(row{}, output); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestTable(t *testing.T) {
	var out bytes.Buffer
	err := table(&out, []result{
		{row: row{Name: "a", Peer: "b", Must: 1.3, Aim: 1.1}, Ratio: 1.2, Min: 1, Max: 1.4, Ours: 1_200_000, Theirs: 1e6, Unit: "ns", Verdict: within},
		{row: row{Name: "c", Peer: "d", Faster: true, Must: 2, Aim: 4}, Ratio: 1, Verdict: missed},
	})
	const want = `ROW  PEER  OURS   THEIRS  RATIO  SPREAD     MUST    AIM     VERDICT
a    b     1.2ms  1ms     1.20   1.00-1.40  <= 1.3  <= 1.1  must
c    d                    1.00              >= 2    >= 4    MISSED
`
	if diff := cmp.Diff(want, out.String()); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}
