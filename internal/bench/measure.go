package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// verdict is how a row stands to its bounds.
type verdict string

const (
	aimed  = verdict("aim")
	within = verdict("must")
	missed = verdict("MISSED")
)

// result is a row with its figures: the median of the rounds, and the smallest
// and the largest. Ours and Theirs are medians in the benchmark's own unit.
type result struct {
	row
	Ratio   float64 `json:"ratio"`
	Min     float64 `json:"min,omitzero"` // absent: there is one figure
	Max     float64 `json:"max,omitzero"`
	Ours    float64 `json:"ours,omitzero"`
	Theirs  float64 `json:"theirs,omitzero"`
	Unit    string  `json:"unit,omitzero"`
	Rounds  int     `json:"rounds"`
	Verdict verdict `json:"verdict"`
}

func (r *result) judge() {
	holds := func(bound float64) bool {
		if r.Faster {
			return r.Ratio >= bound
		}
		return r.Ratio <= bound
	}
	switch {
	case holds(r.Aim):
		r.Verdict = aimed
	case holds(r.Must):
		r.Verdict = within
	default:
		r.Verdict = missed
	}
}

// measuring runs benchmarks, each once however many rows it fills.
type measuring struct {
	rounds   int
	profiles string // directory; empty: none
	outputs  map[string]string
}

// measure gives a row its figures.
func (m measuring) measure(ctx context.Context, r row) (result, error) {
	name := r.pkg() + " " + r.Benchmark
	output, ok := m.outputs[name]
	if !ok {
		var err error
		if output, err = m.run(ctx, r); err != nil {
			return result{}, fmt.Errorf("measure %s: %w", r.Benchmark, err)
		}
		m.outputs[name] = output
	}
	return read(r, output)
}

// run has the benchmark run in a process of its own.
func (m measuring) run(ctx context.Context, r row) (output string, err error) {
	rounds := m.rounds
	if r.Once {
		rounds = 1
	}
	args := []string{
		"test", r.pkg(), "-run", "^$", "-bench", "^Benchmark" + strings.ReplaceAll(r.Benchmark, "/", "$/^") + "$",
		"-benchtime", strconv.Itoa(rounds) + "x", "-timeout", "30m",
	}
	if m.profiles != "" {
		if err := os.MkdirAll(m.profiles, 0o750); err != nil {
			return "", err
		}
		profile, err := filepath.Abs(filepath.Join(m.profiles, strings.ReplaceAll(r.Benchmark, "/", "-")+".pprof"))
		if err != nil {
			return "", err
		}
		args = append(args, "-cpuprofile", profile, "-o", strings.TrimSuffix(profile, ".pprof")+".test")
	}
	run := exec.CommandContext(ctx, "go", args...) //nolint:gosec // the rows are this program's own
	var stdout, stderr bytes.Buffer
	run.Stdout, run.Stderr = &stdout, &stderr
	if err := run.Run(); err != nil {
		return "", fmt.Errorf("%w\n%s%s", err, &stdout, &stderr)
	}
	return stdout.String(), nil
}

// read takes the figures of a row from what its benchmark has printed.
func read(r row, output string) (result, error) {
	for line := range strings.Lines(output) {
		fields := strings.Fields(line)
		if len(fields) < 2 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		rounds, err := strconv.Atoi(fields[1])
		if err != nil {
			continue
		}
		one := result{row: r, Rounds: rounds}
		for i := 2; i+1 < len(fields); i += 2 {
			value, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return result{}, fmt.Errorf("measure %s: figure %q: %w", r.Benchmark, fields[i], err)
			}
			one.take(fields[i+1], value)
		}
		if one.Ratio == 0 {
			return result{}, fmt.Errorf("measure %s: benchmark reports no %s: %s", r.Benchmark, r.metric(), line)
		}
		one.judge()
		return one, nil
	}
	return result{}, fmt.Errorf("measure %s: no such benchmark\n%s", r.Benchmark, output)
}

func (r *result) take(unit string, value float64) {
	name, of, _ := strings.Cut(unit, "-")
	switch {
	case unit == r.metric():
		r.Ratio = value
	case unit == r.metric()+"-least":
		r.Min = value
	case unit == r.metric()+"-most":
		r.Max = value
	case name == "ours":
		r.Ours, r.Unit = value, of
	case name == "theirs":
		r.Theirs = value
	}
}
