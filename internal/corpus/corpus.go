// Package corpus holds signed releases of the real NixFleet producer, verdicts
// of the real verifier on good and broken artifacts, and two example logs. Its
// README.md, inside the archive, says how they were made. Tests and the demo
// read it; the keys in it are test keys.
package corpus

import (
	"archive/zip"
	"bytes"
	_ "embed"
	"fmt"
	"io/fs"
)

//go:embed corpus.zip
var archive []byte

// FS opens the corpus.
func FS() (fs.FS, error) {
	files, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return nil, fmt.Errorf("open corpus: %w", err)
	}
	return files, nil
}
