package corpus

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"testing"
)

// A packed archive differs only when the corpus does: names sorted, one time.
func TestArchiveIsDeterministic(t *testing.T) {
	files, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range files.File {
		if i > 0 && f.Name <= files.File[i-1].Name {
			t.Errorf("%s stands behind %s", f.Name, files.File[i-1].Name)
		}
		if !f.Modified.Equal(files.File[0].Modified) {
			t.Errorf("%s has the time %v, the first file %v", f.Name, f.Modified, files.File[0].Modified)
		}
	}
}

// Every folder is there, and blobs hold what their names, SHA-256, say.
func TestContents(t *testing.T) {
	files, err := FS()
	if err != nil {
		t.Fatal(err)
	}
	count := make(map[string]int)
	err = fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		folder, _, _ := strings.Cut(name, "/")
		count[folder]++
		if path.Base(path.Dir(name)) != "blobs" {
			return nil
		}
		data, err := fs.ReadFile(files, name)
		if sum := fmt.Sprintf("%x", sha256.Sum256(data)); err == nil && sum != path.Base(name) {
			t.Errorf("%s has the digest %s", name, sum)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("files: %v", count)
	for _, folder := range []string{"jcs", "keys", "log", "projection", "releases", "verify"} {
		if count[folder] == 0 {
			t.Errorf("nothing under %s", folder)
		}
	}
}
