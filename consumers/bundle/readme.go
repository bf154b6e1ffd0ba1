package bundle

import (
	_ "embed"
	"fmt"
	"strings"
)

//go:embed readme.md
var readmeText string

// readme is the bundle's own README, which is the same for the same part of a
// log.
func readme(d description) []byte {
	var writers strings.Builder
	for _, w := range d.Writers {
		fmt.Fprintf(&writers, "    %s\n", w)
	}
	text := strings.NewReplacer(
		"@FLEET@", d.Fleet.String(), "@LINEAGE@", d.Lineage, "@FIRST@", fmt.Sprint(d.First), "@LAST@", fmt.Sprint(d.Last),
		"@TICK@", fmt.Sprint(d.Tick), "@WRITERS@", strings.TrimSuffix(writers.String(), "\n"),
	).Replace(readmeText)
	return []byte(text)
}
