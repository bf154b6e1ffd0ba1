package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"fleetlog/consumers/bundle"
	"fleetlog/consumers/check"
	"fleetlog/events"
	"fleetlog/internal/process"
	"fleetlog/manifest"
)

// readTrusts reads trust files, each of which may be given the moment from which
// on it held, as TIME=FILE.
func readTrusts(texts []string) ([]bundle.TrustFile, error) {
	var all []bundle.TrustFile
	for _, text := range texts {
		var t bundle.TrustFile
		path := text
		if before, after, ok := strings.Cut(text, "="); ok {
			if at, err := time.Parse(time.RFC3339, before); err == nil {
				t.From, path = at, after
			}
		}
		data, err := process.TrustFile(path).Read()
		if err != nil {
			return nil, fmt.Errorf("read --trust-file: %w", err)
		}
		t.Data = data
		all = append(all, t)
	}
	slices.SortStableFunc(all, func(a, b bundle.TrustFile) int { return a.From.Compare(b.From) })
	for i := 1; i < len(all); i++ {
		if all[i].From.Equal(all[i-1].From) {
			return nil, fmt.Errorf("--trust-file: two files hold from %s on: give TIME=FILE", describeFrom(all[i].From))
		}
	}
	return all, nil
}

func describeFrom(at time.Time) string {
	if at.IsZero() {
		return "the beginning"
	}
	return at.Format(time.RFC3339)
}

// parseTrusts makes periods of trust files.
func parseTrusts(files []bundle.TrustFile) (check.Trust, error) {
	var all check.Trust
	for i, f := range files {
		trust, err := manifest.ParseTrust(f.Data)
		if err != nil {
			return nil, fmt.Errorf("trust file %d: %w: give the trust.json that the control plane uses", i+1, err)
		}
		all = append(all, check.Period{From: f.From, Trust: trust})
	}
	return all, nil
}

// parseWriters reads writers' keys, each of which may be given the times between
// which it counts, as KEY@FROM..UNTIL with either left out.
func parseWriters(texts []string) (keys []events.PublicKey, writers []check.Writer, err error) {
	limited := false
	for _, text := range texts {
		name, times, ok := strings.Cut(text, "@")
		key, err := events.ParsePublicKey(name)
		if err != nil {
			return nil, nil, fmt.Errorf("--writer-key: %w", err)
		}
		w := check.Writer{Key: key}
		if ok {
			limited = true
			from, until, _ := strings.Cut(times, "..")
			if w.From, err = parseLimit(from); err == nil {
				w.Until, err = parseLimit(until)
			}
			if err != nil {
				return nil, nil, fmt.Errorf("--writer-key %s: %w", text, err)
			}
		}
		writers = append(writers, w)
		if !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	if !limited {
		return keys, nil, nil
	}
	return keys, writers, nil
}

func parseLimit(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	return time.Parse(time.RFC3339, text)
}
