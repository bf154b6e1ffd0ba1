package bundle

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// An archive is a tar of plain files in the ustar form, of which there is one for
// given files: names, sizes and contents, and nothing that depends on who writes
// it, or when.

const block = 512

// maxFile is the largest size that the header of a ustar file can tell.
const maxFile = 1<<33 - 1

// namePattern is what files of a bundle are called.
var namePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?$`)

// header is the block in front of a file.
func header(name string, size int64) []byte {
	h := make([]byte, block)
	copy(h, name)
	copy(h[100:], "0000644\x000000000\x000000000\x00")
	copy(h[124:], fmt.Sprintf("%011o\x0000000000000\x00        0", size))
	copy(h[257:], "ustar\x0000")
	copy(h[329:], "0000000\x000000000\x00")
	sum := 0
	for _, b := range h {
		sum += int(b)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
	return h
}

// writeFile writes one file of an archive.
func writeFile(w io.Writer, name string, data []byte) error {
	if !namePattern.MatchString(name) || len(name) > 99 || len(data) > maxFile {
		return fmt.Errorf("file %q of %d bytes does not fit into a bundle", name, len(data))
	}
	padding := make([]byte, -len(data)&(block-1))
	for _, part := range [][]byte{header(name, int64(len(data))), data, padding} {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// writeEnd writes what ends an archive.
func writeEnd(w io.Writer) error {
	_, err := w.Write(make([]byte, 2*block))
	return err
}

// FormError says that a file is not a bundle, and where it stops being one.
type FormError struct {
	File   string // of the bundle; empty: none yet
	Offset int64  // in the archive
	Err    error
}

// Error names the place.
func (e *FormError) Error() string {
	where := ""
	if e.File != "" {
		where = " in or behind " + e.File
	}
	return fmt.Sprintf("bundle is damaged at byte %d%s: %v", e.Offset, where, e.Err)
}

// Unwrap returns the cause.
func (e *FormError) Unwrap() error { return e.Err }

// entry is a file of an archive that is read.
type entry struct {
	name         string
	offset, size int64
}

// maxEntries bounds the files of an archive.
const maxEntries = 1 << 20

// entries reads the headers. Every byte of the archive outside of its files is
// as [header], [writeFile] and [writeEnd] write it. Error: [*FormError], those of
// reading.
func entries(r io.ReaderAt, size int64) ([]entry, error) {
	var all []entry
	for at, last := int64(0), ""; ; {
		bad := func(format string, args ...any) error { return &FormError{last, at, fmt.Errorf(format, args...)} }
		if size-at < 2*block {
			return nil, bad("it ends early")
		}
		h := make([]byte, block)
		if _, err := r.ReadAt(h, at); err != nil {
			return nil, err
		}
		if h[0] == 0 {
			if size-at != 2*block || !isZero(h) {
				return nil, bad("its end is not an end")
			}
			return all, checkZero(r, at+block, block, last)
		}
		e, ok := readHeader(h)
		if !ok {
			return nil, bad("the header of a file is not of the form")
		}
		e.offset = at + block
		padding := -e.size & (block - 1)
		if len(all) == maxEntries || e.size > size-e.offset-padding {
			return nil, bad("%s is larger than the archive", e.name)
		}
		if err := checkZero(r, e.offset+e.size, padding, e.name); err != nil {
			return nil, err
		}
		all = append(all, e)
		at, last = e.offset+e.size+padding, e.name
	}
}

func readHeader(h []byte) (entry, bool) {
	name, _, _ := strings.Cut(string(h[:100]), "\x00")
	size, err := strconv.ParseInt(string(h[124:135]), 8, 64)
	if err != nil || size < 0 || !namePattern.MatchString(name) || !bytes.Equal(h, header(name, size)) {
		return entry{}, false
	}
	return entry{name: name, size: size}, true
}

func checkZero(r io.ReaderAt, at, n int64, file string) error {
	padding := make([]byte, n)
	if _, err := r.ReadAt(padding, at); err != nil {
		return err
	}
	if !isZero(padding) {
		return &FormError{file, at, fmt.Errorf("%d bytes that must be zero are not", n)}
	}
	return nil
}

func isZero(data []byte) bool { return len(bytes.Trim(data, "\x00")) == 0 }
