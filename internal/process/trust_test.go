package process

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestTrustFileIsNotWritableByOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trust.json")
	if err := os.WriteFile(path, []byte(`{"schemaVersion":1,"ciReleaseKey":{}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[fs.FileMode]error{0o600: nil, 0o644: nil, 0o664: nil, 0o646: ErrWritable, 0o602: ErrWritable} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := TrustFile(path).Parse()
		if !errors.Is(err, want) {
			t.Errorf("mode %o: error %v, want %v", mode, err, want)
		}
		if err != nil && err.Error() != "--trust-file "+path+": trust file can be written by everybody: chmod o-w it" {
			t.Errorf("mode %o: error %q does not say which file", mode, err)
		}
	}
}
