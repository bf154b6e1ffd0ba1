package main

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// file is one file of an archive.
type file struct {
	name string // below the archive's own directory
	data []byte
	mode int64
}

// packed are the files beside the programs: the licence, the manual, units and
// rules.
var packed = regexp.MustCompile(`^(LICENSE|NEWS\.md|README\.md|cmd/[^/]+/README\.md|docs/.*|deploy/.*)$`)

// files are those that are the same for every architecture.
func files(source string, names []string) (files []file, err error) {
	for _, name := range names {
		if !packed.MatchString(name) {
			continue
		}
		data, err := os.ReadFile(filepath.Join(source, name))
		if err != nil {
			return nil, err
		}
		files = append(files, file{name, data, 0o644})
	}
	return files, nil
}

// pack writes the archive of one architecture.
func (r *release) pack(arch, built string, files []file) error {
	name := fmt.Sprintf("fleetlog-%s-linux-%s", r.version, arch)
	for _, program := range r.programs {
		data, err := os.ReadFile(filepath.Join(built, program))
		if err != nil {
			return err
		}
		files = append(files, file{"bin/" + program, data, 0o755})
	}
	data, err := archive(name, files, r.moment)
	if err != nil {
		return err
	}
	fmt.Printf("%s.tar.gz: %d files, %d bytes\n", name, len(files), len(data))
	return os.WriteFile(filepath.Join(r.out, name+".tar.gz"), data, 0o644) //nolint:gosec // it is published
}

// archive packs files into a directory of the name. The same files give the same
// bytes, in whatever order they come.
func archive(name string, files []file, moment time.Time) ([]byte, error) {
	sorted := slices.SortedFunc(slices.Values(files), func(a, b file) int { return cmp.Compare(a.name, b.name) })
	var data bytes.Buffer
	compressed := gzip.NewWriter(&data)
	out := tar.NewWriter(compressed)
	for _, f := range sorted {
		err := out.WriteHeader(&tar.Header{
			Name: name + "/" + f.name, Mode: f.mode, Size: int64(len(f.data)), ModTime: moment, Format: tar.FormatUSTAR,
		})
		if err != nil {
			return nil, fmt.Errorf("pack %s: %w", f.name, err)
		}
		if _, err := out.Write(f.data); err != nil {
			return nil, fmt.Errorf("pack %s: %w", f.name, err)
		}
	}
	if err := errors.Join(out.Close(), compressed.Close()); err != nil {
		return nil, fmt.Errorf("pack %s: %w", name, err)
	}
	return data.Bytes(), nil
}

// sum writes the checksums of all that is in the output directory, in the form that
// sha256sum checks.
func (r *release) sum() error {
	entries, err := os.ReadDir(r.out)
	if err != nil {
		return err
	}
	var text strings.Builder
	for _, entry := range entries {
		data, err := os.ReadFile(filepath.Join(r.out, entry.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&text, "%x  %s\n", sha256.Sum256(data), entry.Name())
	}
	return os.WriteFile(filepath.Join(r.out, "SHA256SUMS"), []byte(text.String()), 0o644) //nolint:gosec // it is published
}
