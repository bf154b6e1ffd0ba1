package manifest

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// maxWarnings bounds what is said of one artifact.
const maxWarnings = 16

// maxExact is the largest integer that every JSON reader keeps.
const maxExact = 1 << 53

// Warnings are what a verified artifact holds that the contract allows and that
// other readers may understand otherwise: numbers that a reader may round,
// selectors by and / not, which producers drop while they resolve them, and an
// envelope that does not name what signed it. They never change a verdict.
func (v Verified[T]) Warnings() []string {
	var w warnings
	if !v.proven || mayHoldClause(v.canonical) {
		whole, err := tree(v.canonical)
		if err != nil {
			return nil // it was read before
		}
		w.value(whole, "")
	}
	if version := v.meta.SchemaVersion; version != 1 {
		w.add("meta.schemaVersion is %d, not 1", version)
	}
	if named := v.meta.SignatureAlgorithm; named != nil && *named != v.key.Algorithm {
		w.add("meta.signatureAlgorithm is %.40q, the key that verifies is %s", *named, v.key.Algorithm)
	}
	return w
}

// mayHoldClause tells whether the canonical form may hold what value warns of
// beside numbers; those of what is proven are small integers.
func mayHoldClause(canonical []byte) bool {
	return bytes.Contains(canonical, []byte(`"and":`)) || bytes.Contains(canonical, []byte(`"not":`))
}

type warnings []string

func (w *warnings) add(format string, args ...any) {
	if len(*w) < maxWarnings {
		*w = append(*w, printable(fmt.Sprintf(format, args...)))
	}
}

// value looks at a value and everything below it; at is its path.
func (w *warnings) value(v any, at string) {
	switch v := v.(type) {
	case map[string]any:
		w.members(v, at)
	case []any:
		for i, element := range v {
			w.value(element, at+"["+strconv.Itoa(i)+"]")
		}
	case number:
		if n, err := strconv.ParseInt(string(v), 10, 64); err != nil || n > maxExact || n < -maxExact {
			w.add("%s is %.40s: only integers up to 2^53 are the same to every reader", at, v)
		}
	}
}

func (w *warnings) members(members map[string]any, at string) {
	for _, name := range slices.Sorted(maps.Keys(members)) {
		path := object{at: at}.path(clip(name))
		if selector, ok := members[name].(map[string]any); ok && name == "selector" {
			for _, clause := range []string{"and", "not"} {
				if _, used := selector[clause]; used {
					w.add("%s uses %q: producers resolve it to other hosts than it says", path, clause)
				}
			}
		}
		w.value(members[name], path)
	}
}
