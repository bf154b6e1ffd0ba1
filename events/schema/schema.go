// Package schema holds a JSON Schema (2020-12) of the body of every event. They
// are made from the types of package events; for programs in other languages,
// and for tests. The gate of this program is events.Decode, which is stricter.
package schema

import (
	"embed"
	"strings"
)

//go:embed *.json
var files embed.FS

const extension = ".json"

// Types are the types of events that have a schema, sorted.
func Types() []string {
	entries, err := files.ReadDir(".")
	if err != nil {
		return nil
	}
	var types []string
	for _, entry := range entries {
		types = append(types, strings.TrimSuffix(entry.Name(), extension))
	}
	return types
}

// Of is the schema of a type, such as TickCompleted.v1.
func Of(eventType string) (text []byte, ok bool) {
	text, err := files.ReadFile(eventType + extension)
	return text, err == nil
}
