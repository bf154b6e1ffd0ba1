package process

import "testing"

func TestSpelled(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "table"},
		{[]string{"show", "-o"}, "table"},
		{[]string{"show", "--nosuch", "-o", "json"}, "json"},
		{[]string{"--output", "jsonl"}, "jsonl"},
		{[]string{"--output=json"}, "json"},
		{[]string{"-o=json"}, "json"},
		{[]string{"-ojson", "x"}, "json"},
		{[]string{"--out", "json"}, "table"},
	} {
		if got := spelled(c.args, "table"); got != c.want {
			t.Errorf("%q: %q, want %q", c.args, got, c.want)
		}
	}
}
